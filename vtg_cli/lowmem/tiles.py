"""What a network makes of latents, computed in overlapping tiles and blended where they overlap: a
tile's memory in place of a frame's. Networks look further than a tile, so it is close, not the
same.

Windows of a denoising step are those of MultiDiffusion (Bar-Tal et al. 2023, arXiv 2302.08113),
blended with ramps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import EllipsisType

import torch
from torch import Tensor

from vtg_cli.conditioning.cond import Cond

Place = tuple[EllipsisType, slice, slice]
"""Rows and columns of latents or pixels"""


def in_tiles(decode: Callable[[Tensor], Tensor], z: Tensor, tile: int) -> Tensor:
    """[B, F, C, h, w] -> [B, F, 3, H, W], as `decode` makes of the whole, on the CPU in float32.

    tile: side in latents.
    """
    if max(z.shape[-2:]) <= tile:
        return decode(z).float().cpu()
    total: Tensor | None = None
    for place, _ in windows(z.shape[-2:], tile):
        drawn = decode(z[place]).float().cpu()
        if total is None:
            factor = drawn.shape[-1] // z[place].shape[-1]
            total = torch.zeros(*drawn.shape[:-2], *(factor * n for n in z.shape[-2:]))
            pixels = windows(total.shape[-2:], tile, factor)
        there, weight = next(pixels)
        total[there] += weight * drawn
    assert total is not None
    return total


def encoded_in_tiles(
    encode: Callable[[Tensor], Tensor], pixels: Tensor, size: tuple[int, int], tile: int
) -> Tensor:
    """[N, 3, H, W] -> what `encode` makes of the whole, [N, .., h, w]. size: (h, w); tile: side in
    latents.
    """
    if max(size) <= tile:
        return encode(pixels)
    total: Tensor | None = None
    seen = windows(pixels.shape[-2:], tile, pixels.shape[-1] // size[1])
    for (place, weight), (there, _) in zip(windows(size, tile), seen, strict=True):
        part = encode(pixels[there])
        if total is None:
            total = part.new_zeros(*part.shape[:-2], *size)
        total[place] += weight.to(part) * part
    assert total is not None
    return total


def in_windows(
    denoise: Callable[[Tensor, Cond], Tensor], x: Tensor, cond: Cond, window: int
) -> Tensor:
    """x0 [B, F, C, h, w], blended from that of windows; each sees its part of whatever lies beside
    x in space, and all of what does not.

    window: side in latents. Latents that are no larger are denoised as they are.
    """
    if max(x.shape[-2:]) <= window:
        return denoise(x, cond)
    total = torch.zeros_like(x)
    for place, weight in windows(x.shape[-2:], window):
        told = cond.map(partial(_part, x, place))
        total[place] += weight.to(x.device) * denoise(x[place], told)
    return total


def _part(x: Tensor, place: Place, beside: Tensor) -> Tensor:
    spatial = beside.ndim == x.ndim and beside.shape[-2:] == x.shape[-2:]
    return beside[place] if spatial else beside


def windows(size: Sequence[int], side: int, factor: int = 1) -> Iterator[tuple[Place, Tensor]]:
    """Where they lie in [..., height, width], with the weights of their places, which sum to 1.

    side: in latents, of which each is `factor` of what `size` counts.
    """
    tall, wide = (spans(length, side, factor) for length in size)
    for rows, down in tall:
        for columns, across in wide:
            yield (..., rows, columns), down[:, None] * across


def spans(length: int, side: int, factor: int = 1) -> list[tuple[slice, Tensor]]:
    """Parts of a line and the weight of each place in them, [n]; they overlap by a third or more,
    and at every place of the line their weights sum to 1. length in pixels, `factor` to a latent.
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
    """Where parts begin so that each overlaps the next by `overlap` or more; the last ends at the
    end.
    """
    last = max(length - side, 0)
    return [*range(0, last, side - overlap), last]


def _ramps(length: int, overlap: int, before: bool, after: bool) -> Tensor:
    """1, and from and to 0 over the overlap where another part lies; never 0 itself."""
    rising = (torch.arange(length) + 0.5) / max(overlap, 1)
    weight = torch.ones(length)
    if before:
        weight = torch.minimum(weight, rising)
    if after:
        weight = torch.minimum(weight, rising.flip(0))
    return weight
