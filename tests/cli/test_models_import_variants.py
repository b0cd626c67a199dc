"""vtg models import of every released model, in small: the recordings' tiny networks, named, packed
and marked as each of them was released.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

from vtg_cli.backbones import base
from vtg_cli.backbones.dynamicrafter import convert
from vtg_cli.backbones.dynamicrafter.spec import TOON, VARIANTS, Facts
from vtg_cli.backbones.dynamicrafter.unet import RELEASED, UNetConfig
from vtg_cli.backbones.dynamicrafter.weights import Sizes
from vtg_cli.cli import app
from vtg_cli.errors import VtgError, WeightsError
from vtg_cli.weights import store

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"
REFERENCE = json.loads((PARITY / "dc_tiny" / "config.json").read_text())
TEXT, IMAGE, UNET = "cond_stage_model.model.", "embedder.model.", "model.diffusion_model."
DECODER = "first_stage_model.decoder."
TINY = Sizes.of(REFERENCE)
PUBLISHED = {
    "256": "dynamicrafter_256_v1",
    "512": "dynamicrafter_512_v1",
    "1024": "dynamicrafter_1024_v1",
    "512_interp": "dynamicrafter_512_interp_v1",
    "tooncrafter": "tooncrafter_512_interp_v1",
}
"""The folders their checkpoints are released in."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The released models' facts, sizes of a few channels."""

    def released(variant: str) -> Sizes:
        return replace(
            TINY,
            unet=replace(
                TINY.unet, learned_scale=RELEASED[variant.partition("_")[0]].learned_scale
            ),
        )

    monkeypatch.setattr(Sizes, "released", staticmethod(released))
    told = {
        name: replace(facts, height=32, width=48, frames=4, factor=4)
        for name, facts in VARIANTS.items()
    }
    monkeypatch.setattr(convert, "VARIANTS", told)


def recorded() -> dict[str, Tensor]:
    found = load_file(PARITY / "dc_tiny" / "model.safetensors")
    ids, rows = (found.pop(f"EXTRA.cond_stage_token_{part}") for part in ("ids", "rows"))
    table = torch.zeros(TINY.clip.vocabulary, rows.shape[1], dtype=rows.dtype)
    table[ids] = rows
    return found | {f"{TEXT}token_embedding.weight": table}


def as_released(variant: str) -> dict[str, Tensor]:
    """What tells one released file from another."""
    found = recorded()
    if variant == "256":
        del found["scale_arr"]
        renamed = {n.replace("fps_embedding", "framestride_embed"): t for n, t in found.items()}
        scales = [n for n in renamed if n.endswith("attn2.to_k_ip.weight")]
        assert scales
        return renamed | {n.replace("to_k_ip.weight", "alpha"): torch.tensor(0.25) for n in scales}
    if variant == "1024":
        found["scale_arr"] = torch.linspace(1, 0.3, len(found["scale_arr"]))
    if variant == TOON:
        found |= {
            f"{DECODER}attn_refinement.0.conv.weight": torch.zeros(32, 32, 1, 1),
            f"{DECODER}conv_out.time_mix_conv.weight": torch.zeros(3, 3, 3, 1, 1),
            f"{DECODER}mid.block_1.mix_factor": torch.zeros(1),
            f"{DECODER}mid.block_1.time_stack.in_layers.0.weight": torch.zeros(32),
        }
        found[f"{DECODER}conv_in.bias"] += 1  # tuned: another one than DynamiCrafter's
    return found


def saved(variant: str, folder: Path, form: str) -> tuple[Path, tuple[Any, ...]]:
    """A released file, and what importing it needs beside it."""
    found, more = as_released(variant), list[Any]()
    if form == "ckpt":
        file = folder / PUBLISHED[variant] / "model.ckpt"
        file.parent.mkdir()
        torch.save({"state_dict": found}, file)
    else:
        file = folder / f"{PUBLISHED[variant].removesuffix('_v1')}_fp16_pruned.safetensors"
        towers = {n: t for n, t in found.items() if n.startswith((TEXT, IMAGE))}
        rest = {n: t.half() for n, t in found.items() if n not in towers}
        save_file(rest, file)
        clip = folder / "clip"
        clip.mkdir()
        visual = {n.removeprefix(IMAGE): t for n, t in towers.items() if "visual" in n}
        text = {n.removeprefix(TEXT): t for n, t in towers.items() if n.startswith(TEXT)}
        torch.save(visual | text, clip / "open_clip_pytorch_model.bin")
        more += ["--clip", clip]
    if variant == TOON:
        lender = folder / "lender.safetensors"
        save_file({n: t for n, t in recorded().items() if n.startswith("first_stage")}, lender)
        more += ["--decoder", lender]
    return file, tuple(more)


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    random = np.random.default_rng(0)
    files = tmp_path / "a.png", tmp_path / "b.png"
    for file in files:
        Image.fromarray(random.integers(0, 256, (32, 48, 3), np.uint8)).save(file)
    yield files


