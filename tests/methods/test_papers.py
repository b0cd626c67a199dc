"""The compositions on the recordings' tiny SVD: what must hold beside the parity tests."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from vtg_cli.backbones import base
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import Interrupted
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import to_pixels, to_uint8
from vtg_cli.job.methods import METHODS, MethodDefaults
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.device import seeded_noise
from vtg_cli.methods import aid, papers, svd, tvg, walk
from vtg_cli.methods.registry import methods
from vtg_cli.sampling import attention
from vtg_cli.sampling.fusion import rotate_pairs
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.path import ascending
from vtg_cli.sampling.settings import (
    evaluations,
    inversions,
    resolved,
)
from vtg_cli.sampling.solvers import ancestral
from vtg_cli.weights.catalog import EMBEDDED_FOLDER

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones" / "dynamicrafter"))
import tiny_models
from tiny_models import FACTS, tiny

FOLDER = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
QUICK = Sampling(steps=2, renoise=1, renoise_until=0.5)


@pytest.fixture(scope="module")
def m() -> base.Backbone:
    return base.load(FOLDER, device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def crafter() -> base.Backbone:
    return tiny_models.tiny()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def keys() -> Keyframes:
    pictures = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Keyframes.ends(pictures[0], pictures[1], 6)


def test_same_seed_same_frames_and_another_seed_others(m: base.Backbone, keys: Keyframes) -> None:
    one, two = (papers.render(m, keys, replace(QUICK, method="gi", seed=3)) for _ in range(2))
    other = papers.render(m, keys, replace(QUICK, method="gi", seed=4))
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
        ahead = svd.trf(m, keys, s, seeded_noise(1))
        back = svd.trf(m, keys.reversed(), s, Flipped())
    # sums in another order, amplified by a network of random weights
    assert float((ahead - back.flip(1)).abs().max()) < 1e-3 * float(ahead.abs().max())


def test_rotation_is_what_separates_gi_from_trf(m: base.Backbone, keys: Keyframes) -> None:
    gi, trf = (
        papers.render(m, keys, replace(QUICK, method=name, guidance=(1, 1))).astype(int)
        for name in ("gi", "trf")
    )
    assert np.abs(gi - trf).max() > 0
    assert all("forward" not in layer.__dict__ for layer in m.modules("temporal_attention"))


def test_i2v_never_looks_at_the_last_keyframe(m: base.Backbone, keys: Keyframes) -> None:
    other = Keyframes.ends(keys.pixels[0], -keys.pixels[1], 6)
    one, two = (papers.render(m, k, replace(QUICK, method="i2v")) for k in (keys, other))
    assert np.array_equal(one, two)


def test_dynamicrafters_sampling_runs_on_any_model(m: base.Backbone, keys: Keyframes) -> None:
    """In one direction, rescaled, with a draw at every step: it is not i2v by another solver."""
    s = resolved(replace(QUICK, method="dynamicrafter", renoise=0), has_reverse=False)
    assert (s.guidance, evaluations(s)) == ((7.5, 7.5), 2 * 2)
    frames = papers.render(m, keys, s)
    assert np.array_equal(frames, papers.render(m, keys, s))
    assert not np.array_equal(frames, papers.render(m, keys, replace(s, method="i2v")))


@pytest.fixture(scope="module")
def models(m: base.Backbone, embedded: base.Backbone) -> dict[str, base.Backbone]:
    """One of every kind; of DynamiCrafter's models one that is told the first keyframe alone, and
    one that is told both.
    """
    crafters = {kind: tiny(replace(FACTS, both_ends=kind == "both")) for kind in ("first", "both")}
    return {"svd": m, "embedded": embedded, **crafters}


@pytest.mark.parametrize(
    ("method", "solver"),
    [
        *product(["gi", "trf", "i2v"], ["euler", "heun", "dpmpp_2m", "lcm"]),
        *product(["di"], ["euler", "heun", "dpmpp_2m"]),
        *product([row.name for row in METHODS.values() if row.eta], ["euler"]),  # no other will do
    ],
)
@pytest.mark.parametrize("guidance", [(1.0, 3.0), (1.0, 1.0)])
@pytest.mark.parametrize("until", [0.5, 1.0])
@pytest.mark.parametrize("which", ["svd", "embedded", "first", "both"])
def test_planned_evaluations_are_those_that_happen(
    models: dict[str, base.Backbone],
    which: str,
    method: str,
    solver: str,
    guidance: tuple[float, float],
    until: float,
) -> None:
    m, frames = models[which], 4
    pictures = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    keys = Keyframes.ends(pictures[0], pictures[1], frames)
    s = replace(QUICK, method=method, solver=solver, guidance=guidance, renoise_until=until)
    s = resolved(s, has_reverse=False)
    drawn: list[int] = []
    outputs = 5 if which == "embedded" else 4

    def count(_: Any, forward: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        drawn.append(x.shape[0] * x.shape[1])
        shape = (*x.shape[:2], outputs, *x.shape[3:])  # not constant: rescaled guidance divides
        answer = torch.arange(math.prod(shape), dtype=x.dtype).sin().reshape(shape)
        return (answer,) if which == "svd" else answer

    with overriding([m.network], count), torch.inference_mode():
        methods()[method].draw(m, keys, s, seeded_noise(0), None)
    assert s.steps is not None
    climbs = len(ascending(m.path(s.steps))) - 1 if s.init == "slerp" else 0
    inverting = 2 * climbs  # single frames, which are not counted
    facts = {"begins_empty": m.spec.begins_empty, "ends_clean": m.spec.ends_clean}
    assert sum(drawn) - inverting == evaluations(s, **facts) * frames


@pytest.mark.parametrize("which", ["m", "embedded", "crafter"])
@pytest.mark.parametrize("method", ["trf", "i2v"])
def test_inversion_is_counted_told_and_stopped(
    which: str, method: str, keys: Keyframes, request: pytest.FixtureRequest
) -> None:
    m: base.Backbone = request.getfixturevalue(which)
    keys = replace(keys, length=4, positions=(0, 3))
    asked = replace(QUICK, method=method, init="slerp", steps=4, guidance=(1.0, 1.0))
    s = resolved(asked, has_reverse=False)
    looked: list[tuple[int, int]] = []

    def look(_: Any, forward: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        looked.append((len(x), x.shape[1]))
        return forward(x, *args, **kwargs)

    told: list[tuple[float, str]] = []
    with overriding([m.network], look):
        papers.render(m, keys, s, progress=lambda *each: told.append(each))
    single = [clips for clips, frames in looked if frames == 1]
    assert sum(single) == m.spec.inversions(s) == 2 * len(single)
    assert sum(clips for clips, frames in looked if frames == 4) == evaluations(s)
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    inverting = [share for share, phase in told if phase == "inverting"]
    assert len(inverting) == len(single)
    work = sum(single) + 4 * evaluations(s)
    assert inverting[-1] == pytest.approx(0.9 * sum(single) / work)

    asks: list[int] = []
    with pytest.raises(Interrupted):
        papers.render(m, keys, s, cancel=lambda: bool(asks.append(1)) or len(asks) == 3)
    assert len(asks) == 3  # before the first and after the second move of the inversion


def test_no_inversion_without_slerp() -> None:
    assert inversions(resolved(Sampling(steps=4), has_reverse=False), True) == 0


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ("mean", [0.5] * 5),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("0.3", [0.3] * 5),
        ("1,0", [1, 0.75, 0.5, 0.25, 0]),
        ("1,0.8,0", [1, 0.9, 0.8, 0.4, 0]),
        ("0,1,1,1,0", [0, 1, 1, 1, 0]),
    ],
)
def test_weights_of_fusion_are_spread_over_the_frames(fusion: str, expected: list[float]) -> None:
    s = resolved(Sampling(fusion=fusion), has_reverse=False)
    guidance, weight = walk.schedules(s, 5)
    assert weight.tolist() == pytest.approx(expected)
    constant = fusion != "linear"
    assert guidance.tolist() == pytest.approx([2] * 5 if constant else [1, 1.5, 2, 2.5, 3])


def test_fusion_by_one_weight_is_that_of_its_name(m: base.Backbone, keys: Keyframes) -> None:
    named, numbered = (
        papers.render(m, keys, replace(QUICK, method="trf", fusion=how))
        for how in ("mean", "0.5,0.5")
    )
    assert np.array_equal(named, numbered)


def test_what_a_model_is_told_of_its_rate(m: base.Backbone, keys: Keyframes) -> None:
    told: list[float] = []

    def look(_: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
        told.append(float(args[3][0, 0]))
        return forward(*args, **kwargs)

    with overriding([m.network], look):
        for fps in (None, 7, 12):
            papers.render(m, keys, Sampling(method="i2v", steps=1, motion_fps=fps))
    assert told[::2] == [6, 6, 11]  # it is told one less, and guidance asks twice


def test_pictures_turn_into_each_other_frame_by_frame(m: base.Backbone, keys: Keyframes) -> None:
    """SLERP of the two keyframes' tokens; each direction starts at its own."""
    shown: list[Tensor] = []

    class Spied:
        def __getattr__(self, name: str) -> Any:
            return getattr(m, name)

        def __call__(self, x: Tensor, level: Any, cond: Any) -> Tensor:
            shown.append(cond.image)
            return m(x, level, cond)

    s = Sampling(method="trf", steps=1, guidance=(1.0, 1.0), image_curve="linear", renoise=0)
    curved = papers.render(Spied(), keys, s)  # type: ignore[arg-type]
    first, last = (m.condition(k.only(0)).image[0, 0] for k in (keys, keys.reversed()))  # type: ignore[index]
    (image,) = shown
    assert image.shape[:2] == (2, 6)
    for at, end in ((0, first), (5, last)):
        assert torch.equal(image[0, at], end) and torch.equal(image[1, 5 - at], end)
    phi = torch.acos((first * last).sum() / first.norm() / last.norm())
    middle = (torch.sin(0.6 * phi) * first + torch.sin(0.4 * phi) * last) / torch.sin(phi)
    assert torch.allclose(image[0, 2], middle, atol=1e-5)
    assert not np.array_equal(curved, papers.render(m, keys, replace(s, image_curve="off")))
    # with the same picture at both ends nothing turns
    same = Keyframes.ends(keys.pixels[0], keys.pixels[0], 6)
    one, other = (papers.render(m, same, replace(s, image_curve=how)) for how in ("off", "hold"))
    assert np.abs(one.astype(int) - other).max() <= 1


