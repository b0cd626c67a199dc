"""Weights on the host: there when they are used, and no more of them than one unit."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vtg_cli.backbones import base
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.hooks import overriding
from vtg_cli.lowmem import offload as away_module
from vtg_cli.lowmem.offload import Resting, away, units
from vtg_cli.machine.rungs import Weights
from vtg_cli.sampling.fusion import rotate_pairs
from vtg_cli.sampling.level import Level

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones" / "dynamicrafter"))
from tiny_models import FRAMES, HEIGHT, WIDTH, tiny

CPU = torch.device("cpu")
SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
WAYS: tuple[Weights, ...] = ("blocks", "leaves")


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


TUNED = "down_blocks.0.attentions.0.temporal_transformer_blocks.0.attn1.to_v.weight"


def svd() -> Any:
    shape = base.load(SVD, device="cpu", dtype="fp32").network.get_parameter(TUNED).shape
    reverse = {TUNED: torch.full(shape, 0.01)}
    return base.load(SVD, device="cpu", dtype="fp32", reverse=reverse)


def used(m: Any) -> list[Tensor]:
    """What comes out of every network of a model, under the override that reads its weights."""
    size = (64, 64) if "vae" in m.parts() else (HEIGHT, WIDTH)
    frames = m.spec.frames if size[0] == 64 else FRAMES
    keys = Keyframes(randn(1, 1, 3, *size).clamp(-1, 1), (0,), frames)
    cond = m.condition(keys)
    pair = Cond.stack([cond, m.null(cond)])
    x = randn(2, 2, frames, m.spec.channels, *m.latent_size(*size))
    rotated = overriding(m.modules("temporal_attention"), rotate_pairs(m.reverse))
    with torch.inference_mode(), rotated:
        x0 = m(x, Level(0.6, 0.8, 500.0), pair)
        said = [] if cond.text is None else [cond.text]
        return [x0, m.decode(x0[:1]), m.encode(keys.pixels[None]), *said]


def poison(each: Resting) -> None:
    each.parameter.data = torch.full_like(each.parameter.data, float("nan"))


@pytest.mark.parametrize("make", [svd, tiny])
@pytest.mark.parametrize("by", WAYS)
def test_whatever_is_used_has_come(
    make: Callable[[], Any], by: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At rest there is nothing but NaN: one layer read too early would show in every number."""
    expected = used(make())
    monkeypatch.setattr(Resting, "rest", poison)
    m = make()
    with away(m.parts().values(), CPU, by):
        matrices = [p for p in m.network.parameters() if p.ndim > 1]
        assert sum(bool(p.isnan().any()) for p in matrices) > 0.9 * len(matrices) - 2
        found = used(m)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert not any(p.isnan().any() for part in m.parts().values() for p in part.parameters())


@pytest.mark.parametrize("make", [svd, tiny])
def test_no_more_is_there_than_one_unit(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that counts: what is fetched is a copy, and its bytes are free when it goes."""
    held = peak = 0

    def copied(self: Resting, device: torch.device) -> Tensor:
        nonlocal held, peak
        copy = self.values.clone()
        held += copy.nbytes
        peak = max(peak, held)
        weakref.finalize(copy.untyped_storage(), gone, copy.nbytes)
        return copy

    def gone(size: int) -> None:
        nonlocal held
        held -= size

    monkeypatch.setattr(Resting, "on", copied)
    m, peaks = make(), []
    for by in WAYS:
        held = peak = 0
        with away(m.parts().values(), CPU, by):
            used(m)
            peaks.append(peak)
            largest = max(
                sum(p.nbytes for p in parameters if p.ndim > 1)
                for part in m.parts().values()
                for _, parameters in units(part, by)
            )
            assert 0.5 * largest < peak <= largest
        assert peak > 0
    whole = sum(p.nbytes for part in m.parts().values() for p in part.parameters())
    assert peaks[1] < peaks[0] < whole


def test_eight_bits_keep_three_bits_of_mantissa_and_small_weights() -> None:
    layer = nn.Linear(64, 64)
    layer.weight.data = 1e-3 * randn(0, 64, 64)  # below what e4m3 has without a scale, 2^-9
    before = layer.weight.data.clone()
    rest = Resting(layer.weight, narrow=True)
    assert layer.weight.dtype == away_module.NARROW and rest.values.nbytes == 64 * 64
    rest.fetch(CPU)
    assert layer.weight.dtype == torch.float32
    # half a step of 2^-3 relative to the binade, or to the smallest binade that is left
    bound = torch.maximum(before.abs() / 16, before.abs().max() / 448 * 2**-10)
    assert bool(((layer.weight.data - before).abs() <= 1.001 * bound).all())


@pytest.mark.parametrize(("deviation", "bare"), [(0.02, 0.033), (0.005, 0.113), (0.001, 0.562)])
def test_one_scale_a_matrix_keeps_more_than_a_bare_cast(deviation: float, bare: float) -> None:
    """Relative errors of normal weights; the figures why diffusers' casting is not taken."""
    weights = deviation * randn(0, 512, 512)
    kept = Resting(nn.Parameter(weights.clone()), narrow=True).on(CPU)

    def off(found: Tensor) -> float:
        return float((found - weights).norm() / weights.norm())

    assert off(kept) == pytest.approx(0.0265, rel=0.01)  # a quarter of a million draws
    assert off(weights.to(away_module.NARROW).float()) == pytest.approx(bare, rel=0.01)


def test_an_override_may_open_before_and_close_inside() -> None:
    part = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3))
    x = randn(1, 2, 3)
    expected = part(x)
    with overriding([part[1]], lambda m, forward, h: 2 * forward(h)):
        context = away([part], CPU, "leaves")
        context.__enter__()
        assert torch.allclose(part(x), 2 * expected)
    assert torch.equal(part(x), expected)
    context.__exit__(None, None, None)
    assert torch.equal(part(x), expected)
    assert not part[1]._forward_pre_hooks and not part[1]._forward_hooks


def test_a_call_that_fails_sends_its_weights_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resting, "rest", poison)
    part = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3))

    def fails(*_: object) -> Tensor:
        assert not part[1].weight.isnan().any()
        raise torch.OutOfMemoryError

    with away([part], CPU, "leaves"):
        with overriding([part[1]], fails), pytest.raises(torch.OutOfMemoryError):
            part(randn(1, 2, 3))
        assert part[1].weight.isnan().all()
