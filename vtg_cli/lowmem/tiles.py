"""Tiles: what a network makes of latents, computed in overlapping parts and blended: a tile's
memory in place of a frame's. Networks look further than a tile, so it is close, not the same.

Windows of a denoising step are those of MultiDiffusion (Bar-Tal et al. 2023, arXiv 2302.08113),
blended with ramps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from vtg_cli.conditioning.cond import Cond
from vtg_cli.ground.windows import Place, windows


def in_tiles(decode: Callable[[Tensor], Tensor], z: Tensor, tile: int) -> Tensor:
    """Decode [B, F, C, h, w] to [B, F, 3, H, W] in tiles, as `decode`, on the CPU in float32.

    tile: side in latents
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
    """Encode [N, 3, H, W] in tiles to what `encode` makes of the whole, [N, .., h, w].

    size: (h, w)
    tile: side in latents
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
    """Return x0 [B, F, C, h, w], blended from that of windows; each sees its part of whatever lies
    beside x in space, and all of what does not.

    window: side in latents

    Latents that are no larger are denoised as they are.
    """
    if max(x.shape[-2:]) <= window:
        return denoise(x, cond)
    total = torch.zeros_like(x)
    for place, weight in windows(x.shape[-2:], window):
        cond_there = cond.map(partial(_part, x, place))
        total[place] += weight.to(x.device) * denoise(x[place], cond_there)
    return total


def _part(x: Tensor, place: Place, beside: Tensor) -> Tensor:
    spatial = beside.ndim == x.ndim and beside.shape[-2:] == x.shape[-2:]
    return beside[place] if spatial else beside
