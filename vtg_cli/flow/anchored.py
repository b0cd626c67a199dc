"""Latents that are small pictures, and decoding anchored at the full-size keyframes.

    z = area mean of the pixels            out = enlarge(z - s * small(K)) + s * K

with K the mix of both keyframes, carried to the frame's time at full size, that comes nearest to z
when made small, and s in [0, 1] how near: detail comes from the keyframes where z supports it,
everything else from z.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

TOLERANCE = 0.4
"""Difference in [-1, 1] units, root mean square over a latent's neighbourhood, that still counts as
the same thing."""

LIKE = 1e-3
"""Mean square up to which two carried keyframes count as the same: then they are averaged."""

Size = tuple[int, int]
"""Height and width."""


def shrink(pixels: Tensor, size: Size) -> Tensor:
    """Shrink [..., H, W] to [..., h, w]: the mean of the rectangle each one stands for, exactly,
    also where it cuts through pixels.
    """
    rows, columns = (_means(n, m).to(pixels) for n, m in zip(pixels.shape[-2:], size, strict=True))
    return rows @ (pixels @ columns.T)


def _means(n: int, m: int) -> Tensor:
    """Return [m, n]: the weight of each of n pixels in each of m means."""
    edges = torch.linspace(0, n, m + 1, dtype=torch.float64)[:, None]
    pixel = torch.arange(n, dtype=torch.float64)
    shared = torch.minimum(edges[1:], pixel + 1) - torch.maximum(edges[:-1], pixel)
    return shared.clamp(min=0) * (m / n)


def enlarge(z: Tensor, size: Size) -> Tensor:
    """Enlarge [F, C, h, w] to [F, C, H, W], bicubic."""
    return interpolate(z, size=size, mode="bicubic", align_corners=False)


def anchored(z: Tensor, ahead: Tensor, back: Tensor) -> Tensor:
    """Decode latents, anchored at the carried keyframes.

    z: [F, 3, h, w]
    ahead, back: the carried keyframes [F, 3, H, W]

    Returns [F, 3, H, W].
    """
    full, grid = (ahead.shape[-2], ahead.shape[-1]), (z.shape[-2], z.shape[-1])
    small_ahead, small_back = shrink(ahead, grid), shrink(back, grid)
    apart = small_back - small_ahead
    part = _nearby(((z - small_ahead) * apart).mean(1, keepdim=True))
    part = (part + LIKE / 2) / (_nearby(apart.square().mean(1, keepdim=True)) + LIKE)
    part = part.clamp(0, 1)  # of the last keyframe; least squares over a neighbourhood
    mix = small_ahead + part * apart
    support = torch.exp(-_nearby((mix - z).square().mean(1, keepdim=True)) / TOLERANCE**2)
    wide_part, wide = (interpolate(x, size=full, mode="bilinear") for x in (part, support))
    return enlarge(z - support * mix, full) + wide * (ahead + wide_part * (back - ahead))


def _nearby(error: Tensor) -> Tensor:
    """Average [F, 1, h, w] over 3 x 3 latents."""
    return avg_pool2d(error, 3, 1, 1, count_include_pad=False)
