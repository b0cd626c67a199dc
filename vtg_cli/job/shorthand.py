"""Keyframes with their times on the command line: a.png@0 b.png@1.5s c.png@3s."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vtg_cli.errors import UsageError
from vtg_cli.job.times import parse_duration

_FRAME = re.compile(r"(\d{1,9})f", re.ASCII)
_ZERO = re.compile(r"0+(\.0*)?(ms|s)?|(0+:){1,2}0+(\.0*)?", re.ASCII)


@dataclass(frozen=True)
class Keyframes:
    """The keyframes of a command line.

    names: of the files
    at, frames: their times, either in seconds or as frames of each segment; both None: they have
        none
    """

    names: tuple[str, ...]
    at: tuple[Fraction, ...] | None = None
    frames: tuple[int, ...] | None = None


def parse_time(text: str) -> Fraction | int:
    """Parse seconds, as a fraction, from "1.5", "1.5s", "800ms" or "1:30", or a frame's number, an
    int, from "36f".

    Raises UsageError for anything else.
    """
    text = text.strip()
    if match := _FRAME.fullmatch(text):
        return int(match[1])
    if _ZERO.fullmatch(text):
        return Fraction(0)
    try:
        return parse_duration(text)
    except UsageError:
        raise UsageError(
            f"{text} is not a time", "write seconds or a frame: 1.5, 1.5s, 800ms, 0:01.5 or 36f"
        ) from None


def split(arguments: Sequence[str], fps: Fraction | None = None) -> Keyframes:
    """Split arguments into files and times. A file of that very name is one, whatever its @.

    fps: needed to compare times in frames with times in seconds

    Raises UsageError if some have a time and others none, or a time cannot be read.
    """
    names: list[str] = []
    times: list[Fraction | int | None] = []
    for argument in arguments:
        name, time = _split(argument)
        names.append(name)
        times.append(time)
    if all(time is None for time in times):
        return Keyframes(tuple(names))
    for argument, time in zip(arguments, times, strict=True):
        if time is None:
            raise UsageError(
                f"{argument} has no time, and others have one",
                f"give it one too, as in {argument}@1.5s, or none to all",
                subject=argument,
            )
    moments = [time for time in times if time is not None]
    numbers = [time for time in moments if isinstance(time, int)]
    if numbers and all(isinstance(time, int) or time == 0 for time in moments):
        return Keyframes(tuple(names), frames=_counts([int(time) for time in moments]))
    if numbers and fps is None:
        raise UsageError(
            "times in frames beside times in seconds need --fps",
            "add --fps, or give all of them in one of the two",
            subject="--fps",
        )
    at = (time / fps if isinstance(time, int) and fps else Fraction(time) for time in moments)
    return Keyframes(tuple(names), at=tuple(at))


def _split(argument: str) -> tuple[str, Fraction | int | None]:
    name, sign, time = argument.rpartition("@")
    if not sign or not name or os.path.lexists(argument):
        return argument, None
    try:
        return name, parse_time(time)
    except UsageError as error:
        if not os.path.lexists(name):
            return argument, None  # no time meant: what is missing is a file of that name
        raise UsageError(f"{argument}: {error.message}", error.hint, subject=argument) from None


def _counts(places: Sequence[int]) -> tuple[int, ...]:
    """Return the frames of each segment between keyframes on these frames."""
    if places[0] != 0:
        raise UsageError(
            f"the first keyframe is on frame {places[0]}, and a clip begins with frame 0",
            "give it @0f, or @0",
            subject="at",
        )
    for k in range(1, len(places)):
        if places[k] <= places[k - 1]:
            raise UsageError(
                f"keyframe {k + 1} is on frame {places[k]}, and the one before it on frame "
                f"{places[k - 1]}",
                "give them in order, each later than the one before",
                subject="at",
            )
    return tuple(places[k] - places[k - 1] + 1 for k in range(1, len(places)))
