"""Rotated temporal attention: one network on the batch [forward, reversed] against two with stored,
flipped maps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vtg_cli.conditioning.cond import Cond
from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.fusion import Delta, bidirectional, rotate_pairs
from vtg_cli.sampling.guidance import cfg
from vtg_cli.sampling.level import Level

F, C, D, HEADS = 6, 4, 16, 2
LEVEL = Level(1.0, 1.0, 0.0)


class Attention(nn.Module):
    """Self-attention with materialised maps, as papers draw it: the oracle, and the layer under
    test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heads = HEADS
        self.to_q, self.to_k, self.to_v = (nn.Linear(D, D, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(D, D), nn.Identity()])

    def maps(self, h: Tensor) -> Tensor:
        q, k = (p(h).unflatten(-1, (HEADS, -1)).transpose(1, 2) for p in (self.to_q, self.to_k))
        return (q @ k.mT / (D // HEADS) ** 0.5).softmax(-1)

    def attend(self, maps: Tensor, h: Tensor) -> Tensor:
        v = self.to_v(h).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        out: Tensor = self.to_out[0]((maps @ v).transpose(1, 2).flatten(-2))
        return out

    def forward(self, h: Tensor) -> Tensor:
        return self.attend(self.maps(h), h)


class Net(nn.Module):
    """A video network in small: per-position temporal attention and a non-linearity, three
    times.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(C, D)
        self.attention = nn.ModuleList(Attention() for _ in range(3))
        self.mix = nn.ModuleList(nn.Linear(D, D) for _ in range(3))
        self.outer = nn.Linear(D, C)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        b, f, _, height, width = x.shape
        h = x.permute(0, 3, 4, 1, 2).reshape(-1, f, C) + told.repeat_interleave(height * width, 0)
        h = self.inner(h)
        for attention, mix in zip(self.attention, self.mix, strict=True):
            h = h + attention(h)
            h = h + torch.tanh(mix(h))
        return self.outer(h).reshape(b, height, width, f, C).permute(0, 3, 4, 1, 2)


@pytest.fixture
def setting() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ahead = Net().double().requires_grad_(False)
        back = copy.deepcopy(ahead)
        deltas: dict[nn.Module, Delta] = {}
        for a, b in zip(ahead.attention, back.attention, strict=True):
            v, out, bias = (0.3 * torch.randn(*s).double() for s in ((D, D), (D, D), (D,)))
            b.to_v.weight += v
            b.to_out[0].weight += out
            b.to_out[0].bias += bias
            deltas[a] = Delta(v, out, bias)
        x = torch.randn(1, F, C, 3, 2).double()
        told = [torch.randn(1, 1, C).double() for _ in range(2)]
    return ahead, back, deltas, x, told


def two_networks(ahead: Net, back: Net, x: Tensor, told: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The reference's way: store every map of the forward network, feed them turned by 180 degrees
    to the other.
    """
    stored: list[Tensor] = []

    def store(m: Any, forward: Callable[..., Tensor], h: Tensor) -> Tensor:
        stored.append(m.maps(h))
        return forward(h)

    with overriding(ahead.attention, store):
        forward = ahead(x, told[0])
    maps = iter(stored)
    with overriding(back.attention, lambda m, f, h: m.attend(next(maps).flip(-2, -1), h)):
        backward = back(x.flip(1), told[1])
    return forward, backward


def test_one_network_equals_two_with_stored_maps(setting: Any) -> None:
    ahead, back, deltas, x, told = setting
    forward, backward = two_networks(ahead, back, x, told)
    weight = torch.linspace(1, 0, F, dtype=torch.float64)[None, :, None, None, None]
    predict = bidirectional(lambda x, level: ahead(x, torch.cat(told)), weight)
    with overriding(ahead.attention, rotate_pairs(deltas)):
        got = predict(x, LEVEL)
    expected = weight * forward + (1 - weight) * backward.flip(1)
    assert torch.allclose(got, expected, rtol=0, atol=1e-12)
    assert "forward" not in ahead.attention[0].__dict__


def guided_setting(setting: Any) -> Any:
    ahead, back, deltas, x, told = setting
    nothing = [torch.zeros(1, 1, C).double()] * 2
    f1, b1 = two_networks(ahead, back, x, told)
    f0, b0 = two_networks(ahead, back, x, nothing)
    scale = 2.5
    expected = 0.5 * (f0 + scale * (f1 - f0)) + 0.5 * (b0 + scale * (b1 - b0)).flip(1)
    return ahead, deltas, x, torch.cat(told), torch.cat(nothing), scale, expected


@pytest.mark.parametrize("sequential", [False, True])
def test_under_guidance_with_directions_outermost(setting: Any, sequential: bool) -> None:
    ahead, deltas, x, told, nothing, scale, expected = guided_setting(setting)

    def denoise(x: Tensor, level: Level, cond: Cond) -> Tensor:
        assert cond.text is not None
        return ahead(x, cond.text[:, :, 0])

    pair, null = (Cond(text=c[:, :, None]) for c in (told, nothing))
    predict = bidirectional(cfg(denoise, pair, null, scale, sequential=sequential), 0.5)
    with overriding(ahead.attention, rotate_pairs(deltas)):
        got = predict(x, LEVEL)
    assert torch.allclose(got, expected, rtol=0, atol=1e-12)


def test_the_other_batch_order_is_silently_wrong(setting: Any) -> None:
    """Terms outermost: the halves are then guidance terms, and maps cross from one to the other."""
    ahead, deltas, x, told, nothing, scale, expected = guided_setting(setting)

    def wrong(x: Tensor, level: Level) -> Tensor:
        p, q = ahead(torch.cat([x, x]), torch.cat([told, nothing])).chunk(2)
        return q + scale * (p - q)

    with overriding(ahead.attention, rotate_pairs(deltas)):
        got = bidirectional(wrong, 0.5)(x, LEVEL)
    assert float((got - expected).norm() / expected.norm()) > 0.1


def test_without_deltas_the_reverse_half_uses_the_shared_weights(setting: Any) -> None:
    ahead, _, _, x, told = setting
    forward, backward = two_networks(ahead, ahead, x, told)
    with overriding(ahead.attention, rotate_pairs({})):
        got = ahead(torch.cat([x, x.flip(1)]), torch.cat(told))
    assert torch.allclose(got, torch.cat([forward, backward]), rtol=0, atol=1e-12)


def test_bidirectional_of_a_time_symmetric_model_is_that_model() -> None:
    x = torch.randn(1, F, C, 2, 2, generator=torch.Generator().manual_seed(1))
    got = bidirectional(lambda x, level: torch.tanh(x), 0.3)(x, LEVEL)
    assert torch.allclose(got, torch.tanh(x), rtol=0, atol=1e-6)
