from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from rounding import DEEP, rounding
from torch import Tensor

from vtg_cli.backbones.dynamicrafter.unet import (
    RELEASED,
    SelfAttention,
    TemporalTransformer,
    UNet,
    UNetConfig,
    sinusoids,
)
from vtg_cli.errors import WeightsError
from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.fusion import Delta, rotate_pairs

SMALL = UNetConfig(
    model_channels=32,
    num_res_blocks=1,
    attention_resolutions=(2, 1),
    channel_mult=(1, 2),
    num_head_channels=16,
    context_dim=24,
)
PARAMS = {
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 320,
    "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2,
    "channel_mult": [1, 2, 4, 4],
    "num_head_channels": 64,
    "context_dim": 1024,
    "use_linear": True,
    "temporal_conv": True,
    "default_fs": 24,
}

ROUNDING = rounding(DEEP, 4, np.float64)
"""Of outputs below 4, everything in float64."""


def randn(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def build(config: UNetConfig) -> UNet:
    """Same weights every time, independent of what else drew random numbers."""
    net = UNet(config).eval().requires_grad_(False).double()
    for i, (name, parameter) in enumerate(net.named_parameters()):
        if name.endswith("bias"):
            parameter.copy_(randn(i, *parameter.shape) / 10)
        elif parameter.ndim > 1:  # norms keep their ones
            parameter.copy_(randn(i, *parameter.shape) / math.sqrt(parameter[0].numel()))
    return net


@pytest.fixture(scope="module")
def net() -> UNet:
    return build(SMALL)


def inputs(batch: int = 2, frames: int = 3) -> dict[str, Any]:
    return {
        "x": randn(1, batch, frames, 8, 4, 6),
        "timesteps": torch.tensor([700, 20, 999][:batch]),
        "text": randn(2, batch, 5, 24),
        "image": randn(3, batch, frames, 4, 24),
        "fs": torch.tensor([5, 24, 10][:batch]),
    }


def off(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())


def test_the_same_text_for_every_frame_is_a_shared_text(net: UNet) -> None:
    told = inputs()
    shared = net(**told)
    assert shared.shape == (2, 3, 4, 4, 6)
    for frames in (1, 3):
        text = told["text"][:, None].expand(-1, frames, -1, -1)
        assert off(net(**told | {"text": text}), shared) < ROUNDING
    own = told["text"][:, None].repeat(1, 3, 1, 1)
    own[:, 2] += 1  # a text of its own for the last frame
    assert off(net(**told | {"text": own}), shared) > 1e-3


def test_one_frames_image_tokens_are_shared_by_all(net: UNet) -> None:
    told = inputs()
    one = told["image"][:, :1]
    assert (
        off(net(**told | {"image": one}), net(**told | {"image": one.expand(-1, 3, -1, -1)}))
        < ROUNDING
    )


def test_tokens_of_another_number_of_frames_are_refused(net: UNet) -> None:
    with pytest.raises(ValueError, match="tokens of 2 frames for 3 frames"):
        net(**inputs() | {"image": randn(3, 2, 2, 4, 24)})


def test_each_of_a_batch_is_as_if_alone(net: UNet) -> None:
    told = inputs()
    alone = [net(**{name: v[i : i + 1] for name, v in told.items()}) for i in range(2)]
    assert off(net(**told), torch.cat(alone)) < ROUNDING


def test_fs_not_told_is_the_configs(net: UNet) -> None:
    told = inputs()
    default = torch.full((2,), SMALL.default_fs)
    assert torch.equal(net(**told | {"fs": None}), net(**told | {"fs": default}))
    assert off(net(**told), net(**told | {"fs": None})) > 1e-4


def test_alpha_scales_what_the_image_says() -> None:
    """At 0 it changes nothing; towards minus infinity the image is not heard."""
    plain, scaled = build(SMALL), UNet(replace(SMALL, learned_scale=True)).eval().double()
    lacking = scaled.load_state_dict(plain.state_dict(), strict=False).missing_keys
    alphas = [p for name, p in scaled.named_parameters() if name.endswith("attn2.alpha")]
    assert len(lacking) == len(alphas) == len(plain.parts("cross_attention"))
    told = inputs()
    with torch.no_grad():
        assert off(scaled(**told), plain(**told)) < ROUNDING
        for alpha in alphas:
            alpha.fill_(-30.0)
        deaf = [scaled(**told | {"image": image}) for image in (told["image"], -told["image"])]
    assert off(*deaf) < ROUNDING
    assert off(deaf[0], plain(**told)) > 1e-3


def test_sinusoids_are_cosines_then_sines() -> None:
    ours = sinusoids(torch.tensor([3, 999]), 8)
    rates = [10000 ** (-i / 4) for i in range(4)]
    wanted = [[f(t * r) for f in (math.cos, math.sin) for r in rates] for t in (3, 999)]
    # float32: the largest angle is exact, the next, 100, off by four roundings of its exponent
    assert off(ours, torch.tensor(wanted)) < 999 * torch.finfo(torch.float32).eps


def test_temporal_attention_looks_along_time_only(net: UNet) -> None:
    """What one position does not say, its neighbours cannot hear, but for the norm of the clip."""
    layer = next(m for m in net.modules() if isinstance(m, TemporalTransformer))
    with overriding([layer.norm], lambda _m, _f, h: h):
        x = randn(5, 6, 32, 2, 2)
        changed = x.clone()
        changed[0, :, 0, 0] += 1
        told: Any = type("Told", (), {"frames": 3})
        difference = (layer(changed, told) - layer(x, told)).abs().amax(1)
    assert difference[:3, 0, 0].min() > 1e-4  # every frame of the first clip, there alone
    difference[:3, 0, 0] = 0
    assert difference.max() < ROUNDING


def test_rotated_pairs_are_the_rotated_map_written_out(net: UNet) -> None:
    """The reversed half attends with the forward half's map, turned by 180 degrees."""
    layers = net.parts("temporal_attention")
    for n, layer in enumerate((layers[0], layers[-1])):
        assert isinstance(layer, SelfAttention)
        width = layer.to_q.in_features
        delta = Delta(to_v=randn(7, width, width) / 9, to_out_bias=randn(8, width))
        ahead, back = randn(9 + n, 2, 5, 4, width)
        with overriding([layer], rotate_pairs({layer: delta})):
            ours = layer(torch.cat([ahead, back]))

        def heads(h: Tensor, count: int = layer.heads) -> Tensor:
            return torch.unflatten(h, -1, (count, -1)).transpose(1, 2)

        query, key = heads(layer.to_q(ahead)), heads(layer.to_k(ahead))
        chart = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)
        assert delta.to_v is not None and delta.to_out_bias is not None
        changed = layer.to_v(back) + back @ delta.to_v.T
        there = (chart @ heads(layer.to_v(ahead))).transpose(1, 2).flatten(2)
        again = (chart.flip(-1, -2) @ heads(changed)).transpose(1, 2).flatten(2)
        wanted = torch.cat([layer.to_out(there), layer.to_out(again) + delta.to_out_bias])
        assert off(ours, wanted) < ROUNDING


