"""Pictures for CLIP's image encoder: an anti-aliased resize, then CLIP's own colour scale.

Stable Video Diffusion and DynamiCrafter were trained with the same resize, kornia's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

CLIP_SIZE = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def antialiased_resize(pixels: Tensor, size: int) -> Tensor:
    """Resize to size x size by Gaussian blur, then bicubic with aligned corners.

    sigma = (factor - 1) / 2 per axis as in scikit-image's resize; reflected borders; kernels of 4
    sigma, odd.
    """
    for axis in (-1, -2):
        sigma = max((pixels.shape[axis] / size - 1) / 2, 0.001)
        taps = int(max(4 * sigma, 3)) | 1
        x = torch.arange(taps, device=pixels.device, dtype=pixels.dtype) - taps // 2
        kernel = torch.exp(-(x**2) / (2 * sigma**2))
        kernel = (kernel / kernel.sum()).view((1, 1, 1, taps) if axis == -1 else (1, 1, taps, 1))
        border = (taps // 2,) * 2
        padded = pad(pixels, (*border, 0, 0) if axis == -1 else (0, 0, *border), mode="reflect")
        channels = pixels.shape[1]
        pixels = conv2d(padded, kernel.expand(channels, 1, -1, -1), groups=channels)
    return interpolate(pixels, size=(size, size), mode="bicubic", align_corners=True)


def clip_colours(pixels: Tensor) -> Tensor:
    """Scale [..., 3, H, W] in [-1, 1] to CLIP's mean and standard deviation of each channel."""
    pixels = pixels / 2 + 0.5
    mean, std = (pixels.new_tensor(v)[:, None, None] for v in (CLIP_MEAN, CLIP_STD))
    return (pixels - mean) / std