def test_progress_rises_to_one_and_cancel_stops_between_steps(
    m: base.Backbone, keys: Keyframes
) -> None:
    seen: list[tuple[float, str]] = []
    papers.render(m, keys, replace(QUICK, method="trf"), progress=lambda *e: seen.append(e))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == pytest.approx(1)
    assert [phase for _, phase in seen[-2:]] == ["sampling", "decoding"]

    calls: list[int] = []

    def cancel() -> bool:
        calls.append(1)
        return len(calls) == 3

    with pytest.raises(Interrupted):
        papers.render(m, keys, replace(QUICK, method="trf"), cancel=cancel)
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

    monkeypatch.setattr(walk, "sample", stop)
    for init, strength in (("flow", None), (None, 0.6), ("flow", 0.6)):
        papers.render(
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
    tiny = {"trf": MethodDefaults(strength=0.4)}
    own = resolved(asked, has_reverse=False, defaults_of=tiny)
    assert own.strength == (0.4 if asked in (Sampling(), Sampling(init="flow")) else strength)


@pytest.mark.parametrize("which", ["m", "embedded"])
def test_slerp_starts_on_the_shell_between_both_inverted_ends(
    which: str, keys: Keyframes, request: pytest.FixtureRequest
) -> None:
    m: base.Backbone = request.getfixturevalue(which)
    s = resolved(Sampling(init="slerp", steps=3), has_reverse=False)
    with torch.inference_mode():
        noise = walk.between_inverted(m, keys, s)
        back = walk.between_inverted(m, keys.reversed(), s)
        with overriding(m.modules("temporal_attention"), rotate_pairs(m.reverse)):
            rotated = walk.between_inverted(m, keys, s)
    size = (1, keys.length, m.spec.channels, *m.latent_size(16, 24))
    assert noise.shape == size
    length = float(noise[0, 0].numel()) ** 0.5
    assert noise[0].flatten(1).norm(dim=1).tolist() == pytest.approx([length] * 6, rel=1e-4)
    # one clip in a batch of two; sums in another order, amplified by random weights
    assert float((noise - back.flip(1)).abs().max()) < 1e-2
    assert torch.equal(noise, rotated)
    with torch.inference_mode():
        frames = papers.render(m, keys, Sampling(init="slerp", steps=3))
    assert frames.shape == (6, 16, 24, 3) and frames.std() > 1


def analytic(spread: float = 0.3) -> Any:
    """In place of a network's prediction: what is best where clean latents are normal around one
    number per condition, read off the condition itself.
    """

    def best(x: Tensor, level: Level, cond: Cond) -> Tensor:
        assert cond.concat is not None
        centre = cond.concat[:, :, :1].mean((2, 3, 4), keepdim=True)
        gain = level.signal * spread**2 / (level.signal**2 * spread**2 + level.sigma**2)
        return centre + gain * (x - level.signal * centre)

    return best


class Analytic:
    """A backbone whose denoiser is `analytic`."""

    def __init__(self, m: base.Backbone) -> None:
        self._m, self._best = m, analytic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._m, name)

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        return self._best(x, level, cond)  # type: ignore[no-any-return]


