"""Shapes and the few tensor operations everything shares.

Shape legend of the package: B batch, F frames, C latent channels, H W latent size, K known frames,
L text tokens, M image tokens, D width. Latents are float32 [B, F, C, H, W] in the model's own
scaling; pixels are float [..., 3, H, W] in [-1, 1].
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vtg_cli.errors import QualityError

FRAMES = 1
"""Axis of time in latents [B, F, C, H, W]."""


def framewise(values: Tensor) -> Tensor:
    """Reshape [F] to [1, F, 1, 1, 1]: one number per frame, ready to broadcast over latents."""
    return values[None, :, None, None, None]


def slerp(a: Tensor, b: Tensor, w: Tensor) -> Tensor:
    """Interpolate along the great circle from `a` to `b` (Shoemake 1985), each as one vector.

    a, b: same shape [...]; w: [n] in [0, 1]. Returns [n, ...]. Nearly parallel vectors fall back to
    the straight line, whose difference is then below float precision.
    """
    cosine = (a * b).sum() / (a.norm() * b.norm())
    w = w.view(-1, *[1] * a.ndim)
    if cosine.abs() > 1 - 1e-6:
        return torch.lerp(a[None], b[None], w)
    angle = torch.arccos(cosine)
    return (torch.sin((1 - w) * angle) * a + torch.sin(w * angle) * b) / torch.sin(angle)


def to_uint8(pixels: Tensor) -> NDArray[np.uint8]:
    """Convert pixels [F, 3, H, W] in [-1, 1] to uint8 [F, H, W, 3], rounded to nearest."""
    scaled = (pixels.float() / 2 + 0.5).clamp(0, 1) * 255
    frames: NDArray[np.uint8] = scaled.round().byte().movedim(1, -1).cpu().numpy()
    return frames


def to_pixels(frame: NDArray[np.uint8]) -> Tensor:
    """Convert uint8 [H, W, 3] to pixels [3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frame)).movedim(-1, 0).float() / 127.5 - 1


def is_finite(x: Tensor) -> bool:
    """Return whether x holds neither NaN nor an infinity; True for an empty tensor."""
    if x.numel() == 0:
        return True
    if x.device.type == "mps":  # where aminmax has not been tried
        return bool(torch.isfinite(x).all())
    low, high = torch.aminmax(
        x.detach()
    )  # NaN where any is; a twentieth of isfinite's time, no copy
    return math.isfinite(float(low)) and math.isfinite(float(high))


def check_finite(x: Tensor, what: str) -> None:
    """Raise QualityError, naming `what`, if x holds NaN or an infinity."""
    if not is_finite(x):
        raise QualityError(
            what, "try --dtype fp32; if it stays so, the model does not fit what is asked of it"
        )
