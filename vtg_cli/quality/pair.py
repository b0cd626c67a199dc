"""The comparison of two keyframes before anything is drawn, and what follows for the job.

Everything is measured on pictures reduced to SIDE pixels; lengths are told in the pictures' own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.evaluation.pictures import ssim
from vtg_cli.flow.correspondence import Correspondence, correspond
from vtg_cli.flow.filters import resize, warp
from vtg_cli.job.methods import default_method

Kind = Literal["same", "recoloured", "changed", "near", "far", "unrelated"]

BEST = default_method(has_reverse=True)
SIDE = 256  # pixels of the long side
FELT = 0.012  # share of the long side: of less motion a mix of both pictures is as good
ALIKE = 1.0  # code values: pictures no further apart are the same
TRUSTED = 0.5  # of a pixel's trust from which its motion counts
RELATED = 0.12  # share found again below which two pictures are strangers (correspondence.RELATED)
FAMILIAR = 0.3  # and below which much has to be invented
EXPLAINED = 0.3  # share of the difference below which it is not motion that makes it
FAR = 0.08  # share of the long side: longer motion hides much and turns things
PACE = 0.006  # share of the long side that things may move from frame to frame
LENGTHS = (12, 33)  # frames suggested, at least and at most
USUAL = 24


@dataclass(frozen=True)
class Pair:
    """Two pictures in numbers.

    difference: mean absolute difference, code values
    ssim: structural similarity of the lightness as the pictures stand, up to 1
    shared: share of the pictures that is found again in the other
    shift: median motion of what is found again, (x, y) in pixels, first to last
    motion: median length of it
    farthest: the length 95 % of it stay below
    moved: share of the difference that motion explains
    colour_gap: distance of the mean colours in CIE Lab; 2.3 can just be seen
    side: the pictures' longer side in pixels
    """

    difference: float
    ssim: float
    shared: float
    shift: tuple[float, float]
    motion: float
    farthest: float
    moved: float
    colour_gap: float
    side: int

    @property
    def kind(self) -> Kind:
        """The relation of the pictures in a word; `suggestion` says what it means."""
        if self.difference <= ALIKE:
            return "same"
        if self.shared < RELATED:
            return "unrelated"
        if self.farthest < FELT * self.side:
            return "recoloured"
        if self.moved < EXPLAINED:
            return "changed"
        near = self.shared >= FAMILIAR and self.farthest <= FAR * self.side
        return "near" if near else "far"


@dataclass(frozen=True)
class Suggestion:
    """A way to draw a pair. method: None where the model has none; reason: a sentence."""

    model: str
    method: str | None
    frames: int
    reason: str


def inspect(first: NDArray[np.uint8], last: NDArray[np.uint8]) -> Pair:
    """Measure two RGB pictures uint8 [H, W, 3] of one size."""
    height, width = first.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    a, b = resize(first, *size), resize(last, *size)
    motion = correspond(a, b)
    flow, trusted = motion.forward, motion.trust_first > TRUSTED
    # correspond enlarges small pictures
    longer = np.array([width / flow.shape[1], height / flow.shape[0]])
    lengths = np.hypot(*(flow[trusted] * longer).T) if trusted.any() else np.zeros(1)
    shift = np.median(flow[trusted] * longer, axis=0) if trusted.any() else np.zeros(2)
    labs = [cv2.cvtColor(np.float32(x) / 255, cv2.COLOR_RGB2LAB).mean((0, 1)) for x in (a, b)]
    return Pair(
        difference=float(np.abs(a.astype(float) - b).mean()),
        ssim=ssim(*(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (a, b))),
        shared=motion.share,
        shift=(float(shift[0]), float(shift[1])),
        motion=float(np.median(lengths)),
        farthest=float(np.percentile(lengths, 95)),
        moved=moved(a, b, motion),
        colour_gap=float(np.linalg.norm(labs[1] - labs[0])),
        side=max(height, width),
    )


def moved(first: NDArray[np.uint8], last: NDArray[np.uint8], motion: Correspondence) -> float:
    """Return the share of the difference of two pictures [H, W, 3] that visible motion explains.

    motion: the motion between them
    """
    flow = motion.forward
    h, w = flow.shape[:2]
    a, b = (resize(x, w, h).astype(np.float32) for x in (first, last))
    before, after = (np.abs(a - x).mean(-1) for x in (b, warp(b, flow)))
    far = np.hypot(flow[..., 0], flow[..., 1]) > FELT * max(h, w)
    left = np.where(far, np.minimum(before, after), before)
    return float(1 - left.sum() / before.sum()) if before.any() else 0.0


def suggestion(pair: Pair, available: Sequence[str] = ()) -> Suggestion:
    """Suggest what to draw the pair with. available: larger models here, the best last."""
    paced = math.ceil(pair.farthest / (PACE * pair.side)) + 1
    frames = min(max(paced, LENGTHS[0]), LENGTHS[1])
    best = available[-1] if available else None
    if pair.kind == "same":
        return Suggestion("flow", None, LENGTHS[0], "it is the same picture: the clip stands still")
    if pair.kind == "recoloured":
        reason = "nothing moves that one could see, only light and colour: a dissolve is right"
        return Suggestion("flow", None, USUAL, reason)
    if pair.kind == "changed":
        reason = (
            "things stay about where they are and turn into others: what is found again moves, the "
            "rest dissolves; a model that reads captions does better (vtg morph)"
        )
        return Suggestion("tiny", BEST, USUAL, reason)
    if pair.kind == "near":
        reason = (
            f"most of it is found again, so motion leads from one to the other; in {frames} frames "
            "little jumps; flow is a faster draft"
        )
        return Suggestion("tiny", BEST, frames, reason)
    if pair.kind == "far":
        why = "much is hidden, turned or far away and has to be invented"
        if best:
            return Suggestion(best, BEST, 25, f"{why}: a large model's work, given a GPU")
        reason = f"{why}: a large model (svd-xt) does better; a keyframe between always helps"
        return Suggestion("tiny", BEST, frames, reason)
    reason = (
        "next to nothing of one is in the other: tiny and flow dissolve; a model that reads "
        "captions can turn one into the other (vtg morph)"
    )
    return Suggestion("tiny", BEST, USUAL, reason)