def di_settings(steps: int) -> Sampling:
    return resolved(Sampling(method="di", steps=steps), has_reverse=False)


@pytest.mark.parametrize("which", ["svd", "embedded", "first", "both"])
def test_the_ends_of_di_are_the_keyframes_own_reconstructions(
    models: dict[str, base.Backbone], keys: Keyframes, which: str
) -> None:
    """Each is the walk, as a still, from its own inverted noise under its own condition."""
    m, s = models[which], di_settings(3)
    assert (s.init, s.init_until, s.guidance) == ("slerp", 0.0, (1.0, 1.0))
    with torch.inference_mode():
        clip = aid.di(m, keys, s, seeded_noise(0))
        noise = walk.between_inverted(m, keys, s)
        path = m.path(3)
        for end in (0, keys.length - 1):
            still = m.condition(keys.alone(end))
            start = path[0].scale * noise[:, end : end + 1]
            own = walk.sample(walk.bind(m, still), start, path, noise=torch.zeros_like)
            # a batch of six stills in place of one: sums in another order, through random weights
            assert float((clip[:, end] - own[:, 0]).abs().max()) < 1e-3 * float(own.abs().max())


def test_di_of_a_gaussian_model_is_that_model_between_both_keyframes(
    models: dict[str, base.Backbone], keys: Keyframes
) -> None:
    """Its best answer is linear in the centre it is told: to interpolate the answers is to
    interpolate the centres.
    """
    m, s = cast(base.Backbone, Analytic(models["svd"])), di_settings(8)
    with torch.inference_mode():
        z = aid.di(m, keys, s, seeded_noise(0))
        noise, path = walk.between_inverted(m, keys, s), m.path(8)
        told = [m.condition(keys.alone(end)).concat for end in (0, keys.length - 1)]
    first, last = (t[:, :, :1].mean() for t in told if t is not None)
    centre = torch.lerp(first, last, torch.linspace(0, 1, keys.length))[None, :, None, None, None]
    x = path[0].scale * noise
    for a, b in pairwise(path):
        gain = a.signal * 0.3**2 / (a.signal**2 * 0.3**2 + a.sigma**2)
        x0 = centre + gain * (x - a.signal * centre)
        x = b.signal * x0 + b.sigma * (x - a.signal * x0) / a.sigma
    assert float((z - x).abs().max()) < 1e-5 * float(x.abs().max()) + 1e-5  # float32


