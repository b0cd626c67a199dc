"""The SVD backbone on the recordings' tiny model: real classes, random weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rounding import DEEP, rounding
from torch import Tensor

from vtg_cli.backbones import base
from vtg_cli.backbones.svd.model import antialiased_resize
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.level import edm_level
from vtg_cli.weights import layout

FOLDER = Path(__file__).parents[2] / "data" / "parity" / "tiny_svd"


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def m() -> base.Backbone:
    return base.load(FOLDER, device="cpu", dtype="fp32")


def condition(m: base.Backbone, frames: int, height: int, width: int) -> Cond:
    keys = Keyframes(randn(1, 1, 3, height, width).clamp(-1, 1), (0,), frames)
    return m.condition(keys, noise=randn(2, 1, 3, height, width))


def test_spec_comes_from_the_json_files_alone() -> None:
    spec = base.spec_of(FOLDER)
    assert (spec.frames, spec.fps, spec.channels) == (6, Fraction(7), 4)
    assert spec.factor == 4 and spec.area == (16 * 4) ** 2


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 28), (12, 44)])
def test_x0_is_diffusers_preconditioning_of_the_plain_network(
    m: base.Backbone, height: int, width: int
) -> None:
    """Against the network without our shortcut for one-token cross-attention; also at odd latent
    sizes.
    """
    cond, sigma = condition(m, 6, height, width), 3.7
    cond = Cond.stack([cond, m.null(cond)])
    assert cond.image is not None and cond.concat is not None
    x = randn(3, 2, 6, 4, height // 4, width // 4) * sigma
    with torch.inference_mode():
        ours = m(x, edm_level(sigma), cond)
        scaled = torch.cat([x / (sigma**2 + 1) ** 0.5, cond.concat], 2)
        t = torch.tensor([0.25]) * torch.log(torch.tensor(sigma))
        v = m.network(scaled, t, cond.image[:, 0], cond.motion).sample
    x0 = x / (sigma**2 + 1) - v * sigma / (sigma**2 + 1) ** 0.5
    # x0 has the size of x, about 4 sigma, at places
    assert float((ours - x0).abs().max()) < rounding(DEEP, 4)


def test_resize_is_diffusers_own() -> None:
    from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
        _resize_with_antialiasing,
    )

    for height, width in [(48, 64), (576, 1024), (301, 250), (224, 224), (900, 50)]:
        x = randn(4, 1, 3, height, width).double()
        theirs = _resize_with_antialiasing(x, (224, 224))
        # two blurs and two resizes of numbers below 6, sums of some tens each
        atol = rounding(4 * 64, 6, np.float64)
        assert torch.allclose(antialiased_resize(x, 224), theirs, rtol=0, atol=atol)


def test_null_drops_the_picture_and_keeps_the_kinds(m: base.Backbone) -> None:
    cond = condition(m, 6, 32, 32)
    null = m.null(cond)
    for told, dropped in ((cond.image, null.image), (cond.concat, null.concat)):
        assert told is not None and dropped is not None
        assert told.shape == dropped.shape
        assert float(told.abs().max()) > 0 and float(dropped.abs().max()) == 0
    assert null.motion is not None and null.motion.tolist() == [[6.0, 127.0, pytest.approx(0.02)]]
    kept = m.null(cond, drop=("text",))
    assert kept is cond


def test_condition_takes_one_picture_at_the_start(m: base.Backbone) -> None:
    two = Keyframes(torch.zeros(2, 3, 32, 32), (0, 5), 6)
    with pytest.raises(ValueError, match="one picture at position 0"):
        m.condition(two)


def test_encode_is_scaled_and_decode_counts_its_chunks() -> None:
    m = base.load(FOLDER, device="cpu", dtype="fp32", decode_chunk=4)
    pixels = randn(5, 1, 6, 3, 32, 48).clamp(-1, 1)
    counted: list[tuple[int, int]] = []
    with torch.inference_mode():
        z = m.encode(pixels)
        keys = Keyframes(pixels[0, :1], (0,), 6)
        cond = m.condition(keys)
        out = m.decode(z, on_frames=lambda done, total: counted.append((done, total)))
    assert z.shape == (1, 6, 4, 8, 12) and out.shape == pixels.shape
    assert counted == [(4, 6), (6, 6)]
    assert cond.concat is not None
    # the conditioning latents are the same encoding, unscaled (SVD's scaling factor is 0.18215)
    assert torch.allclose(cond.concat[:, 0] * 0.18215, z[:, 0], rtol=0, atol=rounding(DEEP))


def test_kinds_of_modules_are_counted(m: base.Backbone) -> None:
    counts = {k: len(m.modules(k)) for k in ("temporal_attention", "spatial_attention", "block")}
    # one transformer in the down block, one in the middle, two in the up block
    assert counts == {"temporal_attention": 4, "spatial_attention": 4, "block": 8}
    assert len(m.modules("cross_attention")) == 8
    assert m.modules("block_along_time") == []


def test_low_precision_loads_and_the_codec_stays_in_float32() -> None:
    m = base.load(FOLDER, device="cpu", dtype="bf16")
    full = base.load(FOLDER, device="cpu", dtype="fp32")
    assert next(m.network.parameters()).dtype == torch.bfloat16
    assert m.vae.dtype == torch.float32  # type: ignore[attr-defined]  # force_upcast in its config
    x = randn(6, 1, 6, 4, 8, 8)
    cond = condition(full, 6, 32, 32)
    with torch.inference_mode():
        low, high = (model(x, edm_level(1.0), cond) for model in (m, full))
    # bf16 keeps 8 bits of mantissa; through the network a few per cent of the prediction's size
    assert float((low - high).norm() / high.norm()) < 0.05
    assert float((low - high).abs().max()) > 0


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("no.such.attn1.to_v.weight", (2, 2), "a tensor this model lacks: no.such"),
        ("{layer}.to_v.weight", (2, 2), r"is \[2, 2\], the model's is \[32, 32\]"),
        ("{layer}.to_q.weight", (32, 32), "lacks"),
    ],
)
def test_a_delta_that_does_not_fit_is_refused(
    name: str, shape: tuple[int, int], message: str
) -> None:
    layer = "down_blocks.0.attentions.0.temporal_transformer_blocks.0.attn1"
    with pytest.raises(WeightsError, match=message):
        base.load(
            FOLDER,
            device="cpu",
            dtype="fp32",
            reverse={name.format(layer=layer): torch.zeros(shape)},
        )


def broken(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    return folder


def test_missing_and_corrupt_parts_are_named(tmp_path: Path) -> None:
    folder = broken(tmp_path)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"safetensors is damaged: "):
        base.load(folder, device="cpu", dtype="fp32")
    weights.unlink()
    with pytest.raises(WeightsError, match=r"unet has no diffusion_pytorch_model.safetensors"):
        base.load(folder, device="cpu", dtype="fp32")
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"has no vae/config.json"):
        base.spec_of(folder)
    (folder / "model_index.json").write_text("{not json")
    with pytest.raises(WeightsError, match=r"model_index.json cannot be read"):
        base.spec_of(folder)


@pytest.mark.usefixtures("no_network")  # the libraries once asked the hub about shards
@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_shards_of_the_half_precision_variant(dtype: str, tmp_path: Path) -> None:
    """Written by the libraries themselves, beside an autoencoder in one full-precision file."""
    from diffusers import UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionModelWithProjection

    folder = broken(tmp_path)
    for part, kind, size in (
        ("unet", UNetSpatioTemporalConditionModel, "400KB"),
        ("image_encoder", CLIPVisionModelWithProjection, "100KB"),
    ):
        (weights,) = (folder / part).glob("*.safetensors")
        weights.unlink()
        half = kind.from_pretrained(FOLDER, subfolder=part, torch_dtype=torch.float16)
        half.save_pretrained(folder / part, variant="fp16", max_shard_size=size)
        assert len([*(folder / part).glob("*.fp16-0000*-of-0000*.safetensors")]) > 1
    assert layout.lacking(layout.names_in(folder)) == ()
    loaded = base.load(folder, device="cpu", dtype=dtype).network.state_dict()
    whole = base.load(FOLDER, device="cpu", dtype="fp16").network.state_dict()
    assert loaded.keys() == whole.keys()
    assert all(torch.equal(loaded[name].half(), whole[name]) for name in whole)
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.fp16.json"
    index.unlink()
    assert layout.lacking(layout.names_in(folder)) == (index.relative_to(folder).as_posix(),)


def test_other_kinds_of_models_are_refused(tmp_path: Path) -> None:
    folder = broken(tmp_path)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(WeightsError, match="class FluxPipeline are not supported"):
        base.load(folder)
    folder = broken(tmp_path / "eps")
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    config["prediction_type"] = "epsilon"
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="only v_prediction"):
        base.load(folder, device="cpu", dtype="fp32")


def test_unknown_devices_and_types_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="--device nowhere"):
        base.load(FOLDER, device="nowhere")
    with pytest.raises(UsageError, match="--dtype int3"):
        base.load(FOLDER, device="cpu", dtype="int3")


def test_a_token_for_every_frame_is_told_frame_by_frame(m: base.Backbone) -> None:
    """Attention in frames looks at the frame's own, along time at the first one: against the
    network itself, its context laid out by hand.
    """
    frames, level = 4, edm_level(0.5)
    cond = condition(m, frames, 16, 24)
    assert cond.image is not None and cond.concat is not None and cond.motion is not None
    x = randn(3, 1, frames, 4, *m.latent_size(16, 24))
    repeated = replace(cond, image=cond.image.expand(-1, frames, -1, -1))
    with torch.no_grad():
        shared = m(x, level, cond)
        # the same token for all, by another way: sums in another order
        assert torch.allclose(m(x, level, repeated), shared, rtol=0, atol=rounding(DEEP, 4))
        own = replace(cond, image=randn(4, 1, frames, 1, cond.image.shape[-1]))
        mine = m(x, level, own)

        def laid_out(_: Any, forward: Any, h: Tensor, **more: Any) -> Any:
            assert own.image is not None
            more["encoder_hidden_states"] = own.image[0]
            return forward(h, **more)

        transformers = [
            part
            for name, part in m.network.named_modules()
            if ".attentions." in name and type(part).__name__ == "TransformerSpatioTemporalModel"
        ]
        with overriding(transformers, laid_out):
            scaled = torch.cat([x / level.scale, cond.concat], 2)
            v = m.network(scaled, torch.tensor([level.t]), cond.image[:, 0], cond.motion).sample
    assert torch.allclose(mine, level.x0_from_v(x, v), rtol=0, atol=rounding(DEEP, 4))
    assert not torch.allclose(mine, shared, atol=1e-3)
