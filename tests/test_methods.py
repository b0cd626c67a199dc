"""The compositions on the recordings' tiny SVD: what must hold beside the parity tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vtg_cli import methods
from vtg_cli.backbones import base
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.device import seeded_noise
from vtg_cli.errors import Interrupted
from vtg_cli.hooks import overriding
from vtg_cli.sampling.settings import MethodDefaults, Sampling, evaluations, resolved
from vtg_cli.tensor import to_pixels, to_uint8

FOLDER = Path(__file__).parent / "data" / "parity" / "tiny_svd"
QUICK = Sampling(steps=2, renoise=1, renoise_until=0.5)


@pytest.fixture(scope="module")
def m() -> base.Backbone:
    return base.load(FOLDER, device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def keys() -> Keyframes:
    pictures = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Keyframes.ends(pictures[0], pictures[1], 6)


def test_same_seed_same_frames_and_another_seed_others(m: base.Backbone, keys: Keyframes) -> None:
    one, two = (methods.render(m, keys, replace(QUICK, method="gi", seed=3)) for _ in range(2))
    other = methods.render(m, keys, replace(QUICK, method="gi", seed=4))
    assert one.dtype == np.uint8 and one.shape == (6, 16, 24, 3)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("fusion", ["mean", "linear"])
def test_trf_treats_both_directions_alike(m: base.Backbone, keys: Keyframes, fusion: str) -> None:
    """Swapped keyframes and time-flipped noise give the time-flipped clip."""
    s = resolved(replace(QUICK, method="trf", fusion=fusion), has_reverse=False)

    class Flipped:
        def __init__(self) -> None:
            self.noise = seeded_noise(1)

        def __call__(self, x: Tensor) -> Tensor:
            draw = self.noise(x)
            return draw.flip(1) if x.ndim == 5 else draw

    with torch.inference_mode():
        ahead = methods.trf(m, keys, s, seeded_noise(1))
        back = methods.trf(m, keys.reversed(), s, Flipped())
    # sums in another order, amplified by a network of random weights
    assert float((ahead - back.flip(1)).abs().max()) < 1e-3 * float(ahead.abs().max())


def test_rotation_is_what_separates_gi_from_trf(m: base.Backbone, keys: Keyframes) -> None:
    gi, trf = (
        methods.render(m, keys, replace(QUICK, method=name, guidance=(1, 1))).astype(int)
        for name in ("gi", "trf")
    )
    assert np.abs(gi - trf).max() > 0
    assert all("forward" not in layer.__dict__ for layer in m.modules("temporal_attention"))


def test_i2v_never_looks_at_the_last_keyframe(m: base.Backbone, keys: Keyframes) -> None:
    other = Keyframes.ends(keys.pixels[0], -keys.pixels[1], 6)
    one, two = (methods.render(m, k, replace(QUICK, method="i2v")) for k in (keys, other))
    assert np.array_equal(one, two)


def test_dynamicrafters_sampling_runs_on_any_model(m: base.Backbone, keys: Keyframes) -> None:
    """In one direction, rescaled, with a draw at every step: it is not i2v by another solver."""
    s = resolved(replace(QUICK, method="dynamicrafter", renoise=0), has_reverse=False)
    assert (s.guidance, evaluations(s)) == ((7.5, 7.5), 2 * 2)
    frames = methods.render(m, keys, s)
    assert np.array_equal(frames, methods.render(m, keys, s))
    assert not np.array_equal(frames, methods.render(m, keys, replace(s, method="i2v")))


def test_a_model_that_names_no_defaults_of_a_method_has_those_of_i2v() -> None:
    own = MethodDefaults(steps=8, guidance=(1.0, 1.0))
    s = resolved(Sampling(method="dynamicrafter"), has_reverse=False, defaults_of={"i2v": own})
    assert (s.steps, s.guidance) == (8, (1.0, 1.0))


@pytest.mark.parametrize("method", ["gi", "trf", "i2v", "dynamicrafter"])
@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m"])
@pytest.mark.parametrize("guidance", [(1.0, 3.0), (1.0, 1.0)])
def test_planned_evaluations_are_those_that_happen(
    m: base.Backbone, keys: Keyframes, method: str, solver: str, guidance: tuple[float, float]
) -> None:
    if method == "dynamicrafter" and solver != "euler":
        pytest.skip("it has its own")
    s = resolved(replace(QUICK, method=method, solver=solver, guidance=guidance), has_reverse=False)
    clips: list[int] = []

    def count(_: Any, forward: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        clips.append(len(x))
        return (torch.zeros_like(x[:, :, :4]),)

    with overriding([m.network], count), torch.inference_mode():
        methods.METHODS[method](m, keys, s, seeded_noise(0), None)
    assert sum(clips) == evaluations(s)


def test_progress_rises_to_one_and_cancel_stops_between_steps(
    m: base.Backbone, keys: Keyframes
) -> None:
    seen: list[tuple[float, str]] = []
    methods.render(m, keys, replace(QUICK, method="trf"), progress=lambda *e: seen.append(e))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == pytest.approx(1)
    assert [phase for _, phase in seen[-2:]] == ["sampling", "decoding"]

    calls: list[int] = []

    def cancel() -> bool:
        calls.append(1)
        return len(calls) == 3

    with pytest.raises(Interrupted):
        methods.render(m, keys, replace(QUICK, method="trf"), cancel=cancel)
    assert len(calls) == 3


def test_defaults_follow_the_delta() -> None:
    assert resolved(Sampling(), has_reverse=True).method == "gi"
    plain = resolved(Sampling(), has_reverse=False)
    assert (plain.method, plain.steps, plain.renoise, plain.renoise_until) == ("trf", 25, 1, 0.6)
    kept = resolved(Sampling(method="gi", renoise=0, renoise_until=0.0), has_reverse=False)
    assert (kept.renoise, kept.renoise_until, kept.guidance) == (0, 0.0, (1.0, 3.0))


def test_the_papers_settings_cost_what_the_paper_says() -> None:
    """50 steps with 5 re-injections over the first 25: 175 fused steps, 700 single evaluations."""
    s = Sampling(method="gi", steps=50, renoise=5, renoise_until=0.5)
    assert evaluations(resolved(s, has_reverse=True)) == 700


def test_pixels_round_trip_through_uint8() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    assert np.array_equal(to_uint8(to_pixels(every[0])[None]), every)
