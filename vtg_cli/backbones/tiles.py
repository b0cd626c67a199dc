"""Latents decoded in overlapping tiles, blended where they overlap: a tile's memory in place of a
frame's. A decoder looks further than a tile at times, so the result is close, not the same.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

TILE, OVERLAP = 48, 12
"""In latents: 384 and 96 pixels of Stable Video Diffusion's."""


def in_tiles(
    decode: Callable[[Tensor], Tensor], z: Tensor, tile: int = TILE, overlap: int = OVERLAP
) -> Tensor:
    """[B, F, C, h, w] -> [B, F, 3, H, W], as `decode` makes of the whole, on the CPU in float32."""
    tall, wide = z.shape[-2:]
    if tall <= tile and wide <= tile:
        return decode(z).float().cpu()
    total = weights = torch.zeros(())
    for top in starts(tall, tile, overlap):
        for left in starts(wide, tile, overlap):
            part = z[..., top : top + tile, left : left + tile]
            drawn = decode(part).float().cpu()
            factor = drawn.shape[-1] // part.shape[-1]
            if not weights.ndim:
                total = torch.zeros(*drawn.shape[:-2], tall * factor, wide * factor)
                weights = torch.zeros(tall * factor, wide * factor)
            rows = _ramps(drawn.shape[-2], overlap * factor, top > 0, top + tile < tall)
            columns = _ramps(drawn.shape[-1], overlap * factor, left > 0, left + tile < wide)
            weight = rows[:, None] * columns
            high, broad = (
                slice(a * factor, a * factor + n)
                for a, n in ((top, drawn.shape[-2]), (left, drawn.shape[-1]))
            )
            total[..., high, broad] += weight * drawn
            weights[high, broad] += weight
    return total / weights


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin so that each overlaps the next by `overlap` or more; the last ends at the
    end.
    """
    last = max(length - tile, 0)
    return [*range(0, last, tile - overlap), last]


def _ramps(length: int, overlap: int, before: bool, after: bool) -> Tensor:
    """1, and from and to 0 over the overlap where another tile lies; never 0 itself."""
    rising = (torch.arange(length) + 0.5) / max(overlap, 1)
    weight = torch.ones(length)
    if before:
        weight = torch.minimum(weight, rising)
    if after:
        weight = torch.minimum(weight, rising.flip(0))
    return weight
