"""Each detector on clips whose numbers follow from how they are made; 128 pixels are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.job.easing import easing, segment_times
from vtg_cli.quality.segment import THRESHOLDS, Measures, judge, measure, reduced

Clip = NDArray[np.uint8]
FRAMES = 24
EVEN = np.linspace(0, 1, FRAMES)


def texture(seed: int = 0, width: int = 128, height: int = 64) -> Clip:
    """Waves of all sizes, values 40 to 215, so that nothing is clipped by a change of 40."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.zeros((height, width, 3))
    for size in np.geomspace(6, 90, 12):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / size + phase)
        waves += wave[..., None] * rng.uniform(0.5, 1, 3)
    return np.round(127.5 + waves / np.abs(waves).max() * 87).astype(np.uint8)


def panned(places: list[int] | NDArray[np.int64], seed: int = 0) -> Clip:
    """A window of 128 pixels at whole places of a wide texture."""
    wide = texture(seed, 320)
    return np.stack([wide[:, at : at + 128] for at in places])


def mixed(first: Clip, last: Clip, weights: NDArray[np.float64]) -> Clip:
    return np.stack([np.round((1 - w) * first + w * last) for w in weights]).astype(np.uint8)


def numbers(clip: Clip) -> Measures:
    return measure(reduced(clip))


def step(a: Clip, b: Clip) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def test_an_even_pan_is_clean() -> None:
    clip = panned(2 * np.arange(FRAMES))
    found = numbers(clip)
    assert judge(clip).labels == judge(clip).notes == ()
    assert found.gap == pytest.approx(step(clip[0], clip[-1]), rel=1e-5)  # float32 sums
    assert found.energy == pytest.approx(sum(map(step, clip, clip[1:])) / found.gap, rel=1e-5)
    assert (found.held, found.paused, found.swing, found.moved) == (0, 0, 0, None)
    assert found.jump < 1.2  # what a step changes depends on what the pan comes by
    assert found.fade < 0.6


def test_a_cut_between_held_keyframes_is_a_slideshow_and_nothing_else() -> None:
    first, last = texture(1), texture(2)
    clip = mixed(first, last, EVEN > 0.5)
    found = numbers(clip)
    assert judge(clip).labels == ("slideshow",)
    assert found.held == 1
    assert found.paused == pytest.approx(11 / 23)  # either picture rests for 11 of 23 steps
    assert found.energy == pytest.approx(1)
    assert found.fade == pytest.approx(1)
    assert found.jump == pytest.approx(step(first, last) / 0.25, rel=1e-5)  # over the least pace


@pytest.mark.parametrize(("length", "held"), [(0.25, 0.75), (0.5, 0.375), (1.0, 0.0)])
def test_a_brief_fade_holds_what_is_left(length: float, held: float) -> None:
    """16 of 24 frames lie between 0.15 and 0.85; of them those near an end count."""
    weights = np.clip((EVEN - 0.5) / length + 0.5, 0, 1)
    between = weights[(EVEN > 0.15) & (EVEN < 0.85)]
    near = float(np.mean((between < 0.08) | (between > 0.92)))
    found = numbers(mixed(texture(1), texture(2), weights))
    assert found.held == near == held


