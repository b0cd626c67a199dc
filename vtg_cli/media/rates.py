"""The rate of a clip: its nominal one, also where it holds pictures or its times are rounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import gcd

RATES = tuple(
    rate
    for whole in (24, 30, 48, 60, 120, 240)
    for rate in (Fraction(whole), Fraction(whole * 1000, 1001))
)
"""Rates a rounded figure may stand for, beside whole numbers."""

ROUNDING = Fraction(1, 200)
PLAIN = frozenset((*RATES, *map(Fraction, range(1, 241))))
MOST = 4  # steps of a common interval that the smallest one between two frames may hold
USUAL = Fraction(25)  # frames a second of what says nothing, as ffmpeg has it


def nearest_rate(figure: Fraction) -> Fraction:
    """Return the rate that a figure of two decimals stands for: 23.98 is 24000/1001."""
    near = [rate for rate in (*RATES, Fraction(round(figure))) if abs(rate - figure) <= ROUNDING]
    return min(near, key=lambda rate: abs(rate - figure), default=figure)


def beside(fps: Fraction, rates: Iterable[Fraction]) -> Fraction:
    """Return `fps`, or the NTSC rate it rounds if one of the `rates` of clips is that rate.

    29.97 beside a clip of 30000/1001 is 30000/1001. Without such a clip a number is exactly itself.
    """
    near = nearest_rate(fps)
    ntsc = near.denominator == 1001 and any(rate.denominator == 1001 for rate in rates)
    return near if ntsc else fps


def nominal(times: Sequence[int], tick: Fraction, guess: Fraction | None) -> Fraction:
    """Return the rate whose grid carries every frame: one over the smallest common interval.

    times: of the frames, ascending, in ticks
    tick: seconds
    guess: what the container says

    A time within one tick of the grid lies on it, since containers round to ticks. Where no rate
    carries all frames, the container's own word stands, or else the usual interval.
    """
    steps = sorted(after - before for before, after in pairwise(times) if after > before)
    if not steps:
        return guess or USUAL
    smallest = steps[0] * tick
    usual = 1 / (steps[len(steps) // 2] * tick)
    center = guess or usual
    plain = sorted(
        [rate for rate in PLAIN if abs(1 / rate - smallest) <= tick],
        key=lambda rate: (rate.denominator > 1, abs(rate - center)),
    )
    stated = [guess] if guess is not None and 1 / guess >= smallest - tick else []
    near = [*stated, *plain] if guess in PLAIN else [*plain, *stated]
    if smallest <= MOST * gcd(*steps) * tick:
        near.append(1 / (gcd(*steps) * tick))
    for rate in near:
        if _carries(times, tick * rate):
            return rate
    if guess is not None and Fraction(1, 2) <= guess / usual <= 2:
        return guess
    return nearest_rate(usual)


def _carries(times: Sequence[int], share: Fraction) -> bool:
    """Return whether all times lie within a tick of the grid; share: a tick over its step."""
    up, down = share.numerator, share.denominator
    first = times[0]
    return all(min(rest := (time - first) * up % down, down - rest) <= up for time in times)
