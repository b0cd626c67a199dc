"""Latents that are small pictures, and decoding anchored at the full-size keyframes.

    z = area mean of the pixels            out = enlarge(z - s * small(K)) + s * K

with K the keyframes carried to the frame's time at full size, each place taken from the one that
looks like z when made small, and s in [0, 1] how much it does: detail comes from the keyframes
where z supports it, everything else from z.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

TOLERANCE = 0.15
"""Difference in [-1, 1] units, root mean square over a latent's neighbourhood, that still counts as
the same thing."""


def shrink(pixels: Tensor, factor: int) -> Tensor:
    """[..., C, H, W] -> [..., C, H / factor, W / factor], the mean of each square."""
    flat = avg_pool2d(pixels.flatten(0, -4), factor)
    return torch.unflatten(flat, 0, pixels.shape[:-3])


def enlarge(z: Tensor, size: tuple[int, int]) -> Tensor:
    """[F, C, h, w] -> [F, C, H, W], bicubic."""
    return interpolate(z, size=size, mode="bicubic", align_corners=False)


def anchored(z: Tensor, ahead: Tensor, back: Tensor, factor: int) -> Tensor:
    """z: [F, 3, h, w]; ahead, back: the carried keyframes [F, 3, H, W]. Returns [F, 3, H, W]."""
    size = (ahead.shape[-2], ahead.shape[-1])
    small = torch.stack([shrink(ahead, factor), shrink(back, factor)])
    support = torch.exp(-_nearby((small - z).square().mean(2)) / TOLERANCE**2)  # [2, F, h, w]
    share = support.square() / (support.sum(0) + 1e-6)  # sums to at most 1, the better one wins
    share = share[:, :, None]
    base = enlarge(z - (share * small).sum(0), size)
    wide = torch.stack([interpolate(s, size=size, mode="bilinear") for s in share])
    return base + wide[0] * ahead + wide[1] * back


def _nearby(error: Tensor) -> Tensor:
    """Mean over 3 x 3 latents."""
    return avg_pool2d(error, 3, 1, 1, count_include_pad=False)