@pytest.mark.parametrize("rest", [3, 5, 12])
def test_a_pause_is_measured_in_shares_of_the_way(rest: int) -> None:
    moving = FRAMES - 1 - rest
    places = np.cumsum([0, *[3] * (moving // 2), *[0] * rest, *[3] * (moving - moving // 2)])
    verdict = judge(panned(places))
    assert verdict.measures is not None
    assert verdict.measures.paused == pytest.approx(rest / 23)
    assert verdict.labels == (("frozen",) if rest / 23 >= THRESHOLDS["frozen"] else ())


def test_the_first_picture_until_the_last_is_frozen_and_cut() -> None:
    verdict = judge(mixed(texture(1), texture(2), EVEN == 1))
    assert verdict.labels == ("frozen", "hard-cut")
    assert verdict.measures is not None
    assert verdict.measures.paused == pytest.approx(22 / 23)
    assert verdict.measures.held == 0  # only one of the two is held


@pytest.mark.parametrize("swing", [0.25, 0.5, 2, 10])
def test_flicker_is_measured_in_code_values(swing: float) -> None:
    """+-a in turn has second differences of 4 a; sqrt(6) is what these are for random values."""
    turns = np.where(np.arange(FRAMES) % 2, 1, -1)[:, None, None, None]
    clip = texture()[None].astype(np.float32) + np.float32(swing) * turns
    found = measure(clip.astype(np.float32))
    assert found.swing == pytest.approx(4 * swing / 6**0.5, rel=1e-3)
    if swing == int(swing):
        assert judge(clip.astype(np.uint8)).labels == ("flicker",)


def test_random_brightness_over_a_pan_is_flicker() -> None:
    rng = np.random.default_rng(0)
    shaky = panned(2 * np.arange(FRAMES)) + rng.normal(0, 5, FRAMES).round()[:, None, None, None]
    verdict = judge(shaky.astype(np.uint8))
    assert verdict.labels == ("flicker",)
    assert verdict.measures is not None
    # a median of normal values is 0.67 deviations from zero, 3.4 of 5; 22 of them tell it roughly
    assert 2 < verdict.measures.swing < 5


def test_a_skip_in_a_pan_is_a_cut() -> None:
    places = np.concatenate([np.arange(12), 60 + np.arange(12)])
    clip = panned(places)
    steps = list(map(step, clip, clip[1:]))
    verdict = judge(clip)
    assert verdict.labels == ("hard-cut",)
    assert verdict.measures is not None
    others = [*steps[:10], *steps[13:]]  # neither the skip itself nor the steps beside it
    assert verdict.measures.jump == pytest.approx(max(steps) / np.median(others), rel=1e-5)
    assert verdict.measures.jump > 4


def test_a_mix_is_a_fade_where_motion_leads_from_one_to_the_other() -> None:
    first, last = panned([0, 24])
    verdict = judge(mixed(first, last, EVEN))
    assert verdict.labels == ("cross-fade",)
    assert verdict.measures is not None
    assert verdict.measures.fade == pytest.approx(1, abs=0.02)  # rounding to code values
    assert verdict.measures.energy == pytest.approx(1, abs=0.02)
    assert verdict.measures.moved is not None
    assert verdict.measures.moved > 0.7  # the rim of 24 of 128 columns has nothing to come from


def test_strangers_may_dissolve() -> None:
    verdict = judge(mixed(texture(1), texture(2), EVEN))
    assert (verdict.labels, verdict.notes) == ((), ("dissolve",))
    assert verdict.measures is not None
    assert verdict.measures.moved == 0


def test_a_change_of_light_may_dissolve() -> None:
    first = texture(1)
    verdict = judge(mixed(first, np.uint8(first * 0.7), EVEN))
    assert (verdict.labels, verdict.notes) == ((), ("dissolve",))


def test_the_same_picture_twice_stands_still() -> None:
    verdict = judge(np.stack([texture()] * FRAMES))
    assert (verdict.labels, verdict.notes, verdict.badness) == ((), ("still",), 0.2 / 0.5)


def test_a_foreign_frame_between_equal_keyframes_is_a_cut() -> None:
    clip = np.stack([texture()] * FRAMES)
    clip[9] = texture(1)
    assert judge(clip).labels == ("hard-cut",)
    assert judge(clip).notes == ()


@pytest.mark.parametrize("frames", [2, 4])
def test_few_frames_are_not_judged(frames: int) -> None:
    verdict = judge(mixed(texture(1), texture(2), np.linspace(0, 1, frames) > 0.5))
    assert (verdict.labels, verdict.notes, verdict.measures) == ((), ("short",), None)


@pytest.mark.parametrize("curve", ["ease-in-out", "cubic-bezier(0.9,0,0.1,1)"])
def test_an_easing_curve_is_no_pause_and_no_cut(curve: str) -> None:
    times = segment_times(FRAMES, easing(curve))
    clip = panned(np.round(np.array(times) * 180).astype(int))
    assert judge(clip, times).labels == ()


def test_frames_are_taken_one_at_a_time_and_reduced() -> None:
    """Enlarged by whole pixels, the reduced picture is the small one again."""
    clip = panned(3 * np.arange(FRAMES))

    def large() -> Iterator[Clip]:
        for frame in clip:
            yield frame.repeat(4, axis=0).repeat(4, axis=1)

    big = judge(large()).measures
    assert big is not None
    small = {**asdict(numbers(clip)), "moved": 0.0}
    assert {**asdict(big), "moved": big.moved or 0.0} == pytest.approx(small, rel=1e-5)


def test_grey_and_transparent_frames() -> None:
    clip = panned(3 * np.arange(FRAMES))
    assert judge(clip[..., :1]).labels == ()
    turns = (20 * (np.arange(FRAMES) % 2)).astype(np.uint8)[:, None, None, None]
    flickering = clip // 2 + turns
    alpha = np.full((*clip.shape[:3], 1), 255, np.uint8)
    assert judge(np.concatenate([flickering, alpha], -1)).labels == ("flicker",)
    unseen = judge(np.concatenate([flickering, 0 * alpha], -1))
    assert (unseen.labels, unseen.notes) == ((), ("still",))


def test_badness_counts_near_misses_and_limits_each() -> None:
    held = judge(mixed(texture(1), texture(2), EVEN > 0.5))
    # slideshow 1 / 0.3, frozen 0.478 / 0.2, a cut: 2 each; no flicker; a full fade
    assert held.badness == pytest.approx(6 + 1 / THRESHOLDS["cross-fade"], abs=0.01)
    assert judge(panned(2 * np.arange(FRAMES))).badness < 1.5 < held.badness
