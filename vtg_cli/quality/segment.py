"""The judgement of a drawn segment, from its frames alone: an in-between, or only like one.

Five ways to fail, each with one measure that is compared with one threshold (docs/quality.md shows
how they were chosen):

    slideshow   frames that should be on the way look like a keyframe
    frozen      nothing changes over a long part of the way
    hard-cut    one step is far larger than the others
    flicker     brightness or colour of whole regions goes to and fro from frame to frame
    cross-fade  every frame is a mix (1 - w) first + w last, though motion leads to the other end
                and carried along it they would not be

Everything is measured on pictures reduced to SIDE pixels, a frame at a time, in code values 0 to
255. Paces are per share of the way, so an easing curve is neither a freeze nor a cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.flow.correspondence import Correspondence, correspond
from vtg_cli.flow.engine import in_between
from vtg_cli.flow.splatting import Track
from vtg_cli.quality.pair import ALIKE, moved

Label = Literal["slideshow", "frozen", "flicker", "hard-cut", "cross-fade"]
Note = Literal["still", "dissolve", "short"]
Reduced = NDArray[np.float32]
"""Frames [F, h, w, 3]."""

SIDE = 128  # pixels of the long side on which all is measured
REGIONS = 4  # along the long side, in which flicker is looked for
FEWEST = 5  # frames; fewer show no pace,
RHYTHMIC = 8  # and fewer than these no rhythm: large steps look like flicker
ON_THE_WAY = (0.15, 0.85)  # times at which a frame should look like neither keyframe,
NEAR = 0.08  # that is, be further from both than this share of the distance between them
PAUSE = 0.2  # share of the usual pace below which nothing changes,
CRAWL = 0.05  # or of the pace that leads straight from one keyframe to the other,
QUIET = 0.25  # and in code values: the slow part of a clip that changes more does not stand still
VISIBLE = 2.0  # code values: a smaller step of the whole picture is no cut
RHYTHM = 1.0  # second over first difference: 2 if alternating, 1.73 if random, small if smooth
AVOIDABLE = 0.1  # share of the gap that motion explains from which a mix is a failure

THRESHOLDS: dict[Label, float] = {
    "slideshow": 0.3,
    "frozen": 0.2,
    "flicker": 0.7,
    "hard-cut": 2.5,
    "cross-fade": 0.9,
}
"""Threshold of each label's measure, the gravest failure first."""


