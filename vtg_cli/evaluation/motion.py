"""Scores of one clip that need no network: its ends, its seams, its two directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError
from vtg_cli.media.anchor import psnr, seams


@dataclass(frozen=True)
class Ends:
    """How a clip meets its keyframes.

    error_first, error_last: mean absolute difference to the keyframe, code values
    psnr_first, psnr_last: dB, inf where they are equal
    seam_first, seam_last: the first and last step over the median step; 1 is even
    """

    error_first: float
    error_last: float
    psnr_first: float
    psnr_last: float
    seam_first: float
    seam_last: float


def ends(frames: NDArray[np.uint8], first: NDArray[np.uint8], last: NDArray[np.uint8]) -> Ends:
    """Compare the ends of a clip [F, H, W, C], F >= 2, with its keyframes [H, W, C].

    Raises UsageError if the sizes differ.
    """
    if not first.shape == last.shape == frames.shape[1:]:
        raise UsageError(
            f"keyframes {first.shape[:2]} and {last.shape[:2]} do not fit frames "
            f"{frames.shape[1:3]}",
            "scale them to the clip's size first",
        )
    return Ends(
        difference(frames[0], first),
        difference(frames[-1], last),
        psnr(frames[0], first),
        psnr(frames[-1], last),
        *seams(frames),
    )


def disagreement(clip: NDArray[np.uint8], swapped: NDArray[np.uint8]) -> float:
    """Compute how far a clip is from what was drawn from its last keyframe to its first.

    Both [F, H, W, C] as they were drawn; the second is turned in time here. Mean absolute
    difference in code values; 0: direction does not matter. Raises UsageError for other shapes.
    """
    if clip.shape != swapped.shape:
        raise UsageError(f"clips {clip.shape} and {swapped.shape} do not compare")
    return float(np.mean([difference(a, b) for a, b in zip(clip, swapped[::-1], strict=True)]))


def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Compute the mean absolute difference of two pictures, in their own code values."""
    return float(np.abs(a.astype(np.float32) - b).mean(dtype=float))