def test_a_rotated_network_keeps_its_forward_half(net: UNet) -> None:
    told = inputs()
    with overriding(net.parts("temporal_attention"), rotate_pairs({})):
        rotated = net(**told)
    plain = net(**told)
    assert off(rotated[:1], plain[:1]) < ROUNDING
    assert off(rotated[1:], plain[1:]) > 1e-3


def test_parts_of_the_released_networks() -> None:
    with torch.device("meta"):
        net = UNet(RELEASED["512"])
    counts = {
        kind: len(net.parts(kind))
        for kind in ("temporal_attention", "spatial_attention", "cross_attention", "block")
    }
    along = net.parts("block_along_time")
    assert len(along) == 17 and all(block in net.parts("block") for block in along)
    assert counts == {
        "temporal_attention": 34,
        "spatial_attention": 16,
        "cross_attention": 16,
        "block": 33,
    }
    names = {module: name for name, module in net.named_modules()}
    found = [names[module] for module in net.parts("temporal_attention")]
    assert found[:2] == [f"init_attn.0.transformer_blocks.0.attn{n}" for n in (1, 2)]
    assert found[-1] == "output_blocks.11.2.transformer_blocks.0.attn2"


def test_half_precision_stays_close(net: UNet) -> None:
    told = inputs()
    wanted, y = net(**told), build(SMALL).half()(**told | {"x": told["x"].half()})
    assert y.dtype == torch.float16
    assert float((y.float() - wanted).std()) < 0.02 * float(wanted.std())


def test_config_of_the_reference() -> None:
    assert UNetConfig.of(PARAMS) == RELEASED["512"]
    learned = UNetConfig.of(
        PARAMS | {"image_cross_attention_scale_learnable": True, "default_fs": 3}
    )
    assert learned == RELEASED["256"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("use_linear", False), ("use_causal_attention", True), ("num_head_channels", -1)],
)
def test_other_networks_are_refused(name: str, value: object) -> None:
    with pytest.raises(WeightsError, match=f"{name} is {value}"):
        UNetConfig.of(PARAMS | {name: value})
