"""What a clip is worth for training: its shots between cuts and fades, and measures of each.

motion       mean length of the flow between neighbours, in percent of the longer side
clarity      mean square of the Laplacian over the variance: low where nothing is sharp
consistency  least cosine between neighbours' thumbnails, less their mean: low where things pop
repeated     share of frames that are the one before again
letterbox    rows and columns of bars: top, bottom, left, right, in shares of the side
text         share of the picture that looks like lettering: rows of short strokes that stay

Shots follow PySceneDetect's rules: its AdaptiveDetector or ContentDetector finds cuts, and frames
darker than its ThresholdDetector's 12 of 255, or as near to white, part shots as well; frames that
fade there or back are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.flow.correspondence import correspond
from vtg_cli.media.clip import Timed, open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.media.scenes import SAME, change, with_cuts

Detector = Literal["adaptive", "content"]
Picture = NDArray[np.uint8]
LOOKED_AT = 192
"""Pixels along the longer side that measures are taken at."""
KEPT = 600
"""Most frames of a shot that are looked at."""
PAIRS = 4
"""Pairs of neighbours whose motion is found."""
DARK = 12
"""Mean level up to which a frame is black (255 less it: white), as in detect-threshold."""
FADES = 0.025
"""Change of the mean level from frame to frame, all in one direction, that makes a fade: a share of
how far the shot comes from black, or from white. What moves may darken a picture more slowly."""
BAR = 20
"""Brightest level of a bar."""
HASH = 8
"""Side of the thumbnail that duplicates are found by."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A shot and its measures. first, frames: where it lies in its clip; middle: a small picture.

    faded: frames left out at either end; mark: bits that near duplicates share
    """

    first: int
    frames: int
    faded: int
    motion: float
    clarity: float
    consistency: float
    repeated: float
    letterbox: tuple[float, float, float, float]
    text: float
    mark: int
    middle: Picture


@dataclass
class _Open:
    """A shot while its frames come."""

    first: int
    levels: list[float] = field(default_factory=list)
    small: list[Picture] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Look:
    """A clip that was looked through. size: (height, width)"""

    fps: Fraction
    size: tuple[int, int]
    shots: tuple[Shot, ...]


def look_through(path: Path, detector: Detector = "adaptive") -> Look:
    """Read a clip once and measure its shots. Raise MediaError if it cannot be read."""
    with open_clip(Input(path=str(path))) as clip:
        shots = tuple(filter(None, map(_measured, _parted(clip.frames(), detector))))
        return Look(fps=clip.rate, size=clip.size, shots=shots)


def _parted(frames: Iterator[Timed], detector: Detector) -> Iterator[_Open]:
    """Yield the shots between cuts, black and white."""
    shot = _Open(0)
    for i, (frame, cut) in enumerate(with_cuts(frames, detector)):
        small = _small(frame.pixels)
        level = float(small.mean())
        empty = level < DARK or level > 255 - DARK
        if (cut or empty) and shot.levels:
            yield shot
            shot = _Open(i)
        if empty:
            shot = _Open(i + 1)
            continue
        shot.levels.append(level)
        if len(shot.small) < KEPT:
            shot.small.append(small)
    if shot.levels:
        yield shot


def _measured(shot: _Open) -> Shot | None:
    """Measure a shot without its fades; None if nothing of it is left."""
    start, end = _unfaded(shot.levels)
    small = shot.small[start:end]
    if not small:
        return None
    same = [change(a, b) <= SAME for a, b in pairwise(small)]
    middle = small[len(small) // 2]
    return Shot(
        first=shot.first + start,
        frames=end - start,
        faded=len(shot.levels) - (end - start),
        motion=_motion(small),
        clarity=float(np.median([_clarity(each) for each in _some(small, 5)])),
        consistency=_consistency(small),
        repeated=sum(same) / max(1, len(same)),
        letterbox=_bars(small),
        text=_text(_some(small, 5)),
        mark=_mark(middle),
        middle=middle,
    )


def _unfaded(levels: list[float]) -> tuple[int, int]:
    """Return the frames [start, end) without a rise out of, or a fall into, black or white."""
    steps = np.diff(levels)

    def run(changes: NDArray[np.float64], edge: float) -> int:
        """Count steps from an edge that is black or white on, all away from it."""
        if not min(edge, 255 - edge) < DARK * 4:
            return 0
        away, reach = (1.0, max(levels)) if edge < 128 else (-1.0, 255 - min(levels))
        n = 0
        while n < len(changes) and away * changes[n] > FADES * reach:
            n += 1
        return n

    start = run(steps, levels[0])
    end = len(levels) - run(-steps[::-1], levels[-1])
    return (start, end) if start < end else (0, 0)


def _motion(small: list[Picture]) -> float:
    lengths = []
    for i in _places(len(small) - 1, PAIRS):
        flow = correspond(small[i], small[i + 1]).forward
        scale = max(small[i].shape[:2]) / max(flow.shape[:2])
        lengths.append(float(np.linalg.norm(flow, axis=-1).mean()) * scale)
    return 100 * float(np.mean(lengths)) / max(small[0].shape[:2]) if lengths else 0.0


def _clarity(picture: Picture) -> float:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = cv2.Laplacian(grey, cv2.CV_32F)
    return float(np.square(edges).mean() / max(1.0, float(grey.var())))


def _consistency(small: list[Picture]) -> float:
    thumbs = np.stack([cv2.resize(p, (16, 16), interpolation=cv2.INTER_AREA) for p in small])
    rows = thumbs.reshape(len(thumbs), -1).astype(np.float64)
    rows = rows - rows.mean(1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1) + 1e-9
    cosines = (rows[1:] * rows[:-1]).sum(1) / (norms[1:] * norms[:-1])
    return float(np.min(cosines)) if len(cosines) else 1.0


def _bars(small: list[Picture]) -> tuple[float, float, float, float]:
    brightest = np.max([p.max(2) for p in _some(small, 9)], axis=0)
    rows, columns = brightest.max(1) <= BAR, brightest.max(0) <= BAR

    def run(dark: NDArray[np.bool_]) -> float:
        lit = np.flatnonzero(~dark)
        return float(lit[0]) / len(dark) if len(lit) else 1.0

    return run(rows), run(rows[::-1]), run(columns), run(columns[::-1])


def _text(small: list[Picture]) -> float:
    """Return the share of places with dense upright strokes in all pictures: lettering stays."""
    stays: NDArray[np.bool_] | None = None
    for picture in small:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        strokes = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 60
        upright = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) > 120
        dense = cv2.boxFilter((strokes & upright).astype(np.float32), -1, (15, 5)) > 0.3
        stays = dense if stays is None else stays & dense
    return float(stays.mean()) if stays is not None else 0.0


def _mark(picture: Picture) -> int:
    """Return 64 bits: where brightness grows along the rows of a thumbnail (difference hash)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    thumb = cv2.resize(grey, (HASH + 1, HASH), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (np.diff(thumb, axis=1) > 0).flatten()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _small(pixels: Picture) -> Picture:
    height, width = pixels.shape[:2]
    scale = min(1.0, LOOKED_AT / max(height, width))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    out: Picture = cv2.resize(pixels[..., :3], size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return out


def _some(pictures: list[Picture], most: int) -> list[Picture]:
    return [pictures[i] for i in _places(len(pictures), most)]


def _places(count: int, most: int) -> list[int]:
    """Return at most `most` of 0 .. count - 1, evenly spread."""
    return (
        sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))}) if count > 0 else []
    )
