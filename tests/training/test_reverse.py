"""The second stage: zero at first, on any backbone, and it lowers the fused prediction's loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from vtg_cli.backbones import base
from vtg_cli.backbones.base import Backbone
from vtg_cli.backbones.tiny.model import Tiny
from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.prior import backwards
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.fusion import rotate_pairs
from vtg_cli.sampling.level import edm_level
from vtg_cli.training.example import Example
from vtg_cli.training.reverse import ReverseMotion
from vtg_cli.weights import delta

SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
LEVEL = edm_level(0.5)


def tiny() -> Tiny:
    torch.manual_seed(0)
    network = Network(Shape(width=32, depth=2, head=16, fine=8, middle=16))
    for parameter in network.parameters():
        if not bool(parameter.any()):
            nn.init.normal_(parameter, std=0.2)
    return Tiny(network.requires_grad_(False))


def task(m: Backbone) -> tuple[torch.Tensor, Cond]:
    """Clean latents and both conditions of a small clip of noise."""
    generator = torch.Generator().manual_seed(1)
    ends = torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1
    keys = Keyframes.ends(ends[0], ends[1], 6)
    told = [k if m.spec.both_ends else k.only(0) for k in (keys, keys.reversed())]
    pair = Cond.stack([m.condition(k) for k in told])
    size = m.latent_size(32, 32)
    return torch.randn(1, 6, m.spec.channels, *size, generator=generator), pair


@pytest.fixture(params=["tiny", "svd"])
def m(request: pytest.FixtureRequest) -> Backbone:
    return tiny() if request.param == "tiny" else base.load(SVD, device="cpu", dtype="fp32")


def given(m: Backbone) -> Example:
    x0, pair = task(m)
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(2))
    return Example(x0=x0, eps=eps, level=LEVEL, pair=pair)


def test_before_training_it_is_rotated_attention_alone(m: Backbone) -> None:
    told = given(m)
    trained = ReverseMotion(m)
    layers = m.modules("temporal_attention")
    x = LEVEL.noise(told.x0, told.eps)
    with torch.no_grad():
        with trained.applied():
            ours = m(torch.cat([x, x.flip(1)]), LEVEL, told.pair)
        with overriding(layers, rotate_pairs({})):
            plain = m(torch.cat([x, x.flip(1)]), LEVEL, told.pair)
    assert torch.equal(ours, plain)
    assert len(trained.by_name()) == 2 * len(layers)
    assert not any(bool(value.any()) for value in trained.by_name().values())


def test_v_loss_is_the_weighted_loss_of_x0() -> None:
    m = base.load(SVD, device="cpu", dtype="fp32")
    told = given(m)
    trained = ReverseMotion(m)
    x = LEVEL.noise(told.x0, told.eps)
    with torch.no_grad(), trained.applied():
        x0 = m(torch.cat([x, x.flip(1)]), LEVEL, told.pair)[1:]
        loss = trained.loss(told)
    back = x.flip(1)
    v = LEVEL.v_from_x0(back, x0) - LEVEL.v_from_x0(back, told.x0.flip(1))
    assert float(loss) == pytest.approx(float(v.square().mean()), rel=1e-4)


def test_training_moves_the_delta_alone_and_lowers_the_loss(m: Backbone) -> None:
    told = given(m)
    trained = ReverseMotion(m)
    before = {name: p.clone() for name, p in m.network.named_parameters()}
    optimizer = torch.optim.Adam(trained.parameters(), lr=3e-3)
    losses = []
    with trained.applied():
        for _ in range(8):
            loss = trained.loss(told)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 1e-5
    assert all(torch.equal(before[n], p) for n, p in m.network.named_parameters())
    assert all(bool(value.any()) for value in trained.by_name().values())


def test_what_is_trained_is_kept_and_loaded_as_a_delta_file(tmp_path: Path) -> None:
    m = tiny()
    trained = ReverseMotion(m)
    with torch.no_grad():
        for value in trained.values:
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(3)) / 10)
    file = tmp_path / "reverse.safetensors"
    delta.save(trained.by_name(), file, {"steps": "8"})
    loaded = Tiny(m.network, reverse=delta.load(file))
    x0, pair = task(m)
    both = torch.cat([x0, x0.flip(1)])
    with torch.no_grad():
        with overriding(m.modules("temporal_attention"), rotate_pairs(loaded.reverse)):
            kept = m(both, LEVEL, pair)
        with trained.applied():
            ours = m(both, LEVEL, pair)
    # half precision: 3 digits
    assert float((kept - ours).abs().max()) < 5e-3


def test_backwards_twice_is_as_it_was() -> None:
    concat = torch.rand(2, 5, 8, 3, 4)
    turned = backwards(concat)
    assert torch.equal(turned[:, 0, :4], concat[:, 4, 4:]) and torch.equal(
        backwards(turned), concat
    )
