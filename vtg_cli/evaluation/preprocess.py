"""How pictures reach each network: the resize, crop and range of the code whose scores are
published.

Pictures are uint8 [B, H, W, 3], clips uint8 [B, F, H, W, 3]; what comes out is float32. Bilinear
and bicubic are torch's with align_corners off, not anti-aliased unless it is said.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

Batch = NDArray[np.uint8]

FID_SIDE = 299
CLIP_SIDE = 224  # of I3D, VideoMAE, and what reads pictures by patches
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def planes(batch: Batch) -> Tensor:
    """Return pictures, or the frames of clips one after the other, as [N, 3, H, W], 0 to 255."""
    pictures = torch.from_numpy(np.ascontiguousarray(batch)).flatten(0, batch.ndim - 4)
    return pictures.permute(0, 3, 1, 2).float().contiguous()


def channels_first(batch: Batch) -> Tensor:
    """Return uint8 [B, 3, H, W] or [B, 3, F, H, W], as StyleGAN-V hands it to torchscript files."""
    return torch.from_numpy(np.ascontiguousarray(batch)).movedim(-1, 1).contiguous()


def unit_range(clips: Batch) -> Tensor:
    """Return float32 [B, 3, F, H, W] in [0, 1], as VIDM's scripts hand it to the same files."""
    return channels_first(clips).float() / 255


def fid(pictures: Batch) -> Tensor:
    """Stretch to 299x299 bilinearly, to [-1, 1] (pytorch-fid): [B, 3, 299, 299]."""
    return 2 * _bilinear(planes(pictures) / 255, (FID_SIDE, FID_SIDE)) - 1


def debiased_i3d(clips: Batch) -> Tensor:
    """Stretch to 224x224 bilinearly, to [-1, 1] (content-debiased FVD): [B, 3, F, 224, 224]."""
    frames = _bilinear(planes(clips), (CLIP_SIDE, CLIP_SIDE))
    return _clips(2 * frames / 255 - 1, clips)


def debiased_videomae(clips: Batch) -> Tensor:
    """Stretch to 224x224 bilinearly, to [0, 1], without mean and deviation (content-debiased FVD):
    [B, F, 3, 224, 224].
    """
    frames = _bilinear(planes(clips) / 255, (CLIP_SIDE, CLIP_SIDE))
    return _clips(frames, clips).transpose(1, 2)


def seer_i3d(clips: Batch) -> Tensor:
    """Resize the shorter side to 224 bilinearly, cut the middle, to [-1, 1] (TATS, Seer):
    [B, 3, F, 224, 224].
    """
    height, width = clips.shape[2:4]
    scale = CLIP_SIDE / min(height, width)
    sides = [
        CLIP_SIDE if side == min(height, width) else math.ceil(side * scale)
        for side in (height, width)
    ]
    frames = _bilinear(planes(clips) / 255, (sides[0], sides[1]))
    top, left = ((side - CLIP_SIDE) // 2 for side in sides)
    return _clips(2 * (frames[..., top:, left:][..., :CLIP_SIDE, :CLIP_SIDE] - 0.5), clips)


def lpips(pictures: Batch) -> Tensor:
    """Scale to [-1, 1], size unchanged: [B, 3, H, W]."""
    return planes(pictures) / 127.5 - 1


def vbench_clip(pictures: Batch) -> Tensor:
    """Resize the shorter side to 224 bicubically, cut the middle (VBench's background consistency):
    [B, 3, 224, 224].
    """
    return _coloured(_middle(_shorter(planes(pictures), CLIP_SIDE, "bicubic")), OPENAI)


def vbench_dino(pictures: Batch) -> Tensor:
    """Resize the shorter side to 224 bilinearly, all of the longer one kept (VBench's subject
    consistency): [B, 3, h, w].
    """
    return _coloured(_shorter(planes(pictures), CLIP_SIDE, "bilinear"), IMAGENET)


def vbench_dino_i2v(pictures: Batch) -> Tensor:
    """Resize the shorter side to 256 bicubically with anti-aliasing, cut the middle 224 (VBench's
    I2V subject, DINOv2's own): [B, 3, 224, 224].
    """
    resized = _shorter(planes(pictures), 256, "bicubic", antialias=True)
    return _coloured(_middle(resized), IMAGENET)


def _bilinear(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(pictures, size=size, mode="bilinear", align_corners=False)


def _clips(frames: Tensor, clips: Batch) -> Tensor:
    """Put frames [B * F, 3, h, w] together again: [B, 3, F, h, w]."""
    joined = frames.reshape(*clips.shape[:2], *frames.shape[1:])
    return joined.transpose(1, 2).contiguous()


def _shorter(
    pictures: Tensor, side: int, mode: Literal["bilinear", "bicubic"], *, antialias: bool = False
) -> Tensor:
    """Resize as torchvision does pictures of code values: the longer side is cut to whole pixels,
    the result rounded to code values.
    """
    height, width = pictures.shape[-2:]
    longer = int(side * max(height, width) / min(height, width))
    size = (side, longer) if height <= width else (longer, side)
    resized = interpolate(pictures, size=size, mode=mode, align_corners=False, antialias=antialias)
    return resized.clamp(0, 255).round()


def _middle(pictures: Tensor, side: int = CLIP_SIDE) -> Tensor:
    top, left = (round((size - side) / 2) for size in pictures.shape[-2:])
    return pictures[..., top : top + side, left : left + side]


def _coloured(pictures: Tensor, colours: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    mean, deviation = (pictures.new_tensor(each)[:, None, None] for each in colours)
    return (pictures / 255 - mean) / deviation
