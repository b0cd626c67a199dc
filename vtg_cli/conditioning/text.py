"""Frame-aware text: every frame is told a caption of its own, between those of its keyframes.

    c_n = sin((1 - l_n) phi) / sin(phi) * c_1 + sin(l_n phi) / sin(phi) * c_N

phi is the angle between the flattened embeddings, in float64, as in TVG's code (Zhang et al. 2024);
VTG names the same curve and no schedule for l. Image tokens can be interpolated alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from vtg_cli.errors import UsageError
from vtg_cli.ground.tensor import slerp
from vtg_cli.job.easing import CURVES, easing, segment_times

HOLD = (0.1, 0.9)
"""Ends of the curve "hold": TVG never gives a frame one caption alone."""
Curve = str | Sequence[float] | Tensor
"""A name that text_curve knows, or one share in [0, 1] for every frame of the clip."""


def text_curve(curve: Curve, frames: int) -> Tensor:
    """Return how far each frame's caption is from the first to the last, float32 [F] in [0, 1].

    curve: "linear" (n / (F - 1)), "hold" (evenly from 0.1 to 0.9) or a curve of timing.easing

    One frame gets the beginning. Raises UsageError for another name, ValueError for values that do
    not fit.
    """
    if not isinstance(curve, str):
        values = torch.as_tensor(curve, dtype=torch.float32)
        if values.shape != (frames,):
            raise ValueError(f"{list(values.shape)} shares for {frames} frames")
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise ValueError("shares of a caption lie in 0..1")
        return values
    if curve.strip().lower() == "hold":
        return torch.linspace(*HOLD, frames, dtype=torch.float64).float()
    try:
        ease = easing(curve)
    except UsageError as error:
        raise UsageError(
            f"--text-curve {curve} is not a curve",
            f"choose hold, {', '.join(CURVES)} or cubic-bezier(x1,y1,x2,y2)",
            subject="--text-curve",
        ) from error
    return torch.tensor(segment_times(frames, ease) if frames > 1 else [0.0])


def keyframe_weights(positions: Sequence[int], frames: int, curve: Curve = "linear") -> Tensor:
    """Return each keyframe's weight at each frame, float32 [K, F]; every column sums to 1 and has
    at most two entries. Pair LoRA is mixed by them as well, frame by frame.

    positions: K increasing frame indices; frames outside them hold the nearest keyframe
    curve: runs in each stretch between two keyframes; those in the middle have 1 whatever it says
    """
    left, share = _stretches(positions, frames, curve)
    weights = torch.zeros(len(positions), frames)
    if len(positions) == 1:
        return weights + 1
    at = torch.arange(frames)
    weights[left, at] = 1 - share
    weights[left + 1, at] = share
    return weights


def between(
    embeddings: Tensor, positions: Sequence[int], frames: int, curve: Curve = "linear"
) -> Tensor:
    """Spread one embedding per keyframe [K, L, D] to one per frame [1, F, L, D], by SLERP between
    neighbours, exactly the keyframe's where its share is 1; arguments as for keyframe_weights.
    """
    if len(embeddings) != len(positions):
        raise ValueError(f"{len(embeddings)} embeddings for {len(positions)} keyframes")
    left, share = _stretches(positions, frames, curve)
    text = embeddings[left]
    for i in range(len(positions) - 1):
        frames_between = torch.nonzero(left == i).flatten()
        both = embeddings[i : i + 1], embeddings[i + 1 : i + 2]
        text[frames_between] = per_frame_text(*both, share[frames_between])[0]
    return text[None]


def per_frame_text(first: Tensor, last: Tensor, curve: Tensor) -> Tensor:
    """Interpolate by SLERP from one embedding to another, both [1, L, D], at the shares `curve` [F]
    of text_curve.

    Returns [1, F, L, D] in their precision. Shares of 0 and 1 give them bit for bit; the norm goes
    from one's to the other's along the ellipse through both.
    """
    w = curve.double().to(first.device)
    text = slerp(first[0].double(), last[0].double(), w).to(first)
    # sin(phi) / sin(phi) is 1 only to rounding
    text[w == 0], text[w == 1] = first[0], last[0].to(first)
    return text[None]


def straight_text(first: Tensor, last: Tensor, curve: Tensor) -> Tensor:
    """Interpolate like per_frame_text, on the straight line (AID's text interpolation)."""
    return torch.lerp(first, last.to(first), curve.to(first)[:, None, None])[None]


def held_text(first: Tensor, last: Tensor, curve: Tensor) -> Tensor:
    """Interpolate like per_frame_text, with shares between the ends of HOLD, not 0 and 1 (TVG)."""
    low, high = HOLD
    return per_frame_text(first, last, low + (high - low) * curve)


def _stretches(positions: Sequence[int], frames: int, curve: Curve) -> tuple[Tensor, Tensor]:
    """Return every frame's keyframe before it, by number, and the share of the one after, [F]."""
    if not positions or list(positions) != sorted(set(positions)):
        raise ValueError(f"positions must increase: {positions}")
    if not 0 <= positions[0] <= positions[-1] < frames:
        raise ValueError(f"positions {positions} do not lie in 0..{frames - 1}")
    whole = None if isinstance(curve, str) else text_curve(curve, frames)
    left, share = torch.zeros(frames, dtype=torch.long), torch.zeros(frames)
    for i, (a, b) in enumerate(pairwise(positions)):
        left[a:] = i
        share[b:] = 1.0
        share[a : b + 1] = whole[a : b + 1] if whole is not None else text_curve(curve, b - a + 1)
    for i, position in enumerate(positions[1:-1], 1):
        left[position], share[position] = i, 0.0
    return left, share
