"""The compositions on the recordings' tiny SVD: what must hold beside the parity tests."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
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
from vtg_cli.weights.catalog import EMBEDDED_FOLDER

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


@pytest.mark.parametrize(
    ("method", "solver"),
    [
        *product(["gi", "trf", "i2v"], ["euler", "heun", "dpmpp_2m"]),
        ("dynamicrafter", "euler"),  # it has its own, and others are refused
    ],
)
@pytest.mark.parametrize("guidance", [(1.0, 3.0), (1.0, 1.0)])
def test_planned_evaluations_are_those_that_happen(
    m: base.Backbone, keys: Keyframes, method: str, solver: str, guidance: tuple[float, float]
) -> None:
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


@pytest.fixture(scope="module")
def embedded() -> base.Backbone:
    return base.load(EMBEDDED_FOLDER, device="cpu", dtype="fp32")


def test_a_strength_below_one_is_a_start_from_in_betweens(
    embedded: base.Backbone, keys: Keyframes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit what it was before --init could say it."""
    walked: list[tuple[Tensor, Any]] = []

    def stop(predict: Any, x: Tensor, path: Any, solver: Any, **_: Any) -> Tensor:
        walked.append((x, path))
        return x

    monkeypatch.setattr(methods, "sample", stop)
    for init, strength in (("flow", None), (None, 0.6), ("flow", 0.6)):
        methods.render(
            embedded, keys, Sampling(init=init, strength=strength, temperature=0.2, steps=8)
        )
    (x, path), *rest = walked
    assert all(torch.equal(x, other) and path == way for other, way in rest)
    assert len(path) == 5 + 1  # 0.6 of 8 steps
    noise = seeded_noise(0)
    noise(keys.pixels[:1])  # the conditioning picture's
    eps = 0.2 * noise(torch.empty_like(x))
    assert torch.equal(x, path[0].noise(embedded.guess(keys), eps))


@pytest.mark.parametrize(
    ("asked", "init", "strength"),
    [
        (Sampling(), "random", 1.0),
        (Sampling(strength=0.5), "flow", 0.5),
        (Sampling(init="flow"), "flow", 0.6),
        (Sampling(init="flow", strength=1.0), "flow", 1.0),
        (Sampling(init="slerp"), "slerp", 1.0),
    ],
)
def test_where_sampling_starts(asked: Sampling, init: str, strength: float) -> None:
    s = resolved(asked, has_reverse=False)
    assert (s.init, s.strength) == (init, strength)
    assert s.init_until == (0.2 if init == "slerp" else None)
    assert resolved(s, has_reverse=False) == s
    tiny = {"trf": MethodDefaults(strength=0.4), "i2v": MethodDefaults(strength=0.4)}
    own = resolved(asked, has_reverse=False, defaults_of=tiny)
    assert own.strength == (0.4 if asked in (Sampling(), Sampling(init="flow")) else strength)


@pytest.mark.parametrize("which", ["m", "embedded"])
def test_slerp_starts_on_the_shell_between_both_inverted_ends(
    which: str, keys: Keyframes, request: pytest.FixtureRequest
) -> None:
    m: base.Backbone = request.getfixturevalue(which)
    s = resolved(Sampling(init="slerp", steps=3), has_reverse=False)
    with torch.inference_mode():
        noise = methods.between_inverted(m, keys, s)
        back = methods.between_inverted(m, keys.reversed(), s)
        with overriding(m.modules("temporal_attention"), methods.rotate_pairs(m.reverse)):
            rotated = methods.between_inverted(m, keys, s)
    size = (1, keys.length, m.spec.channels, *m.latent_size(16, 24))
    assert noise.shape == size
    length = float(noise[0, 0].numel()) ** 0.5
    assert noise[0].flatten(1).norm(dim=1).tolist() == pytest.approx([length] * 6, rel=1e-4)
    # one clip in a batch of two; sums in another order, amplified by random weights
    assert float((noise - back.flip(1)).abs().max()) < 1e-2
    assert torch.equal(noise, rotated)
    with torch.inference_mode():
        frames = methods.render(m, keys, Sampling(init="slerp", steps=3))
    assert frames.shape == (6, 16, 24, 3) and frames.std() > 1
