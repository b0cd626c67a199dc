"""Exact time: frame rates, durations, how many frames a segment gets and when each happens.

K keyframes span K - 1 segments, or K on a loop, whose last one leads back to the first keyframe.
A segment of n frames contains both its keyframes, and neighbours share one, so

    total = sum(n_i - 1) + 1      without the + 1 on a loop, where the closing repeat is dropped.

A clip of `total` frames lasts total / fps seconds. Rates and durations are fractions, not floats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

from vtg_cli.errors import UsageError

MAX_FPS = 1000
MAX_FRAMES = 100_000  # of a segment

_NUMBER = r"\d{1,99}(?:\.\d{0,99})?|\.\d{1,99}"  # Python reads no number of thousands of digits
_RATE = re.compile(rf"({_NUMBER})(?:/(\d{{1,99}}))?", re.ASCII)
_SECONDS = re.compile(rf"({_NUMBER})(ms|s)?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,99}):)?([0-5]?\d):([0-5]?\d(?:\.\d{0,99})?)", re.ASCII)
_COUNTS = re.compile(r"\d{1,18}(?:,\d{1,18})*", re.ASCII)


def parse_fps(text: str) -> Fraction:
    """Parse frames per second from "24", "23.976" (exactly that decimal) or "24000/1001".

    Raises UsageError for anything else, for 0 and for more than 1000.
    """
    match = _RATE.fullmatch(text.strip())
    if match and (below := Fraction(match[2] or 1)):
        fps = Fraction(match[1]) / below
        if 0 < fps <= MAX_FPS:
            return fps
    raise UsageError(
        f"--fps {text} is not a frame rate above 0 and up to {MAX_FPS}",
        "write a number or a fraction: 24, 29.97 or 24000/1001",
        subject="--fps",
    )


def parse_duration(text: str) -> Fraction:
    """Parse seconds: "1.5", "1.5s", "800ms", "1:30", "00:00:01.5". Raise UsageError unless > 0."""
    seconds = Fraction(0)
    if match := _SECONDS.fullmatch(text.strip()):
        seconds = Fraction(match[1]) / (1000 if match[2] == "ms" else 1)
    elif match := _CLOCK.fullmatch(text.strip()):
        seconds = 3600 * Fraction(match[1] or 0) + 60 * Fraction(match[2]) + Fraction(match[3])
    if seconds > 0:
        return seconds
    raise UsageError(
        f"--duration {text} is not a length of time above zero",
        "write seconds or a clock time: 1.5, 1.5s, 800ms or 00:00:01.5",
        subject="--duration",
    )


def parse_frames(text: str) -> tuple[int, ...]:
    """Parse frame counts: "24" or, one for each segment, "16,24,16". Raise UsageError."""
    counts = text.replace(" ", "")
    if _COUNTS.fullmatch(counts):
        return tuple(int(count) for count in counts.split(","))
    raise UsageError(
        f"--frames {text} is not a number of frames",
        "give one whole number for all segments or one for each: 24 or 16,24,16",
        subject="--frames",
    )


@dataclass(frozen=True)
class Schedule:
    """The number of frames of each segment, both its keyframes included, and their rate."""

    segments: tuple[int, ...]
    fps: Fraction
    loop: bool = False

    @property
    def total(self) -> int:
        """Frames of the whole clip, every keyframe once."""
        return sum(n - 1 for n in self.segments) + (not self.loop)

    @property
    def duration(self) -> Fraction:
        """Length of the clip in seconds."""
        return self.total / self.fps

    @property
    def positions(self) -> tuple[int, ...]:
        """Output index of every keyframe, in order."""
        ends = tuple(accumulate((n - 1 for n in self.segments), initial=0))
        return ends[:-1] if self.loop else ends


def schedule(
    keyframes: int,
    *,
    frames: tuple[int, ...] | None,
    duration: Fraction | None,
    fps: Fraction | None,
    loop: bool,
    default_frames: int,
    default_fps: Fraction,
) -> Schedule:
    """Return the schedule asked for; what is not given follows from the rest, or from the defaults.

    frames: one number for every segment or one per segment, each 2 or more
    duration: seconds of the whole clip; without `frames` cut into segments as evenly as possible
    fps: follows from frames and duration if both are given

    Raises UsageError if a number is impossible or the three contradict each other.
    """
    pieces = keyframes if loop else keyframes - 1
    if frames is None and duration is not None:
        segments = _even_segments(keyframes, pieces, duration, fps or default_fps, loop)
    else:
        segments = _given_segments(keyframes, pieces, frames or (default_frames,), loop)
    if frames is not None and duration is not None and fps is None:
        fps = Schedule(segments, default_fps, loop).total / duration

    result = Schedule(segments, fps or default_fps, loop)
    if result.fps > MAX_FPS:
        raise UsageError(
            f"{result.total} frames in {exact(result.duration)} s are more than {MAX_FPS} a second",
            "ask for fewer frames or a longer duration",
            subject="--duration",
        )
    if duration is not None and result.total != (fitting := round(duration * result.fps)):
        raise UsageError(
            f"--frames ({result.total} in all), --duration {exact(duration)} and "
            f"--fps {exact(result.fps)} contradict each other: that time holds {fitting} frames",
            "leave one of the three out and it follows from the other two",
            subject="--frames",
        )
    if (most := max(segments)) > MAX_FRAMES:  # derived from times: given counts were looked at
        raise UsageError(
            f"{most} frames of one segment, at {exact(result.fps)} a second, are more than "
            f"{MAX_FRAMES}",
            "ask for a shorter time or a lower --fps, or put keyframes between",
            subject="--frames" if duration is None else "--duration",
        )
    return result


def check_rising(at: Sequence[Fraction]) -> None:
    """Raise UsageError unless the times begin at 0 and grow."""
    if at[0] != 0:
        raise UsageError(
            f"the first keyframe is at {exact(at[0])} s, and a clip begins at 0",
            "give it @0 and the others the time since then",
            subject="at",
        )
    for k, (before, after) in enumerate(pairwise(at), start=2):
        if after <= before:
            raise UsageError(
                f"keyframe {k} is at {exact(after)} s, and the one before it at {exact(before)} s",
                "give them in order, each later than the one before",
                subject="at",
            )


def placed(at: Sequence[Fraction], fps: Fraction) -> tuple[int, ...]:
    """Return each segment's frames, both keyframes included, for keyframes at these seconds.

    Each keyframe is put on the frame nearest to its own time (the even one of two), so nothing adds
    up. Raises UsageError for times that do not grow, and for two keyframes on one frame.
    """
    check_rising(at)
    places = [round(seconds * fps) for seconds in at]
    for k, (before, after) in enumerate(pairwise(places), start=2):
        if after == before:
            raise UsageError(
                f"keyframes {k - 1} and {k}, at {exact(at[k - 2])} s and {exact(at[k - 1])} s, "
                f"fall on one frame at {exact(fps)} frames a second",
                "put them further apart, or ask for a higher frame rate",
                subject="at",
            )
    return tuple(after - before + 1 for before, after in pairwise(places))


def _even_segments(
    keyframes: int, pieces: int, duration: Fraction, fps: Fraction, loop: bool
) -> tuple[int, ...]:
    total = round(duration * fps)
    steps = total - (not loop)
    if steps < pieces:
        raise UsageError(
            f"--duration {exact(duration)} at {exact(fps)} frames a second is {total} frame"
            f"{'' if total == 1 else 's'}, too few for {keyframes} keyframes",
            "ask for a longer duration, a higher --fps or fewer keyframes",
            subject="--duration",
        )
    ends = (i * steps // pieces for i in range(pieces + 1))
    return tuple(b - a + 1 for a, b in pairwise(ends))


def _given_segments(
    keyframes: int, pieces: int, frames: tuple[int, ...], loop: bool
) -> tuple[int, ...]:
    if len(frames) not in (1, pieces):
        clip = f"a loop of {keyframes} keyframes has" if loop else f"{keyframes} keyframes have"
        raise UsageError(
            f"--frames has {len(frames)} numbers, but {clip} {pieces} "
            f"segment{'' if pieces == 1 else 's'}",
            "give one number for all segments or one for each",
            subject="--frames",
        )
    if min(frames) < 2:
        raise UsageError(
            f"--frames {min(frames)}: a segment has at least 2 frames, its two keyframes",
            "ask for 2 frames or more",
            subject="--frames",
        )
    return frames * pieces if len(frames) == 1 else frames


def count(seconds: Fraction, step: Fraction) -> int:
    """Count the frames of a clip: the nearest whole number of steps, at least one."""
    return max(1, int(seconds / step + Fraction(1, 2)))


def exact(value: Fraction) -> str:
    """Format 24, 1.5 or 24000/1001: the shortest way to write it that loses nothing."""
    decimal = format(float(value), ".10g")
    return decimal if Fraction(decimal) == value else str(value)