@dataclass(frozen=True)
class Measures:
    """The measures of one segment.

    gap: mean absolute difference of its first and last frame, code values
    energy: the steps' sum over the gap: 1 for a fade or a cut, as a rule more where things move
    held: share of the frames on the way that still look like the first one or already like the last
        one, where there are both
    paused: longest part of the way over which nothing changes
    jump: the largest pace over the median of the others, without rests and the steps beside it
    swing: standard deviation of what alternates from frame to frame, code values
    fade: 1 - residual over gap of the best mix of both ends, median over the frames between
    moved: share of the gap that motion explains; None where nobody asked
    """

    gap: float
    energy: float
    held: float
    paused: float
    jump: float
    swing: float
    fade: float
    moved: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A judgement on a segment: what is wrong with it, and what only looks so.

    labels: what fails, the gravest first; empty: it is an in-between
    notes: "still": both ends are the same picture and nothing moves; "dissolve": a cross-fade, and
        no motion leads from one end to the other; "short": too few frames to tell
    measures: None where short
    badness: sum over the labels of measure / threshold, each at most 2, those that do not fail
        included: what candidates are compared by
    """

    labels: tuple[Label, ...]
    notes: tuple[Note, ...]
    measures: Measures | None
    badness: float


def judge(frames: Iterable[NDArray[np.uint8]], times: Sequence[float] | None = None) -> Verdict:
    """Judge a segment's frames uint8 [H, W, 1 to 4], keyframes included.

    times: of the frames in [0, 1], rising from 0 to 1; None: even

    Takes one frame at a time.
    """
    clip = reduced(frames)
    if len(clip) < FEWEST:
        return Verdict((), ("short",), None, 0.0)
    measures = measure(clip, times)
    apart = measures.gap > ALIKE
    excess: dict[Label, float] = {
        "slideshow": measures.held if apart else 0.0,
        "frozen": measures.paused if apart else 0.0,
        "flicker": measures.swing,
        "hard-cut": measures.jump,
        "cross-fade": measures.fade if apart else 0.0,
    }
    excess = {label: value / THRESHOLDS[label] for label, value in excess.items()}
    failed = [label for label, value in excess.items() if value >= 1]
    notes: tuple[Note, ...] = ()
    if failed == ["cross-fade"]:
        first, last = (np.round(clip[i]).astype(np.uint8) for i in (0, -1))
        motion = correspond(first, last)
        explained = moved(first, last, motion)
        measures = replace(measures, moved=explained)
        if explained < AVOIDABLE:
            failed, notes, excess["cross-fade"] = [], ("dissolve",), 0.0
        elif _fade(_carried(first, last, motion)) >= THRESHOLDS["cross-fade"]:
            failed, excess["cross-fade"] = [], 0.0
    elif "cross-fade" in failed:  # so is every mix of two pictures
        failed.remove("cross-fade")
    if "slideshow" in failed:
        failed = ["slideshow"]
    if not apart and measures.energy < 1:
        notes = ("still",)
    return Verdict(
        tuple(failed), notes, measures, sum(min(value, 2.0) for value in excess.values())
    )


def reduced(frames: Iterable[NDArray[np.uint8]]) -> Reduced:
    """Reduce frames uint8 [H, W, 1 to 4], one by one, to float32 [F, h, w, 3], alpha over grey."""
    return np.stack([_small(frame) for frame in frames])


def _small(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    height, width = frame.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    x = np.asarray(small, np.float32).reshape(size[1], size[0], frame.shape[2])
    if x.shape[2] in (2, 4):
        alpha = x[..., -1:] / np.float32(255)
        x = x[..., :-1] * alpha + np.float32(128) * (1 - alpha)
    return np.ascontiguousarray(np.broadcast_to(x, (*x.shape[:2], 3)))


def measure(clip: Reduced, times: Sequence[float] | None = None) -> Measures:
    """Measure a reduced clip [F, h, w, 3], F >= FEWEST. times: of its frames in [0, 1]."""
    t = np.linspace(0, 1, len(clip)) if times is None else np.asarray(times, float)
    way = np.maximum(np.diff(t), 1e-3 / len(clip))
    way = way / way.sum()
    first, last = clip[0], clip[-1]
    steps = np.array([_apart(a, b) for a, b in zip(clip[1:], clip[:-1], strict=True)])
    gap = _apart(first, last)
    still = _still(steps, way, gap)
    return Measures(
        gap=gap,
        energy=float(steps.sum() / max(gap, ALIKE)),
        held=_held(clip, t, gap),
        paused=_paused(still, way),
        jump=_jump(steps, way, still),
        swing=_swing(clip),
        fade=_fade(clip),
    )


def _apart(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a - b).mean(dtype=float))


def _held(clip: Reduced, t: NDArray[np.float64], gap: float) -> float:
    low, high = ON_THE_WAY
    between = [frame for frame, at in zip(clip, t, strict=True) if low < at < high]
    opens = takewhile(lambda frame: _apart(frame, clip[0]) < NEAR * gap, between)
    closes = takewhile(lambda frame: _apart(frame, clip[-1]) < NEAR * gap, reversed(between))
    held = [sum(1 for _ in run) for run in (opens, closes)]
    return sum(held) / len(between) if min(held) else 0.0


def _still(steps: NDArray[np.float64], way: NDArray[np.float64], gap: float) -> NDArray[np.bool_]:
    """Return the steps over which nothing changes."""
    usual = (steps.sum() - np.max(steps)) / (1 - way[np.argmax(steps)])  # a cut is no pace
    return np.asarray(steps < np.minimum(max(PAUSE * usual, CRAWL * gap) * way, QUIET))


def _paused(still: NDArray[np.bool_], way: NDArray[np.float64]) -> float:
    runs = groupby(zip(still, way, strict=True), key=lambda pair: bool(pair[0]))
    return float(max((sum(w for _, w in run) for rests, run in runs if rests), default=0.0))


def _jump(steps: NDArray[np.float64], way: NDArray[np.float64], still: NDArray[np.bool_]) -> float:
    even = 1 / len(way)
    # what a step changes grows more slowly than the motion: the truth is between these two
    paces = steps, steps * even / np.maximum(way, even / 4)
    return min(_outlier(pace, still) if steps[np.argmax(pace)] > VISIBLE else 1.0 for pace in paces)


def _outlier(pace: NDArray[np.float64], still: NDArray[np.bool_]) -> float:
    largest = int(np.argmax(pace))
    far = np.abs(np.arange(len(pace)) - largest) > 1  # a foreign frame makes two large steps
    others = pace[~still & far]
    return float(pace[largest] / max(np.median(others) if len(others) else 0.0, ALIKE / 4))


def _swing(clip: Reduced) -> float:
    if len(clip) < RHYTHMIC:
        return 0.0
    height, width = clip.shape[1:3]
    scale = REGIONS / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    regions = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in clip])
    slopes = _deviation(np.diff(regions, axis=0))
    bends = _deviation(np.diff(regions, 2, axis=0))
    usual = float(np.median(bends))  # not the mean: a single cut bends twice
    return usual / 6**0.5 if usual > RHYTHM * float(np.median(slopes)) else 0.0


def _carried(first: NDArray[np.uint8], last: NDArray[np.uint8], motion: Correspondence) -> Reduced:
    """Return both ends and what motion puts half-way: smooth pictures look mixed."""
    return np.asarray(in_between(first, last, [0.0, 0.5, 1.0], track=Track(motion)), np.float32)


def _deviation(x: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.square(x, dtype=float).mean(axis=(1, 2, 3))))


def _fade(clip: Reduced) -> float:
    way = (clip[-1] - clip[0]).ravel().astype(float)
    length = float(way @ way)
    if length == 0:
        return 0.0
    rests = []
    for frame in clip[1:-1]:
        off = (frame - clip[0]).ravel()
        w = off @ way / length
        rests.append(np.sqrt(np.square(off - w * way).sum() / length))
    return float(1 - np.median(rests))
