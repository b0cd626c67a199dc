"""Known frames by replacement: they enter the network clean and leave it clean."""

from __future__ import annotations

import torch
from torch import Tensor

from vtg_cli.conditioning.cond import Cond
from vtg_cli.sampling.guidance import Denoiser
from vtg_cli.sampling.level import Level


def replace_frames(denoise: Denoiser) -> Denoiser:
    """Wrap a denoiser in frame replacement as in STIV: wherever cond.mask is 1 the latents are
    cond.known, before and after.

    A null condition knows no frames (mask 0), so one null serves text and frames together
    (JIT-CFG).
    """

    def wrapped(x: Tensor, level: Level, cond: Cond) -> Tensor:
        if cond.known is None or cond.mask is None:
            return denoise(x, level, cond)
        x0 = denoise(torch.lerp(x, cond.known, cond.mask), level, cond)
        return torch.lerp(x0, cond.known, cond.mask)

    return wrapped
