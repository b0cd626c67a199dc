"""Readers of option values: what a person may write on the terminal, in Python or in a file -> the
value.

Each takes the value itself as well. UsageError names the option.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from vtg_cli.errors import UsageError
from vtg_cli.job import times

Number = Fraction | float | str
"""An exact number; of a float the shortest decimal that denotes it is meant."""


def read_frames(value: int | str | Sequence[int]) -> tuple[int, ...]:
    """Read frame counts from 24, "24", "16,24" or (16, 24)."""
    if isinstance(value, str):
        return times.parse_frames(value)
    return (value,) if isinstance(value, int) else tuple(value)


def read_duration(value: Number) -> Fraction:
    """Read seconds from 1.5, "800ms" or "00:01:30"."""
    return times.parse_duration(str(value))


def read_fps(value: Number) -> Fraction:
    """Read a frame rate from 24, 23.976 or "24000/1001"."""
    return times.parse_fps(str(value))


def read_moments(value: Sequence[Number]) -> tuple[Fraction, ...]:
    """Read seconds, each exact."""
    return tuple(Fraction(str(seconds)) for seconds in value)


def read_prompts(value: str | Sequence[str]) -> tuple[str, ...]:
    """Read captions: one for all keyframes, or one for each."""
    return (value,) if isinstance(value, str) else tuple(value)


def read_guidance(value: float | str | Sequence[float]) -> tuple[float, float]:
    """Read guidance at the near and the far end from "1:3", [1, 3] or one number for both."""
    if not isinstance(value, str):
        low, high = (value, value) if isinstance(value, int | float) else value
        return float(low), float(high)
    parts = value.split(":") if ":" in value else [value, value]
    try:
        low, high = map(float, parts)
    except ValueError:
        raise UsageError(
            f"--guidance {value} is not a range",
            "write two numbers such as 1:3, or one for all frames",
            subject="--guidance",
        ) from None
    return low, high


def read_span(value: str | Sequence[float]) -> tuple[float, float]:
    """Read shares of the steps from "0.2:0.8" or [0.2, 0.8]."""
    try:
        first, last = map(float, value.split(":") if isinstance(value, str) else value)
    except ValueError:
        raise UsageError(
            f"--guidance-span {value} is not a range",
            "write two numbers from 0 to 1 in rising order, such as 0:0.6",
            subject="--guidance-span",
        ) from None
    return first, last