@pytest.mark.parametrize("form", ["ckpt", "pruned"])
@pytest.mark.parametrize("variant", PUBLISHED)
def test_every_released_model_is_imported(variant: str, form: str, tmp_path: Path) -> None:
    """Told from the file alone."""
    file, more = saved(variant, tmp_path, form)
    out = tmp_path / "mine"
    result = invoke("models", "import", file, "-o", out, *more)
    assert result.exit_code == 0, (result.output, result.exception)
    config = json.loads((out / "config.json").read_text())
    assert config["facts"]["variant"] == variant
    unet, original = load_file(out / "unet.safetensors"), as_released(variant)
    spelled = "framestride_embed" if variant == "256" else "fps_embedding"
    for name, theirs in (
        ("fps_embedding.0.bias", f"{UNET}{spelled}.0.bias"),
        ("out.2.weight", f"{UNET}out.2.weight"),
    ):
        assert torch.equal(unet[name], original[theirs].to(unet[name].dtype))
    assert any(n.endswith("attn2.alpha") for n in unet) == (variant == "256")
    decoder = load_file(out / "autoencoder.safetensors")["decoder.conv_in.bias"]
    assert torch.equal(decoder.float(), recorded()[f"{DECODER}conv_in.bias"].float())
    spec = base.spec_of(store.resolve(str(out)).folder)
    assert spec.both_ends == (variant in ("512_interp", TOON)) and spec.text


@pytest.mark.parametrize("command", ["interpolate", "morph", "blend", "transition"])
def test_a_folder_works_by_its_path(
    command: str, tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    file, more = saved("512_interp", tmp_path, "ckpt")
    folder, clip = tmp_path / "mine", tmp_path / "clip.mp4"
    assert invoke("models", "import", file, "-o", folder, *more).exit_code == 0
    drawn = ("--steps", 1, "--device", "cpu", "-o", clip)
    result = invoke(command, *pictures, "--model", folder, *drawn)
    assert result.exit_code == 0, (result.output, result.exception)
    sidecar = json.loads(Path(f"{clip}.json").read_text())
    assert sidecar["job"]["model"] == "./mine" and clip.stat().st_size > 0


def refusal(*arguments: object) -> VtgError:
    error = invoke("models", "import", *arguments).exception
    assert isinstance(error, VtgError), error
    return error


def test_tooncrafters_decoder_is_not_taken_for_another(tmp_path: Path) -> None:
    file, (_, lender) = saved(TOON, tmp_path, "ckpt")
    out = tmp_path / "mine"
    error = refusal(file, "-o", out)
    assert type(error) is WeightsError and error.exit_code == 5
    assert "decodes in a way of its own" in error.message and "--decoder" in error.hint
    assert "holds no plain decoder" in refusal(file, "-o", out, "--decoder", file).message
    wrong = refusal(file, "-o", out, "--decoder", lender, "--variant", "512_interp")
    assert wrong.message.endswith("is no 512_interp model: its decoder says it is ToonCrafter")
    plain, _ = saved("512", tmp_path, "ckpt")
    assert refusal(plain, "-o", out, "--variant", TOON).message.endswith(
        "is no tooncrafter model: its decoder says it is no ToonCrafter"
    )
    assert not out.exists()


def test_what_is_named_beside_a_checkpoint_is_looked_at(tmp_path: Path) -> None:
    """Though this one needs neither."""
    (plain, _), out = saved("512", tmp_path, "ckpt"), tmp_path / "mine"
    text, other, gone = tmp_path / "notes.txt", tmp_path / "other.safetensors", tmp_path / "gone"
    text.write_text("no decoder")
    save_file({"a": torch.zeros(1)}, other)
    refusals = {
        ("--decoder", text): f"{text} cannot be read as a checkpoint: "
        "it is no zip archive, as torch writes them",
        ("--decoder", other): f"{other} holds no plain decoder",
        ("--decoder", gone): f"there is no file {gone}",
        ("--clip", gone): f"there is no folder {gone}",
        ("--clip", tmp_path): f"{tmp_path} holds no CLIP weights and no vocabulary of it: none of "
        "open_clip_model.safetensors, model.safetensors, open_clip_pytorch_model.bin, "
        "pytorch_model.bin, and not both of vocab.json, merges.txt",
    }
    for arguments, message in refusals.items():
        error = refusal(plain, "-o", out, *arguments)
        assert (error.message, error.exit_code) == (message, 5)
    assert not out.exists()
    result = invoke("models", "import", plain, "-o", out, "--decoder", plain)
    assert result.exit_code == 0
    told = "--decoder is not needed: model.ckpt has a plain decoder of its own"
    assert told in result.stderr.splitlines()


def test_tooncrafters_network_is_that_of_512() -> None:
    """Its published config (configs/inference_512_v1.0.yaml): every size of the U-Net."""
    unet = {
        "in_channels": 8,
        "out_channels": 4,
        "model_channels": 320,
        "attention_resolutions": [4, 2, 1],
        "num_res_blocks": 2,
        "channel_mult": [1, 2, 4, 4],
        "num_head_channels": 64,
        "transformer_depth": 1,
        "context_dim": 1024,
        "use_linear": True,
        "temporal_conv": True,
        "temporal_attention": True,
        "temporal_selfatt_only": True,
        "use_relative_position": False,
        "use_causal_attention": False,
        "temporal_length": 16,
        "addition_attention": True,
        "image_cross_attention": True,
        "default_fs": 24,
        "fs_condition": True,
    }
    assert UNetConfig.of(unet) == RELEASED["tooncrafter"] == RELEASED["512"]
    params = {
        "parameterization": "v",
        "rescale_betas_zero_snr": True,
        "use_dynamic_rescale": True,
        "base_scale": 0.7,
        "scale_factor": 0.18215,
        "image_size": [40, 64],
        "unet_config": {"params": unet},
        "first_stage_config": {"params": {"ddconfig": {"ch_mult": [1, 2, 4, 4]}}},
        "image_proj_stage_config": {"params": {"video_length": 16}},
    }
    assert Facts.of(params, TOON) == VARIANTS[TOON]
