"""vtg models pull, against a hub on localhost, to the imported model that draws."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from click.testing import Result
from hub_server import XT, XT_BESIDE, XT_WANTED, Hub, Repository, lay_out_cache, small_model
from PIL import Image
from released import CONFIG, IMAGE, TEXT, open_clip, released_tensors
from safetensors.torch import save
from typer.testing import CliRunner

from vtg_cli.backbones.dynamicrafter import convert
from vtg_cli.backbones.dynamicrafter.spec import INTERP, Facts
from vtg_cli.backbones.dynamicrafter.weights import Sizes
from vtg_cli.cli import main, pulling
from vtg_cli.cli.models import app
from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.ground.units import size_text
from vtg_cli.weights import cache, keep, licence, store
from vtg_cli.weights import hub as client
from vtg_cli.weights.catalog import CATALOG, EMBEDDED_FOLDER, Place
from vtg_cli.weights.offer import look_up

PLAIN = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
ROOT = Path(__file__).resolve().parents[2]
REVERSE = CATALOG["svd-reverse"]
RELEASED, PRUNED = "dynamicrafter-512-interp", "dynamicrafter-512-interp-fp16"


def invoke(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def run(*arguments: object) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def refusal(*arguments: object) -> VtgError:
    error = invoke(*arguments).exception
    assert isinstance(error, VtgError), error
    return error


def test_the_embedded_model_needs_no_pull(hub: Hub) -> None:
    result = run("pull", "tiny")
    assert result.stdout == f"{EMBEDDED_FOLDER}\n" and "nothing to fetch" in result.stderr
    assert hub.requests == []


def test_a_folder_needs_no_pull(hub: Hub) -> None:
    folder = ROOT / "tests" / "data" / "parity" / "tiny_svd"
    result = run("pull", folder)
    assert result.stdout == f"{folder}\n" and "there is nothing to fetch" in result.stderr
    assert hub.requests == []


def test_a_pull_says_what_it_fetches_and_prints_the_folder(hub: Hub) -> None:
    repository = Repository(small_model(*XT_BESIDE))
    hub.repositories[XT] = repository
    result = run("pull", "svd-xt", "--accept-licence")
    folder = store.resolve("svd-xt").folder
    assert result.stdout == f"{folder}\n"
    size = sum(len(repository.files[name]) for name in XT_WANTED)
    entry = CATALOG["svd-xt"]
    *lines, last = result.stderr.splitlines()
    assert re.fullmatch(rf"  fetched {size / 1000:.0f} kB in \d+ s, [\d.]+ (MB|kB|bytes)/s", last)
    assert lines == [
        f"svd-xt: 9 files, {size / 1000:.0f} kB",
        f"  from    {XT} at {repository.commit[:12]}",
        f"  to      {folder}",
        f"  licence {entry.licence}: {entry.terms}",
        "  first pull: commit and hashes are recorded, later pulls must match them",
    ]


def test_a_second_pull_asks_nobody(hub: Hub) -> None:
    hub.repositories[XT] = Repository(small_model())
    run("pull", "svd-xt", "--accept-licence")
    hub.requests.clear()
    result = run("pull", "svd-xt", "--json")
    found = {"name": "svd-xt", "path": str(store.resolve("svd-xt").folder)}
    assert json.loads(result.stdout) == found
    assert result.stderr == "svd-xt is complete, every file is as recorded\n"
    assert hub.requests == []


def test_a_pull_continues_with_the_commit_that_is_partly_here(hub: Hub) -> None:
    repository = Repository(small_model())
    hub.repositories[XT] = repository
    snapshot = lay_out_cache(XT, repository)
    unet = "unet/diffusion_pytorch_model.fp16.safetensors"
    (snapshot / unet).resolve().unlink()
    (snapshot / unet).unlink()
    result = run("pull", "svd-xt", "--accept-licence")
    assert result.stdout == f"{snapshot}\n"
    kept = sum(len(data) for name, data in repository.files.items() if name != unet)
    assert f", {kept / 1000:.0f} kB of it here already\n" in result.stderr
    assert [r for r in hub.requests if r.startswith("GET /lfs")] != []
    asked = [r.partition(" ")[0] for r in hub.requests if "/resolve/" in r or "/lfs/" in r]
    assert asked == ["GET", "GET"]  # the file, and where it redirects to


def test_a_reverse_u_net_says_what_to_make_of_it(hub: Hub) -> None:
    files = {f"{REVERSE.folder}/{name}": b"{}" for name in REVERSE.files}
    hub.repositories[REVERSE.repo_id] = Repository(files)
    assert (
        "vtg models delta --tuned svd-reverse --base svd -o reverse.safetensors\n"
        in run("pull", "svd-reverse", "--accept-licence").stderr
    )


def test_an_uncatalogued_pull_points_to_its_licence(hub: Hub) -> None:
    hub.repositories["org/name"] = Repository(small_model())
    result = run("pull", "org/name")
    assert "  licence see https://huggingface.co/org/name\n" in result.stderr
    assert result.stdout == f"{store.resolve('org/name').folder}\n"


@pytest.mark.parametrize(
    ("name", "kind", "code"), [("svdxt", UsageError, 2), ("org/gone", WeightsError, 5)]
)
def test_a_pull_of_nothing(hub: Hub, name: str, kind: type[VtgError], code: int) -> None:
    error = refusal("pull", name)
    assert type(error) is kind and error.exit_code == code and error.subject == name


def test_a_pull_honours_the_hubs_variables(hub: Hub) -> None:
    """In a child process, which has only the environment to go by."""
    hub.repositories[XT] = Repository(small_model(), gated="hf_token")
    code = "from vtg_cli.cli.models import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", code, "pull", "svd-xt", "--accept-licence"],
        cwd=ROOT,
        env={**os.environ, "HF_TOKEN": "hf_token"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{store.resolve('svd-xt').folder}\n"
    assert done.stdout.startswith(os.environ["HF_HOME"])
    assert (
        len(done.stderr.splitlines()) == 6
    )  # what is fetched and how fast; no bars without a terminal


def test_terms_that_restrict_are_accepted_first(hub: Hub) -> None:
    hub.repositories[XT] = Repository(small_model())
    error = refusal("pull", "svd-xt")
    assert type(error) is WeightsError and error.exit_code == 5
    assert error.hint.endswith("vtg models pull svd-xt --accept-licence")
    assert hub.requests == [] and store.available() == []
    run("pull", "svd-xt", "--accept-licence")
    assert licence.accepted(CATALOG["svd-xt"]) is not None
    hub.repositories[CATALOG["svd"].repo_id] = Repository(small_model())
    run("pull", "svd")  # the same terms


def test_a_person_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories[XT] = Repository(small_model())
    monkeypatch.setattr(pulling, "asks", lambda: True)
    no = invoke("pull", "svd-xt", text="n\n")
    assert isinstance(no.exception, WeightsError) and hub.requests == []
    yes = invoke("pull", "svd-xt", text="y\n")
    assert yes.exit_code == 0
    assert CATALOG["svd-xt"].terms in yes.stderr and "Do you accept these terms?" in yes.stderr
    assert yes.stdout == f"{store.resolve('svd-xt').folder}\n"


def test_what_is_complete_asks_for_no_licence(hub: Hub) -> None:
    hub.repositories[XT] = Repository(small_model())
    run("pull", "svd-xt", "--accept-licence")
    (cache.own_folder() / "licences.json").unlink()
    assert "is complete" in run("pull", "svd-xt").stderr


def test_a_damaged_file_is_fetched_again(hub: Hub) -> None:
    files = small_model()
    hub.repositories[XT] = Repository(files)
    run("pull", "svd-xt", "--accept-licence")
    unet = store.resolve("svd-xt").folder / "unet/diffusion_pytorch_model.fp16.safetensors"
    unet.resolve().write_bytes(bytes(len(files[XT_WANTED[6]])))
    run("pull", "svd-xt")
    assert unet.read_bytes() == files[XT_WANTED[6]]


@pytest.fixture
def offered(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    """DynamiCrafter's repositories with checkpoints of the recordings' tiny sizes."""
    reference = json.loads(CONFIG.read_text())
    facts = {INTERP: Facts.of(reference["model"]["params"], INTERP)}
    monkeypatch.setattr(convert, "VARIANTS", facts)
    monkeypatch.setattr(Sizes, "released", staticmethod(lambda variant: Sizes.of(reference)))
    tensors = released_tensors()
    torch.save({"state_dict": tensors}, tmp_path / "model.ckpt")
    torch.save(open_clip(tensors), tmp_path / "clip.bin")
    pruned = {n: t for n, t in tensors.items() if not n.startswith((TEXT, IMAGE))}
    vocabulary = {"vocab.json": b"{}", "merges.txt": b"#version: 0.2\n"}
    clip = vocabulary | {"open_clip_pytorch_model.bin": (tmp_path / "clip.bin").read_bytes()}
    for name, files in (
        (RELEASED, {"model.ckpt": (tmp_path / "model.ckpt").read_bytes(), "README.md": b""}),
        (PRUNED, {CATALOG[PRUNED].files[0]: save(pruned), "other.safetensors": b"x"}),
        ("clip-vocabulary", clip),
    ):
        hub.repositories[CATALOG[name].repo_id] = Repository(files)
    return hub


def test_a_checkpoint_is_imported_once_and_draws(offered: Hub, tmp_path: Path) -> None:
    result = run("pull", RELEASED)
    folder = cache.imported_folder(RELEASED)
    assert result.stdout == f"{folder}\n"
    assert f"importing {RELEASED} into {folder}, once\n  reading model.ckpt\n" in result.stderr
    assert store.resolve(RELEASED).folder == folder and store.available() == [RELEASED]
    assert (folder / "tokenizer" / "vocab.json").is_file()
    clip = cache.repo_folder(CATALOG["clip-vocabulary"].repo_id)
    assert not [*clip.rglob("open_clip*")]  # the checkpoint holds the towers
    offered.requests.clear()
    again = run("pull", RELEASED)
    assert again.stderr == f"{RELEASED} is complete, every file is as it was imported\n"
    for name in "ab":
        Image.new("RGB", (48, 32), (9, 99, 200) if name == "a" else (200, 9, 9)).save(
            tmp_path / f"{name}.png"
        )
    out = tmp_path / "clip.mp4"
    files = [str(tmp_path / f"{name}.png") for name in "ab"]
    options = ["--model", RELEASED, "--steps", "2", "--device", "cpu", "--quiet"]
    assert main(["interpolate", *files, *options, "-o", str(out)]) == 0
    assert out.stat().st_size > 500
    assert json.loads(Path(f"{out}.json").read_text())["job"]["model"] == RELEASED
    assert offered.requests == []


def test_a_pruned_checkpoint_takes_clip_from_its_repository(offered: Hub) -> None:
    run("pull", PRUNED)
    run("pull", RELEASED)
    mine, theirs = cache.imported_folder(PRUNED), cache.imported_folder(RELEASED)
    sums = [(folder / "SHA256SUMS").read_text() for folder in (mine, theirs)]
    assert sums[0] == sums[1]
    pulled = [f.name for f in cache.repo_folder(CATALOG[PRUNED].repo_id).rglob("*.safetensors")]
    assert pulled == [CATALOG[PRUNED].files[0]]


def test_the_checkpoint_may_go_once_it_is_imported(offered: Hub) -> None:
    run("pull", RELEASED)
    keep.remove(keep.removal(RELEASED, checkpoint_only=True))
    assert not cache.repo_folder(CATALOG[RELEASED].repo_id).exists()
    offered.requests.clear()
    assert run("pull", RELEASED).stdout == f"{cache.imported_folder(RELEASED)}\n"
    assert offered.requests == []


def test_a_damaged_import_is_made_again_without_fetching(offered: Hub) -> None:
    run("pull", RELEASED)
    unet = cache.imported_folder(RELEASED) / "unet.safetensors"
    good = unet.read_bytes()
    unet.write_bytes(bytes(len(good)))
    offered.requests.clear()
    assert "is damaged and is made again" in run("pull", RELEASED).stderr
    assert unet.read_bytes() == good and offered.requests == []
    unet.unlink()
    assert "not imported yet" in refusal("path", RELEASED).message
    run("pull", RELEASED)
    assert unet.read_bytes() == good and offered.requests == []


def test_what_a_killed_import_left_goes_with_the_next(offered: Hub) -> None:
    left = cache.imported_folder(RELEASED).with_name(".vtg-0123456789ab")
    left.mkdir(parents=True)
    (left / "unet.safetensors").write_bytes(b"half")
    run("pull", RELEASED)
    assert [f.name for f in left.parent.iterdir()] == [RELEASED]


def test_two_imports_at_once_make_one(offered: Hub) -> None:
    """The second waits, and then finds the folder that the first has made."""
    run("pull", RELEASED)
    folder = cache.imported_folder(RELEASED)
    made = (folder / "SHA256SUMS").stat().st_mtime_ns

    def make(*_: object) -> None:
        raise AssertionError("made again")

    assert pulling._imported(CATALOG[RELEASED], make, None) == folder
    assert (folder / "SHA256SUMS").stat().st_mtime_ns == made


def test_an_import_that_fails_leaves_no_model(offered: Hub) -> None:
    files = offered.repositories[CATALOG[RELEASED].repo_id].files
    files["model.ckpt"] = files["model.ckpt"][:100_000]
    error = refusal("pull", RELEASED)
    assert type(error) is WeightsError and "cannot be read as a checkpoint" in error.message
    models = cache.imported_folder(RELEASED).parent
    assert not models.exists() or not [*models.iterdir()]
    assert store.available() == []


def test_room_for_the_import_is_asked_for_before_the_first_byte(
    offered: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(offered.repositories[CATALOG[RELEASED].repo_id].files["model.ckpt"])
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda place: type("", (), {"free": size})())
    error = refusal("pull", RELEASED)
    assert error.message.startswith(f"{RELEASED} needs ")
    assert error.message.endswith(f" has {size_text(size)} free")
    assert not cache.repo_folder(CATALOG[RELEASED].repo_id).exists()


def test_who_waits_for_another_pull_says_so_and_fetched_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal, too: the other one ends while this one waits."""
    hub.repositories[XT] = Repository(small_model())
    plain = client.turn

    @contextmanager
    def late(lock: Path, place: Place, waiting: Callable[[], object]) -> Iterator[None]:
        monkeypatch.setattr(client, "turn", plain)
        waiting()
        client.pull(look_up("svd-xt"))
        with plain(lock, place, waiting):
            yield

    monkeypatch.setattr(client, "turn", late)
    last = run("pull", "svd-xt", "--accept-licence").stderr.splitlines()[-1]
    assert last == f"  waiting for another pull of {XT}"


def test_the_bar_takes_one_line() -> None:
    """However long the name, at 80 columns: the rate and the time left are what is looked at."""
    code = (
        "from vtg_cli.cli import pulling\n"
        "with pulling.bar(10_000_000_000) as report:\n"
        "    report(0.5, 'downloading unet/diffusion_pytorch_model.fp16.safetensors')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"},
        capture_output=True,
        text=True,
    ).stderr
    lines = re.split(r"[\r\n]+", PLAIN.sub("", told))
    line = [line for line in lines if "download" in line][-1]
    assert len(line) <= 80 and line.startswith("downloading unet/") and "5.0/10.0 GB" in line
    assert not [line for line in lines if line.strip() == "GB"]
