"""vtg models import, on the recordings' tiny DynamiCrafter as its authors would have released it;
vtg models delta, on tiny SVDs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from hub_server import Hub, Repository, lay_out_cache
from released import CONFIG, IMAGE, TEXT, open_clip, released_tensors
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

from vtg_cli.backbones import base
from vtg_cli.backbones.base import Motion
from vtg_cli.cli.models import app
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.job.sampling import Sampling
from vtg_cli.methods import papers
from vtg_cli.weights import delta, layout, store
from vtg_cli.weights.catalog import CATALOG

ROOT = Path(__file__).resolve().parents[2]
PARITY = ROOT / "tests" / "data" / "parity"
TUNED, BASE = PARITY / "tiny_svd_reverse", PARITY / "tiny_svd_base14"
REVERSE = CATALOG["svd-reverse"]


@pytest.fixture(scope="module")
def released() -> dict[str, Tensor]:
    return released_tensors()


@pytest.fixture(scope="module")
def ckpt(released: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("dynamicrafter_512_v1") / "model.ckpt"
    torch.save({"state_dict": released, "epoch": 3}, file)
    return file


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_any(*arguments: object) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def refusal_any(*arguments: object) -> VtgError:
    error = invoke(*arguments).exception
    assert isinstance(error, VtgError), error
    assert "\n" not in error.message
    return error


def run(*arguments: object) -> Result:
    return run_any("import", *arguments)


def refusal(*arguments: object) -> VtgError:
    return refusal_any("import", *arguments)


def first_prediction(folder: Path, case: str) -> tuple[Tensor, Tensor]:
    """Our v under the recorded condition of a case's first step, and the recorded one."""
    m = base.load(folder, device="cpu", dtype="fp32")
    tape = load_file(PARITY / f"{case}.safetensors")
    record = json.loads((PARITY / f"{case}.json").read_text())
    keys = Keyframes.ends(tape["in.video_first"], tape["in.video_last"], 4).only(0)
    level = m.path(record["ddim_steps"])[0]
    x = tape["noise.x_T"].transpose(1, 2)
    with torch.inference_mode():
        cond = m.condition(keys, tape["cond.context"][:, :77], Motion(fs=record["fs"]))
        assert cond.image is not None
        assert torch.allclose(cond.image.flatten(1, 2), tape["cond.context"][:, 77:], atol=1e-4)
        told = type(cond)(**{**vars(cond), "concat": tape["cond.concat"].transpose(1, 2)})
        v = level.v_from_x0(x, m(x, level, told))
    return v.transpose(1, 2), tape["step00.v_cond"]


@pytest.mark.parity
@pytest.mark.parametrize("form", ["ckpt", "safetensors"])
def test_an_imported_checkpoint_predicts_as_recorded(
    form: str, ckpt: Path, released: dict[str, Tensor], tmp_path: Path
) -> None:
    source = ckpt
    if form == "safetensors":
        source = tmp_path / "dynamicrafter_512.safetensors"
        save_file(released, source)
    out = tmp_path / "new" / "mine"
    result = run(source, "-o", out, "--config", CONFIG)
    assert result.stdout == f"{out}\n"
    assert "prompts will need CLIP's vocab.json" in result.stderr
    assert store.resolve(str(out)).folder == out
    ours, recorded = first_prediction(out, "dc_p1")
    assert float((ours - recorded).abs().max()) < 1e-4
    assert not [f for f in out.parent.iterdir() if f != out]  # nothing temporary is left


