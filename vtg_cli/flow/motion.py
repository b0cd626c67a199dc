"""Motion between two keyframes as models are told it, without any model."""

from __future__ import annotations

import torch
from torch import Tensor

from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.flow.engine import in_between
from vtg_cli.ground.tensor import to_pixels, to_uint8


def motion_compensated(keyframes: Keyframes) -> Tensor:
    """Return flow's in-betweens of the keyframes at both ends, [F, 3, H, W] in [-1, 1]."""
    first, last = to_uint8(keyframes.pixels)
    times = [i / (keyframes.length - 1) for i in range(keyframes.length)]
    return torch.stack([to_pixels(frame) for frame in in_between(first, last, times)])
