"""All scores of one clip that can be computed from what is there, by name.

A score that lacks something is absent: it is never computed from something else under the same
name. `OF_A_CLIP` says what each one is and which way is better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError
from vtg_cli.evaluation import motion, pictures, vbench
from vtg_cli.evaluation.neighbours import neighbours
from vtg_cli.media.anchor import psnr
from vtg_cli.quality.segment import Verdict, judge

Clip = NDArray[np.uint8]
"""Frames [F, H, W, 3]."""
Distances = Callable[[Clip], NDArray[Any]]
"""Perceptual distances between neighbouring frames, [F - 1]: LPIPS with AlexNet, `lpips.py`."""


@dataclass(frozen=True)
class Score:
    """A score's meaning: what it is, in a few words, and which way is better."""

    what: str
    better: Literal["more", "less", "neither"]
    digits: int = 3


OF_A_CLIP: Mapping[str, Score] = {
    "psnr": Score("PSNR of the frames in between against the truth, dB", "more", 2),
    "ssim": Score("SSIM of the frames in between against the truth", "more", 4),
    "haarpsi": Score("HaarPSI of the frames in between against the truth", "more", 4),
    "error_first": Score("difference of the first frame from its keyframe, code values", "less", 2),
    "error_last": Score("difference of the last frame from its keyframe, code values", "less", 2),
    "psnr_first": Score("PSNR of the first frame against its keyframe, dB", "more", 1),
    "psnr_last": Score("PSNR of the last frame against its keyframe, dB", "more", 1),
    "seam_first": Score("first step over the usual step", "less", 2),
    "seam_last": Score("last step over the usual step", "less", 2),
    "flicker": Score("VBench's temporal flickering, 1 is still", "more", 4),
    "gini": Score("Gini coefficient of LPIPS between neighbours", "less"),
    "smoothness": Score("one less that Gini coefficient (AID)", "more"),
    "consistency": Score("mean LPIPS between neighbours (AID)", "less", 4),
    "worst": Score("largest LPIPS between neighbours", "less", 4),
    "ppl": Score("sum of LPIPS between neighbours (DiffMorpher, as written)", "less"),
    "ppl_scaled": Score("mean LPIPS between neighbours * (F - 1)^2, of F frames", "less", 2),
    "pdv": Score("variance of LPIPS between neighbours (DiffMorpher)", "less", 5),
    "badness": Score("sum of vtg's own measures of a bad in-between, docs/quality.md", "less", 2),
}


def of_a_clip(
    clip: Clip,
    *,
    truth: Clip | None = None,
    keyframes: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
    distances: Distances | None = None,
    judged: Verdict | None = None,
) -> dict[str, float]:
    """Compute the scores of a clip of at least two frames, by the names of OF_A_CLIP.

    truth: frames of the same shape; its ends are not compared, which were given
    keyframes: first and last [H, W, 3], of the clip's size
    distances: LPIPS between neighbours; without it what is made of them is absent
    judged: the quality check's judgement, where it is known already

    Raises UsageError for shapes that do not fit.
    """
    found: dict[str, float] = {}
    if truth is not None:
        found |= against_truth(clip, truth)
    if keyframes is not None:
        found |= asdict(motion.ends(clip, *keyframes))
    found["flicker"] = vbench.flicker(clip)
    if distances is not None:
        found |= {k: v for k, v in asdict(neighbours(distances(clip))).items() if k != "frames"}
    return found | {"badness": (judged or judge(clip)).badness}


def against_truth(clip: Clip, truth: Clip) -> dict[str, float]:
    """Compute PSNR, of all frames in between together, and mean SSIM and HaarPSI of each.

    Raises UsageError for other shapes, or without a frame in between.
    """
    if clip.shape != truth.shape or len(clip) < 3:
        raise UsageError(f"a clip {clip.shape} and the truth {truth.shape} do not compare")
    pairs = list(zip(clip[1:-1], truth[1:-1], strict=True))
    return {
        "psnr": psnr(clip[1:-1], truth[1:-1]),
        "ssim": float(np.mean([pictures.ssim(a, b) for a, b in pairs])),
        "haarpsi": float(np.mean([pictures.haarpsi(a, b) for a, b in pairs])),
    }


def verdict(clip: Clip) -> tuple[str, ...]:
    """Return what the quality check finds wrong with a clip, the gravest first; () if nothing."""
    return tuple(judge(clip).labels)
