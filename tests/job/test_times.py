"""Frame counts against the closed form and brute force; easing against scipy's root finder."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction as F
from itertools import product

import pytest
from scipy.optimize import brentq

from vtg_cli.errors import UsageError
from vtg_cli.job.easing import (
    CURVES,
    Easing,
    carried,
    cubic,
    easing,
    segment_times,
)
from vtg_cli.job.times import (
    Schedule,
    exact,
    parse_duration,
    parse_fps,
    parse_frames,
    placed,
    schedule,
)
from vtg_cli.media.rates import beside


def grid(*axes: Iterable[object]) -> list[tuple[object, ...]]:
    return list(product(*axes))


def make(keyframes: int = 2, **given: object) -> Schedule:
    defaults = {"frames": None, "duration": None, "fps": None, "loop": False}
    return schedule(
        keyframes,
        **{**defaults, "default_frames": 24, "default_fps": F(24), **given},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "fps"),
    [
        ("24", F(24)),
        ("23.976", F(23976, 1000)),
        ("24000/1001", F(24000, 1001)),
        (" 29.97 ", F(2997, 100)),
        ("12.5/2", F(25, 4)),
        (".5", F(1, 2)),
        ("1000", F(1000)),
    ],
)
def test_fps_is_read_as_an_exact_fraction(text: str, fps: F) -> None:
    assert parse_fps(text) == fps


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("23.976", F(24000, 1001)),
        ("23.98", F(24000, 1001)),
        ("29.97", F(30000, 1001)),
        ("47.952", F(48000, 1001)),
        ("59.94", F(60000, 1001)),
        ("119.88", F(120000, 1001)),
        ("24", F(24)),
        ("5", F(5)),
        ("29.9", F(299, 10)),
    ],
)
def test_rounded_broadcast_rates_are_meant_beside_such_a_clip(text: str, rate: F) -> None:
    """Beside any NTSC clip, not only one of the same rate; beside others a number is itself."""
    assert beside(parse_fps(text), [F(25), F(30000, 1001)]) == rate
    assert beside(parse_fps(text), [F(24), F(25), F(2997, 100)]) == parse_fps(text)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-24", "abc", "24/0", "1001", "24fps", "1e2", "nan", "inf", "24/1/1", "1_0", "२४"],
)
def test_a_rate_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--fps") as refusal:
        parse_fps(text)
    assert refusal.value.subject == "--fps"
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.5", F(3, 2)),
        ("1.5s", F(3, 2)),
        ("800ms", F(4, 5)),
        ("0.1", F(1, 10)),
        ("1:30", F(90)),
        ("00:00:01.5", F(3, 2)),
        ("01:02:03.25", F(14893, 4)),
    ],
)
def test_duration_is_read_in_seconds(text: str, seconds: F) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "0ms", "1m", "1:60", "90:00:99", "soon", "1:2:3:4"]
)
def test_a_duration_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--duration"):
        parse_duration(text)


def test_frame_counts_are_one_number_or_a_list() -> None:
    assert parse_frames("24") == (24,)
    assert parse_frames("16, 24,16") == (16, 24, 16)
    for text in ("", "x", "2.5", "-3", "4,", ",4", "9" * 20):
        with pytest.raises(UsageError, match="--frames"):
            parse_frames(text)


@pytest.mark.parametrize(
    ("keyframes", "n", "loop"), grid(range(2, 7), (2, 3, 7, 16, 25), (False, True))
)
def test_one_number_for_all_segments(keyframes: int, n: int, loop: bool) -> None:
    made = make(keyframes, frames=(n,), loop=loop)
    # Brute force: lay the segments' frames end to end and name each keyframe frame by its number.
    circle = [*range(keyframes), 0] if loop else [*range(keyframes)]
    laid = [mark for key in circle[:-1] for mark in [key, *["between"] * (n - 2)]]
    laid += [] if loop else [circle[-1]]
    assert made.total == len(laid)
    assert made.positions == tuple(laid.index(key) for key in range(keyframes))
    assert made.duration == F(len(laid), 24)


def test_each_segment_its_own_number() -> None:
    assert make(4, frames=(5, 2, 9)).positions == (0, 4, 5, 13)
    assert make(4, frames=(5, 2, 9)).total == 14
    looped = make(3, frames=(5, 2, 9), loop=True)
    assert (looped.positions, looped.total) == ((0, 4, 5), 13)


@pytest.mark.parametrize(
    ("keyframes", "loop", "duration", "fps"),
    grid(
        (2, 3, 5, 8), (False, True), (F(1, 2), F(1), F(7, 3), F(10)), (F(24), F(24000, 1001), F(30))
    ),
)
def test_duration_fills_segments_as_even_as_can_be(
    keyframes: int, loop: bool, duration: F, fps: F
) -> None:
    made = make(keyframes, duration=duration, fps=fps, loop=loop)
    assert made.total == round(duration * fps)
    assert abs(made.duration - duration) <= 1 / (2 * fps)
    assert max(made.segments) - min(made.segments) <= 1
    assert len(made.segments) == keyframes - 1 + loop


@pytest.mark.parametrize(("n", "duration"), grid((2, 10, 25), (F(1, 3), F(1), F(1001, 1000))))
def test_frames_and_duration_give_the_rate(n: int, duration: F) -> None:
    made = make(3, frames=(n,), duration=duration)
    assert made.fps == (2 * n - 1) / duration
    assert made.duration == duration


@pytest.mark.parametrize("total", range(20, 30))
def test_frames_duration_and_rate_agree_or_are_refused(total: int) -> None:
    duration, fps = F(1001, 1000), F(24000, 1001)  # exactly 24 frames
    if total == 24:
        assert make(frames=(total,), duration=duration, fps=fps).total == 24
        return
    with pytest.raises(UsageError) as refusal:
        make(frames=(total,), duration=duration, fps=fps)
    for given in (str(total), "1.001", "24000/1001", "24 frames"):
        assert given in refusal.value.message


def test_defaults_fill_what_is_not_given() -> None:
    assert make() == Schedule((24,), F(24))
    assert make(3) == Schedule((24, 24), F(24))
    assert make(fps=F(12)) == Schedule((24,), F(12))
    assert make(duration=F(2)) == Schedule((48,), F(24))


@pytest.mark.parametrize(
    ("keyframes", "given", "said"),
    [
        (3, {"frames": (4, 5, 6)}, "3 numbers, but 3 keyframes have 2 segments"),
        (2, {"frames": (4, 5)}, "2 keyframes have 1 segment"),
        (3, {"frames": (4, 5), "loop": True}, "a loop of 3 keyframes has 3 segments"),
        (2, {"frames": (1,)}, "--frames 1"),
        (3, {"frames": (4, 0)}, "--frames 0"),
        (5, {"duration": F(1, 8)}, "3 frames, too few for 5 keyframes"),
        (2, {"duration": F(1, 1000)}, "0 frames"),
        (2, {"frames": (100,), "duration": F(1, 100)}, "more than 1000 a second"),
    ],
)
def test_an_impossible_schedule_is_refused(
    keyframes: int, given: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        make(keyframes, **given)
    assert said in refusal.value.message
    assert refusal.value.hint


def oracle(x1: float, y1: float, x2: float, y2: float, x: float) -> float:
    def bernstein(a: float, b: float, s: float) -> float:
        return 3 * (1 - s) ** 2 * s * a + 3 * (1 - s) * s**2 * b + s**3

    s = brentq(lambda s: bernstein(x1, x2, s) - x, 0, 1, xtol=1e-15)
    return min(max(bernstein(y1, y2, s), 0.0), 1.0)


@pytest.mark.parametrize(
    "points",
    [
        *CURVES.values(),
        (0.1, -0.6, 0.2, 0.0),
        (0.68, -0.55, 0.265, 1.55),
        (0, 1, 0, 1),
        (1, 0, 1, 0),
    ],
)
def test_easing_follows_the_css_definition(points: tuple[float, float, float, float]) -> None:
    curve = easing(f"cubic-bezier({', '.join(map(str, points))})")
    for i in range(1, 100):
        # Both solvers find s to about 1e-15. Curves with a vertical tangent at an end lose a cube
        # root of that, 1e-5, within the first or last hundredth; 1e-9 holds at these points.
        assert curve(i / 100) == pytest.approx(oracle(*points, i / 100), abs=1e-9)


@pytest.mark.parametrize("name", CURVES)
def test_named_curves_are_their_control_points(name: str) -> None:
    points = ",".join(map(str, CURVES[name]))
    named, spelled = easing(name.upper()), easing(f"cubic-bezier({points})")
    assert [named(i / 16) for i in range(17)] == [spelled(i / 16) for i in range(17)]


@pytest.mark.parametrize("text", [*CURVES, "cubic-bezier(0.3,-2,0.7,3)"])
def test_easing_starts_at_0_ends_at_1_and_stays_between(text: str) -> None:
    curve = easing(text)
    assert (curve(0.0), curve(1.0)) == (0.0, 1.0)
    assert all(0.0 <= curve(i / 64) <= 1.0 for i in range(65))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "cubic-bezier(1,2,3)",
        "cubic-bezier(0,0,1,1,1)",
        "cubic-bezier(0,0,1,1",
        "cubic-bezier(a,b,c,d)",
        "cubic-bezier(-0.1,0,1,1)",
        "cubic-bezier(0,0,1.1,1)",
        "cubic-bezier(nan,0,1,1)",
        "cubic-bezier(0,nan,1,1)",
        "cubic-bezier(0,inf,1,1)",
    ],
)
def test_a_curve_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--ease"):
        easing(text)


@pytest.mark.parametrize("n", [2, 3, 10, 25])
def test_segment_times_run_from_0_to_1(n: int) -> None:
    assert segment_times(n, easing("linear")) == pytest.approx(
        [i / (n - 1) for i in range(n)], abs=1e-15
    )
    eased = segment_times(n, easing("ease-in-out"))
    assert (eased[0], eased[-1], len(eased)) == (0.0, 1.0, n)
    assert eased == sorted(eased)


@pytest.mark.parametrize("value", [F(24), F(3, 2), F(24000, 1001), F(1, 3), F(23976, 1000)])
def test_numbers_are_written_so_that_they_read_back(value: F) -> None:
    assert F(exact(value)) == value


NTSC = F(24000, 1001)


def test_keyframes_stand_on_the_frame_nearest_to_their_time() -> None:
    at = [F(0), F("1.5"), F(3)]
    assert placed(at, F(24)) == (37, 37)
    assert placed(at, NTSC) == (37, 37)  # 35.96 and 71.93 frames
    half = [F(0), F(1, 48), F(3, 48), F(1)]  # frames 0.5 and 1.5
    assert placed([half[0], *half[2:]], F(24)) == (3, 23)  # the even one, 2


def test_rounding_never_adds_up() -> None:
    """An hour of keyframes 0.7 s apart at 23.976: each is within half a frame of its own time."""
    at = [F(7, 10) * k for k in range(5143)]
    places = Schedule(placed(at, NTSC), NTSC).positions
    assert len(places) == len(at)
    assert max(abs(place - time * NTSC) for place, time in zip(places, at, strict=True)) <= (
        F(1, 2)
    )
    assert places[-1] == 86299  # 3599.4 s * 24000 / 1001 = 86299.3


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ([0, F(1, 100)], "keyframes 1 and 2, at 0 s and 0.01 s, fall on one frame at 24"),
        ([0, 2, 1], "keyframe 3 is at 1 s, and the one before it at 2 s"),
        ([1, 2], "the first keyframe is at 1 s, and a clip begins at 0"),
    ],
)
def test_keyframes_that_cannot_be_placed(at: list[F], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        placed([F(t) for t in at], F(24))


def slope(ease: Easing, x: float) -> float:
    near = 1e-5
    return (ease(min(x + near, 1)) - ease(max(x - near, 0))) / (min(x + near, 1) - max(x - near, 0))


def test_a_carried_easing_keeps_the_mean_pace_where_motion_goes_on() -> None:
    eased = easing("ease-in-out")
    through = carried(eased, False, True)
    assert slope(eased, 1) == pytest.approx(0, abs=1e-3)
    assert slope(through, 1) == pytest.approx(1, abs=1e-3)
    assert slope(through, 0) == pytest.approx(0, abs=1e-3)
    assert carried(eased, False, False) is eased
    steps = [through(i / 100) for i in range(101)]
    assert steps == sorted(steps) and (steps[0], steps[-1]) == (0, 1)


def test_carried_at_both_ends_is_even() -> None:
    even = carried(easing("ease"), True, True)
    assert [even(x) for x in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("ends", [(0, 0), (3, 3), (0, 3), (2, 0.5)])
def test_a_cubic_has_its_slopes_and_never_turns_back(ends: tuple[float, float]) -> None:
    pace = cubic(*ends)
    assert (slope(pace, 0), slope(pace, 1)) == pytest.approx(ends, abs=1e-3)
    steps = [pace(i / 200) for i in range(201)]
    assert steps == sorted(steps) and (steps[0], steps[-1]) == (0, 1)


def test_a_segment_of_too_many_frames_is_refused() -> None:
    """A day at 24 frames a second: 2,073,600 frames in one piece, or 86,400 in 24."""
    day = {"frames": None, "duration": F(86400), "fps": F(24), "loop": False}
    defaults = {"default_frames": 16, "default_fps": F(24)}
    with pytest.raises(UsageError, match="2073600 frames of one segment, at 24 a second"):
        schedule(2, **day, **defaults)  # type: ignore[arg-type]
    assert max(schedule(25, **day, **defaults).segments) == 86401  # type: ignore[arg-type]
