"""The nominal rate of uneven and of rounded times, against grids they were made from."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest

from vtg_cli.media.rates import nearest_rate, nominal

FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("figure", "rate"),
    [
        ("23.98", FILM),
        ("29.97", NTSC),
        ("59.94", Fraction(60000, 1001)),
        ("25", 25),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_a_rounded_rate_stands_for_the_exact_one(figure: str, rate: Fraction) -> None:
    assert nearest_rate(Fraction(figure)) == rate


@pytest.mark.parametrize("guess", [None, Fraction(10), FILM])
def test_holds_do_not_slow_a_clip(guess: Fraction | None) -> None:
    """A picture of five seconds, thirty of a thirtieth, one of four seconds."""
    times = [0, *range(150, 181), 299]
    assert nominal([512 * time for time in times], Fraction(1, 15360), guess) == 30


@pytest.mark.parametrize(
    "rate", [Fraction(24), FILM, Fraction(25), Fraction(30), NTSC, Fraction(60)]
)
def test_whole_milliseconds_are_seen_through(rate: Fraction) -> None:
    times = [int(i / rate * 1000) for i in range(200)]
    assert nominal(times, Fraction(1, 1000), rate) == rate


@pytest.mark.parametrize(
    ("delays", "rate"),
    [([10, 20, 10, 30, 10], 10), ([3, 3, 4] * 9, 30), ([4] * 9, 25), ([30, 40, 50], 10)],
)
def test_delays_of_a_gif(delays: list[int], rate: int) -> None:
    times = [*accumulate(delays, initial=0)]
    assert nominal(times, Fraction(1, 100), None) == rate


def test_times_on_no_grid_have_the_containers_rate_or_the_usual_one() -> None:
    times = [0, 3011, 6022, 9080, 12004, 15130, 18011]  # of a telephone, 90,000 ticks a second
    assert nominal(times, Fraction(1, 90000), Fraction(30)) == 30
    assert abs(nominal(times, Fraction(1, 90000), Fraction(1000)) - 30) < Fraction(1, 2)


def test_one_frame_has_the_rate_it_is_said_to_have() -> None:
    assert nominal([0], Fraction(1, 1000), Fraction(12)) == 12
    assert nominal([0], Fraction(1, 1000), None) == 25
