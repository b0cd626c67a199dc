"""Overlapping parts of a picture and the weights with which what is made of them is blended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import EllipsisType

import torch
from torch import Tensor

Place = tuple[EllipsisType, slice, slice]
"""Rows and columns of latents or pixels."""


def windows(size: Sequence[int], side: int, factor: int = 1) -> Iterator[tuple[Place, Tensor]]:
    """Yield the windows of [..., height, width] with the weights of their places, which sum to 1.

    side: in latents, each of which is `factor` of what `size` counts
    """
    tall, wide = (spans(length, side, factor) for length in size)
    for rows, down in tall:
        for columns, across in wide:
            yield (..., rows, columns), down[:, None] * across


def spans(length: int, side: int, factor: int = 1) -> list[tuple[slice, Tensor]]:
    """Return parts of a line and the weight of each place in them, [n].

    They overlap by a third or more, and at every place of the line their weights sum to 1. length
    in pixels, `factor` to a latent.
    """
    side, overlap = factor * side, factor * (side // 3)
    begins, size = starts(length, side, overlap), min(side, length)
    weights = [_ramps(size, overlap, a > 0, a + size < length) for a in begins]
    total = torch.zeros(length)
    for a, weight in zip(begins, weights, strict=True):
        total[a : a + size] += weight
    return [
        (slice(a, a + size), weight / total[a : a + size])
        for a, weight in zip(begins, weights, strict=True)
    ]


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Return where parts begin so that each overlaps the next by `overlap` or more; the last ends
    at the end.
    """
    last = max(length - side, 0)
    return [*range(0, last, side - overlap), last]


def _ramps(length: int, overlap: int, before: bool, after: bool) -> Tensor:
    """Return weights of 1 that ramp over the overlap with another part; never 0 itself."""
    rising = (torch.arange(length) + 0.5) / max(overlap, 1)
    weight = torch.ones(length)
    if before:
        weight = torch.minimum(weight, rising)
    if after:
        weight = torch.minimum(weight, rising.flip(0))
    return weight
