"""Initial noise that two keyframes share: one end's noise turns into the other's over the clip."""

from __future__ import annotations

import torch
from torch import Tensor

from vtg_cli.ground.tensor import slerp


def slerped(first: Tensor, last: Tensor, frames: int) -> Tensor:
    """Return noise [1, F, C, h, w] whose frames go along the great circle from `first` to `last`,
    both [1, 1, C, h, w], in equal angles (DiffMorpher, Zhang et al. 2023).

    Unit normal noise lies near a sphere of radius sqrt(C h w). The straight line between two draws
    leaves it, by 29 % half-way; the circle does not, so every frame stays as likely as its ends.
    One frame is `first`.
    """
    w = torch.linspace(0, 1, frames, dtype=first.dtype, device=first.device)
    return slerp(first[0, 0], last[0, 0], w)[None]