def test_what_is_in_the_folder(ckpt: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    clip = tmp_path / "clip"
    clip.mkdir()
    for name in ("vocab.json", "merges.txt"):
        (clip / name).write_text("{}")
    arguments = (ckpt, "-o", out, "--config", CONFIG, "--variant", "512_interp", "--clip", clip)
    found = json.loads(run(*arguments, "--json").stdout)
    assert found == {"path": str(out)}
    files = {f.relative_to(out).as_posix() for f in out.rglob("*") if f.is_file()}
    parts = {"unet", "resampler", "autoencoder", "image_tower", "text_tower"}
    assert files == {
        "model_index.json",
        "config.json",
        "SHA256SUMS",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        *(f"{part}.safetensors" for part in parts),
    }
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=out, capture_output=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == len(files) - 1
    assert {t.dtype for t in load_file(out / "unet.safetensors").values()} == {torch.float16}
    used = {f.relative_to(out).as_posix() for f in layout.used_files(out)}
    assert used == files - {"SHA256SUMS"}
    assert set(layout.fetch_list(files)) == used
    spec = base.spec_of(out)
    assert (spec.frames, spec.factor, spec.channels, spec.both_ends) == (4, 4, 4, True)
    (out / "text_tower.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks text_tower\.safetensors"):
        store.resolve(str(out))


def test_facts_are_read_without_torch(ckpt: Path, tmp_path: Path) -> None:
    run(ckpt, "-o", tmp_path / "mine", "--config", CONFIG)
    code = f"""
import sys
from pathlib import Path
from vtg_cli.backbones.base import spec_of
assert spec_of(Path({str(tmp_path / "mine")!r})).frames == 4
assert not {{"torch", "diffusers", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_imported_model_draws(ckpt: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    run(ckpt, "-o", out, "--config", CONFIG, "--variant", "512_interp")
    m = base.load(out, device="cpu", dtype="fp32", decode_chunk=2)
    keys = Keyframes.ends(*torch.rand(2, 3, 32, 48) * 2 - 1, 4)
    frames = papers.render(m, keys, Sampling(method="dynamicrafter", steps=2))
    assert frames.shape == (4, 32, 48, 3) and frames.std() > 1


def transformers_names(folder: Path) -> dict[str, Tensor]:
    """An imported folder's towers as transformers would save them."""
    files = {"text_model.": "text_tower", "vision_model.": "image_tower"}
    towers = {
        prefix + name: value
        for prefix, part in files.items()
        for name, value in load_file(folder / f"{part}.safetensors").items()
    }
    beside = {
        "logit_scale": torch.zeros(()),
        "text_model.encoder.layers.2.mlp.fc1.bias": torch.zeros(128),
    }
    return towers | beside


@pytest.mark.parametrize("names", ["open_clip", "transformers"])
def test_a_pruned_file_takes_clip_from_its_folder(
    names: str, released: dict[str, Tensor], ckpt: Path, tmp_path: Path
) -> None:
    whole, out, clip = tmp_path / "whole", tmp_path / "mine", tmp_path / "clip"
    run(ckpt, "-o", whole, "--config", CONFIG)
    pruned = tmp_path / "dynamicrafter_512_fp16_pruned.safetensors"
    save_file({n: t for n, t in released.items() if not n.startswith((TEXT, IMAGE))}, pruned)
    error = refusal(pruned, "-o", out, "--config", CONFIG)
    assert type(error) is WeightsError and error.exit_code == 5
    assert "laion/CLIP-ViT-H-14-laion2B-s32B-b79K" in error.hint and not out.exists()
    clip.mkdir()
    assert (
        "no CLIP weights" in refusal(pruned, "-o", out, "--config", CONFIG, "--clip", clip).message
    )
    if names == "open_clip":
        torch.save(open_clip(released), clip / "open_clip_pytorch_model.bin")
    else:
        save_file(transformers_names(whole), clip / "model.safetensors")
    run(pruned, "-o", out, "--config", CONFIG, "--clip", clip)
    for part in layout.PARTS:
        ours, theirs = load_file(out / part), load_file(whole / part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


class Bomb:
    """What a hostile file may hold: loading it the ordinary way runs a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def test_a_hostile_pickle_is_refused_and_not_run(
    released: dict[str, Tensor], tmp_path: Path
) -> None:
    """In a child process, to the exit code."""
    file, mark, out = tmp_path / "model.ckpt", tmp_path / "ran", tmp_path / "mine"
    torch.save({"state_dict": released, "more": Bomb(mark)}, file)
    done = subprocess.run(
        [sys.executable, "-m", "vtg_cli", "models", "import", str(file), "-o", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5 and done.stdout == ""
    assert re.search(r"refused.*none of it was executed", done.stderr)
    assert not mark.exists() and not out.exists() and "Traceback" not in done.stderr


def test_a_folder_is_replaced_when_told(ckpt: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "mine", tmp_path / "pictures"
    run(ckpt, "-o", out, "--config", CONFIG)
    error = refusal(ckpt, "-o", out, "--config", CONFIG)
    assert type(error) is UsageError and error.exit_code == 2 and error.message == f"{out} exists"
    (out / "old").write_text("")
    run(ckpt, "-o", out, "--config", CONFIG, "--overwrite")
    assert not (out / "old").exists() and (out / "SHA256SUMS").is_file()
    other.mkdir()
    (other / "a.png").write_text("")
    assert "no model folder" in refusal(ckpt, "-o", other, "--overwrite").message
    assert (other / "a.png").is_file()


def test_a_failed_import_leaves_what_was_there(ckpt: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    run(ckpt, "-o", out, "--config", CONFIG)
    before = (out / "SHA256SUMS").read_text()
    bad = tmp_path / "model.ckpt"
    bad.write_bytes(ckpt.read_bytes()[:200000])
    error = refusal(bad, "-o", out, "--config", CONFIG, "--overwrite")
    assert type(error) is WeightsError and error.exit_code == 5
    assert (out / "SHA256SUMS").read_text() == before
    assert not [f for f in tmp_path.iterdir() if f.name.startswith(".vtg-")]


def test_what_is_no_such_model(ckpt: Path, released: dict[str, Tensor], tmp_path: Path) -> None:
    out = tmp_path / "mine"
    unknown = refusal(ckpt, "-o", out, "--variant", "2048")
    assert "--variant 2048 is not known" in unknown.message and "animatelcm" in unknown.hint
    # dynamic rescale says it is a 512 model, and its tensors that it is none of the released size
    assert "is no 1024 model" in refusal(ckpt, "-o", out, "--variant", "1024").message
    assert "the checkpoint lacks unet" in refusal(ckpt, "-o", out).message
    unnamed = tmp_path / "a" / "model.safetensors"
    unnamed.parent.mkdir()
    save_file(released, unnamed)
    error = refusal(unnamed, "-o", out)
    assert type(error) is UsageError and "--variant 512" in error.hint
    assert "no configuration" in refusal(ckpt, "-o", out, "--config", unnamed).message
    assert "there is no file" in refusal(tmp_path / "gone.ckpt", "-o", out).message
    assert not out.exists()


def test_a_delta(tmp_path: Path) -> None:
    out = tmp_path / "reverse.safetensors"
    result = run_any("delta", "--tuned", TUNED, "--base", BASE, "-o", out)
    assert result.stdout == f"{out}  {out.stat().st_size / 1000:.0f} kB\n"
    assert result.stderr == ""
    assert len(delta.load(out)) == 8


def test_a_delta_as_json_replaces_a_file_when_told(tmp_path: Path) -> None:
    out = tmp_path / "reverse.safetensors"
    arguments = ("delta", "--tuned", TUNED, "--base", BASE, "-o", out, "--dtype", "fp32")
    run_any(*arguments)
    assert type(refusal_any(*arguments)) is UsageError
    facts = json.loads(run_any(*arguments, "--overwrite", "--json").stdout)
    assert facts == {
        "path": str(out),
        "bytes": out.stat().st_size,
        "tensors": 8,
        "parameters": 14336,
        "unchanged": 4,
    }
    assert facts["bytes"] > 4 * 14336


def test_a_delta_takes_names_and_svd_is_the_base(hub: Hub, tmp_path: Path) -> None:
    out = tmp_path / "reverse.safetensors"
    error = refusal_any("delta", "--tuned", TUNED, "-o", out)
    assert error.message == "svd (4.5 GB) is not on this machine"
    assert error.hint == "vtg models pull svd"
    for repo_id, inside, source in (
        (CATALOG["svd"].repo_id, "unet", BASE),
        (REVERSE.repo_id, REVERSE.folder, TUNED),
    ):
        names = ("config.json", "diffusion_pytorch_model.safetensors")
        files = {f"{inside}/{name}": (source / "unet" / name).read_bytes() for name in names}
        lay_out_cache(repo_id, Repository(files))
    run_any("delta", "--tuned", "svd-reverse", "-o", out)
    assert set(delta.load(out)) == set(delta.from_pair(TUNED, BASE))


def test_a_delta_needs_its_options() -> None:
    assert invoke("delta", "--tuned", TUNED).exit_code == 2
    assert "--output" in invoke("delta", "--tuned", TUNED).stderr
