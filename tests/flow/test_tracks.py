"""Motion through a keyframe, on a pattern whose true motion is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.flow.engine import in_between
from vtg_cli.flow.tracks import Tracks

SIZE = (64, 96)
Path = tuple[tuple[float, float], ...]


def view(x: float, y: float) -> NDArray[np.uint8]:
    """What a camera at (x, y) sees of an endless smooth pattern."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    u, v = columns + x, rows + y
    waves = [
        np.sin(u / 5 + c) + np.cos(v / 6 - c) + np.sin((u + 2 * v) / 9) + np.cos((u - v) / 13 + c)
        for c in range(3)
    ]
    return np.uint8(np.clip(np.stack(waves, -1) * 30 + 128, 0, 255))


@cache
def tracks(path: Path, spans: tuple[float, ...] = (1, 1), loop: bool = False) -> Tracks:
    keys = [view(*at) for at in path]
    joints = [True] * (len(spans) - 1) + [loop]
    return Tracks(lambda i: (keys[i], keys[(i + 1) % len(keys)]), spans, joints)


def error(frame: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Mean absolute difference away from the border, where nothing enters the picture."""
    inner = (slice(16, -16), slice(20, -20))
    return float(np.abs(frame[inner].astype(float) - truth[inner]).mean())


def drawn(path: Path, i: int, t: float, *, carried: bool) -> NDArray[np.uint8]:
    track = tracks(path).of(i) if carried else None
    return in_between(view(*path[i]), view(*path[i + 1]), [t], track=track)[0]


FALLING: Path = ((0, 0), (2, 1), (8, 4))  # (2, 1) t^2: constant acceleration
ARC: Path = ((0, 0), (6, 3), (6, 9))


def test_constant_acceleration_is_met() -> None:
    """Half way through the second segment the straight track is at 5, the truth at 2 * 1.5^2 = 4.5
    (and y at 2.25): code values apart by some 2 to 3, against under 1 of noise when met."""
    for i, t in ((0, 0.5), (1, 0.5)):
        at = i + t
        truth = view(2 * at * at, at * at)
        straight = error(drawn(FALLING, i, t, carried=False), truth)
        carried = error(drawn(FALLING, i, t, carried=True), truth)
        assert straight > 2
        assert carried < straight / 3


def test_a_corner_becomes_a_curve() -> None:
    """At 3/4 of the first segment: the parabola through the three keyframes."""
    x, y = 6 * 0.75 - 3 * 0.75 * (0.75 - 1), 3 * 0.75 + 1.5 * 0.75 * (0.75 - 1)
    truth = view(x, y)
    assert error(drawn(ARC, 0, 0.75, carried=True), truth) < 1
    assert error(drawn(ARC, 0, 0.75, carried=False), truth) > 2


def velocity(track_of: int, side: float) -> NDArray[np.float32]:
    """Of the picture's middle at the shared keyframe, in pixels a segment."""
    track, middle = tracks(FALLING).of(track_of), (SIZE[0] // 2, SIZE[1] // 2)
    if side == 0:  # leaving the first keyframe
        return np.asarray((track.found.forward + track.ahead.leaving)[middle])
    return np.asarray(-(track.found.backward + track.back.leaving)[middle])


def test_the_velocity_is_one_on_both_sides() -> None:
    before, after = velocity(0, 1), velocity(1, 0)
    # the view moves by +2 t^2, so its content by -4 t = (-4, -2) at t = 1
    assert before == pytest.approx(after, abs=0.05)
    assert after == pytest.approx([-4, -2], abs=0.25)


def test_the_keyframes_themselves_stay() -> None:
    keys = [view(*at) for at in FALLING]
    for i in (0, 1):
        ends = in_between(keys[i], keys[i + 1], [0, 1], track=tracks(FALLING).of(i))
        assert np.array_equal(ends[0], keys[i]) and np.array_equal(ends[1], keys[i + 1])


def test_backwards_the_same_frames() -> None:
    back = tuple(reversed(FALLING))
    there = drawn(FALLING, 0, 0.25, carried=True)
    assert np.array_equal(there, drawn(back, 1, 0.75, carried=True))


def test_two_keyframes_have_nothing_to_carry() -> None:
    alone = tracks(FALLING[:2], (1,))
    assert not alone.of(0).ahead.leaving.any() and not alone.of(0).back.arriving.any()
    assert [alone.pace(0)(s) for s in (0.0, 0.3, 1.0)] == [0.0, 0.3, 1.0]


def test_what_stands_still_does_not_start_to_drift() -> None:
    still = tracks(((0, 0), (0, 0), (8, 0)))
    assert np.abs(still.of(0).ahead.arriving).max() < 0.01
    assert (
        np.abs(in_between(view(0, 0), view(0, 0), [0.5], track=still.of(0))[0] - view(0, 0)).max()
        == 0
    )


def test_the_pace_of_constant_acceleration_is_the_parabola() -> None:
    """Ways 1 and 3 in equal times: 2 at the joint, so s^2 before it and (2 s + s^2) / 3 after."""
    both = tracks(FALLING)
    for s in (0.25, 0.5, 0.75):
        assert both.pace(0)(s) == pytest.approx(s * s, abs=0.02)
        assert both.pace(1)(s) == pytest.approx((2 * s + s * s) / 3, abs=0.02)


def test_times_count() -> None:
    """The same way in a third of the time is three times as fast: 1 before the joint, 3 after, and
    (1 * 1 + 3 * 3) / 4 = 2.5 there, in ways of the first segment a third of it."""
    uneven = tracks(((0, 0), (6, 0), (12, 0)), (3, 1))
    assert uneven.pace(0)(0.5) < 0.4
    assert uneven.pace(1)(0.5) < 0.5 + 1e-6
    near = 1e-4
    before = (1 - uneven.pace(0)(1 - near)) / near / 3
    after = uneven.pace(1)(near) / near
    assert before == pytest.approx(after, abs=0.05)


def test_pictures_with_nothing_in_common_change_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    keys = [view(0, 0), view(4, 0), noise]
    mixed = Tracks(lambda i: (keys[i], keys[i + 1]), (1, 1), (True, False))
    assert not mixed.of(0).ahead.arriving.any()
    assert mixed.pace(0)(0.3) == pytest.approx(0.3)


def test_a_loop_goes_on_into_its_first_segment() -> None:
    round_ = tracks(((0, 0), (6, 0), (6, 6)), (1, 1, 1), loop=True)
    assert np.abs(round_.of(0).ahead.leaving).mean() > 1
    assert np.abs(tracks(((0, 0), (6, 0), (6, 6)), (1, 1, 1)).of(2).ahead.arriving).mean() > 0