@pytest.mark.parametrize("which", ["svd", "embedded", "first", "both"])
def test_di_of_equal_keyframes_stands_still(
    models: dict[str, base.Backbone], keys: Keyframes, which: str
) -> None:
    same = Keyframes.ends(keys.pixels[0], keys.pixels[0], keys.length)
    with torch.inference_mode():
        z = aid.di(models[which], same, di_settings(2), seeded_noise(0))
    # the great circle falls back to a straight line between equal ends: rounding alone is left
    assert float((z - z[:, :1]).abs().max()) < 1e-3 * float(z.abs().max())


def crafted(method: str, **options: Any) -> Sampling:
    s = replace(QUICK, method=method, renoise=0, guidance=(3.0, 3.0), **options)
    return resolved(s, has_reverse=False)


@pytest.mark.parametrize("which", ["svd", "embedded", "first", "both"])
def test_attention_with_itself_alone_is_the_plain_method(
    models: dict[str, base.Backbone],
    keys: Keyframes,
    which: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    m = models[which]

    def drawn(method: str) -> Tensor:
        with torch.inference_mode():
            return methods()[method].draw(m, keys, crafted(method), seeded_noise(0), None)

    plain, between = drawn("dynamicrafter"), drawn("attention")
    assert float((plain - between).abs().max()) > 1e-4
    assert not any("forward" in layer.__dict__ for layer in m.modules("spatial_attention"))
    # the override in place, but every frame looks at itself: what is left is one sum's order
    monkeypatch.setattr(attention, "_ends", lambda x, frames: (x, x))
    assert torch.allclose(drawn("attention"), plain, rtol=0, atol=2e-3 * float(plain.abs().max()))


@pytest.mark.parametrize("which", ["svd", "embedded", "first", "both"])
@pytest.mark.parametrize("guidance", [(1.0, 1.0), (3.0, 3.0)])
def test_tvg_without_coupling_is_two_plain_trajectories(
    models: dict[str, base.Backbone],
    keys: Keyframes,
    which: str,
    guidance: tuple[float, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    m, s = models[which], replace(crafted("tvg"), guidance=guidance)
    seen: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(tvg, "select_frames", lambda a, b: seen.append((a, b)) or a)
    with torch.inference_mode():
        tvg.tvg(m, keys, s, seeded_noise(0))
        monkeypatch.setattr(tvg, "couple_pairs", lambda frames, along=False: by_itself)
        tvg.tvg(m, keys, s, seeded_noise(0))
        (coupled_ahead, _), (ahead, back) = seen
        assert float((coupled_ahead - ahead).abs().max()) > 1e-5
        for told, found, row in (
            (keys, ahead, 0),
            (keys.reversed(), back.flip(1), 1),
        ):
            alone = one_direction(m, told, s, row)
            off = float((found - alone).abs().max())
            assert off < 2e-3 * float(alone.abs().max())  # a batch of one in place of two


def by_itself(module: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
    return forward(*args, **kwargs)


def one_direction(m: base.Backbone, keys: Keyframes, s: Sampling, row: int) -> Tensor:
    """A trajectory of its own from the draws tvg gives row 0 or 1 of its pair."""
    noise = seeded_noise(0)
    shared = noise(keys.pixels[:1])
    told = keys if m.spec.both_ends else keys.only(0)
    motion = base.Motion(bucket=s.motion_bucket, noise_aug=s.noise_aug, fs=16)
    cond = m.condition(told, motion=motion, noise=shared)
    if cond.image is not None:
        over = Keyframes((keys.pixels[:1] + keys.pixels[1:]) / 2, (0,), keys.length)
        cond = replace(cond, image=m.condition(over).image)
    assert s.guidance is not None and s.steps is not None
    scale, path = s.guidance[0], m.path(s.steps)
    plain = scale == 1
    predict = walk.bind(m, cond) if plain else walk.cfg(m, cond, m.null(cond), scale, 0.7)
    shape = (2, keys.length, m.spec.channels, *m.latent_size(16, 24))

    def of_pair(x: Tensor) -> Tensor:
        return noise(x.expand(2, *x.shape[1:]))[row : row + 1]

    start = path[0].scale * noise(torch.empty(shape))[row : row + 1]
    return walk.sample(predict, start, path, ancestral(1.0), noise=of_pair)


def test_the_frames_of_tvg_are_those_of_its_directions(
    models: dict[str, base.Backbone], keys: Keyframes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    select = tvg.select_frames

    def spy(ahead: Tensor, back: Tensor) -> Tensor:
        seen.append((ahead, back))
        return select(ahead, back)

    monkeypatch.setattr(tvg, "select_frames", spy)
    with torch.inference_mode():
        z = tvg.tvg(models["both"], keys, crafted("tvg"), seeded_noise(0))
    ((ahead, back),) = seen
    assert torch.equal(z[:, 0], ahead[:, 0]) and torch.equal(z[:, -1], back[:, -1])
    for i in range(1, keys.length - 1):
        assert torch.equal(z[:, i], ahead[:, i]) or torch.equal(z[:, i], back[:, i])


@pytest.mark.parametrize("method", ["attention", "tvg"])
@pytest.mark.parametrize("which", ["svd", "embedded", "both"])
def test_inverted_noise_is_found_outside_a_methods_overrides(
    models: dict[str, base.Backbone],
    keys: Keyframes,
    which: str,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    m, s = models[which], crafted(method, init="slerp", init_until=0.5)
    found: list[Tensor] = []
    between = walk.between_inverted

    def spy(*args: Any) -> Tensor:
        found.append(between(*args))
        return found[-1]

    with torch.inference_mode():
        expected = between(m, keys, s)
        monkeypatch.setattr(walk, "between_inverted", spy)
        methods()[method].draw(m, keys, s, seeded_noise(0), None)
    assert torch.equal(found[0], expected)
