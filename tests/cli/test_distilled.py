"""AnimateLCM-SVD-xt on the command line: pulled from a hub on localhost, imported, planned, drawn.

Its weights and svd-xt's are those of the recordings' tiny SVD.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hub_server import XT, Hub, Repository, lay_out_cache
from PIL import Image
from reading import read_video
from safetensors.torch import load_file, save
from typer.testing import CliRunner

from vtg_cli.cli import main
from vtg_cli.cli.models import app
from vtg_cli.errors import VtgError
from vtg_cli.weights import cache, licence, store
from vtg_cli.weights.catalog import CATALOG

TINY = Path(__file__).resolve().parents[1] / "data" / "parity" / "tiny_svd"
NAME = "animatelcm-svd-xt"
ENTRY = CATALOG[NAME]
(FILE,) = ENTRY.files
UNET = TINY / "unet" / "diffusion_pytorch_model.safetensors"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def refusal(*arguments: object) -> VtgError:
    error = CliRunner().invoke(app, [str(argument) for argument in arguments]).exception
    assert isinstance(error, VtgError), error
    return error


@pytest.fixture
def offered(hub: Hub) -> Hub:
    halves = {"unet", "vae", "image_encoder"}
    base = {}
    for file in (file for file in TINY.rglob("*") if file.is_file()):
        name = file.relative_to(TINY).as_posix()
        if file.parent.name in halves:
            name = name.replace(".safetensors", ".fp16.safetensors")
        base[name] = file.read_bytes()
    tensors = {name: value * 1.01 for name, value in load_file(UNET).items()}
    hub.repositories[XT] = Repository(base)
    hub.repositories[ENTRY.repo_id] = Repository({FILE: save(tensors), "README.md": b""})
    return hub


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, colour in (("a", (9, 99, 200)), ("b", (200, 9, 9))):
        Image.new("RGB", (48, 32), colour).save(f"{name}.png")


DRAW = ("interpolate", "a.png", "b.png", "--model", NAME, "--device", "cpu", "-o", "clip.mkv")
SMALL = ("--width", "24", "--height", "16")


@pytest.mark.usefixtures("pictures")
def test_a_pull_brings_svd_xt_and_joins_them(
    offered: Hub, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run("pull", NAME, "--accept-licence")
    folder = cache.imported_folder(NAME)
    assert result.stdout == f"{folder}\n"
    assert result.stderr.endswith(
        f"importing {NAME} into {folder}, once\n  checking {FILE}\n  joining it with its base\n"
    )
    assert licence.accepted(ENTRY) and licence.accepted(CATALOG["svd-xt"])
    assert store.available() == [NAME, "svd-xt"]  # the better one is the last
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    assert weights.samefile(store.complete(NAME).folder / FILE)
    offered.requests.clear()
    again = run("pull", NAME)
    assert again.stderr == f"{NAME} is complete, every file is as it was imported\n"
    assert "1 bad" not in run("verify", NAME).stdout
    assert main([*DRAW, *SMALL, "--quiet"]) == 0
    told = json.loads(Path("clip.mkv.json").read_text())
    made = told["job"]["sampling"]
    assert (told["job"]["model"], made["solver"], made["schedule"]) == (NAME, "lcm", "lcm")
    assert (made["method"], made["steps"], made["guidance"]) == ("trf", 8, [1.0, 1.2])
    assert main(["run", "clip.mkv.json", "-o", "again.mkv", "--quiet"]) == 0
    one, other = (read_video(f"{name}.mkv")[0] for name in ("clip", "again"))
    assert np.array_equal(one, other)
    assert offered.requests == []
    capfd.readouterr()
    for asked, evaluations, line in (
        ((), 48, "trf from random, 8 steps"),
        (("--fast",), 24, "trf from random, 4 steps (fast)"),
        (("--method", "i2v"), 8, "i2v from random, 4 steps"),
        (("--method", "i2v", "--guidance", "1"), 4, "i2v from random, 4 steps"),
        (("--method", "i2v", "--quality"), 16, "i2v from random, 8 steps (quality)"),
    ):
        assert main([*DRAW, *SMALL, *asked, "--dry-run", "--overwrite", "--quiet"]) == 0
        out = capfd.readouterr().out
        assert f"{line}, seed 0: {evaluations} evaluations of the network" in out


def test_removing_it_leaves_svd_xt_whole(offered: Hub) -> None:
    run("pull", NAME, "--accept-licence")
    size = len(offered.repositories[ENTRY.repo_id].files[FILE])
    both = json.loads(run("rm", NAME, "--yes", "--json").stdout)["bytes"]
    assert size < both < size + 2000  # and what the folder itself wrote
    assert not cache.imported_folder(NAME).exists()
    assert store.resolve("svd-xt").folder and store.available() == ["svd-xt"]


def test_removing_the_checkpoint_alone_frees_nothing(offered: Hub) -> None:
    run("pull", NAME, "--accept-licence")
    assert json.loads(run("rm", NAME, "--checkpoint", "--yes", "--json").stdout)["bytes"] == 0
    assert store.resolve(NAME).folder == cache.imported_folder(NAME)


def test_what_is_missing_is_named_with_its_pull(offered: Hub) -> None:
    error = refusal("path", NAME)
    assert (error.exit_code, error.hint) == (5, f"vtg models pull {NAME}")
    assert error.message == f"{NAME} (6.1 GB, and svd-xt 4.5 GB) is not on this machine"
    lay_out_cache(ENTRY.repo_id, offered.repositories[ENTRY.repo_id])
    error = refusal("path", NAME)
    assert error.message == f"{NAME} is on this machine, but svd-xt is not, which it needs"
    assert (error.exit_code, error.hint) == (5, f"vtg models pull {NAME} fetches that too")


def test_another_network_is_refused_and_leaves_no_model(offered: Hub) -> None:
    files = offered.repositories[ENTRY.repo_id].files
    tensors = load_file(UNET)
    del tensors["conv_in.bias"]
    files[FILE] = save(tensors)
    error = refusal("pull", NAME, "--accept-licence")
    assert error.exit_code == 5 and error.message.endswith(" describes: it lacks conv_in.bias")
    models = cache.imported_folder(NAME).parent
    assert not models.exists() or not [*models.iterdir()]


def test_a_file_of_one_s_own_is_imported(tmp_path: Path) -> None:
    file, out = tmp_path / "AnimateLCM-SVD-xt-1.1.safetensors", tmp_path / "mine"
    file.write_bytes(save({name: value * 1.01 for name, value in load_file(UNET).items()}))
    result = run("import", file, "--base", TINY, "-o", out)
    assert result.stdout == f"{out}\n"
    assert result.stderr == f"checking {file.name}\njoining it with its base\n"
    assert store.resolve(str(out)).folder == out
    again = ("import", file, "--base", TINY, "-o", out)
    assert refusal(*again).message == f"{out} exists"
    error = refusal(*again, "--overwrite", "--clip", tmp_path)
    assert error.message == "--clip means nothing to this checkpoint"
    error = refusal("import", tmp_path / "model.ckpt", "--base", TINY, "-o", tmp_path / "other")
    assert error.message == "--base means nothing to this checkpoint"
    run(*again, "--overwrite", "--variant", "animatelcm")
    assert sorted(f.name for f in tmp_path.iterdir()) == [file.name, "mine"]


@pytest.mark.usefixtures("pictures")
def test_what_its_levels_and_its_solver_do_not_go_with(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "u.safetensors", tmp_path / "mine"
    file.write_bytes(UNET.read_bytes())
    run("import", file, "--base", TINY, "-o", out)
    command = ["interpolate", "a.png", "b.png", "-o", "clip.mkv", "--device", "cpu", *SMALL]
    mine, svd = ["--model", str(out)], ["--model", str(TINY)]
    for asked, said in (
        (
            [*mine, "--steps", "41"],
            "vtg: --steps 41 is out of range for --schedule lcm\n"
            "     it goes from 1 to 40; 4 to 8 are usual\n",
        ),
        (
            [*mine, "--solver", "lcm", "--init", "slerp"],
            "vtg: --solver lcm and --init slerp exclude each other\n     leave one of them out; "
            "lcm draws fresh noise at every step, which undoes inverted one\n",
        ),
    ):
        assert main([*command, *asked]) == 2
        assert capfd.readouterr().err == said
    for asked in ([*mine, "--steps", "41", "--schedule", "karras"], [*mine, "--steps", "40"]):
        assert main([*command, *asked, "--dry-run"]) == 0
    capfd.readouterr()
    assert main([*command, *svd, "--solver", "lcm", "--dry-run"]) == 0
    assert (
        "vtg: note: --solver lcm is for models distilled to few steps, and "
        f"{TINY} is not one\n" in capfd.readouterr().err
    )
