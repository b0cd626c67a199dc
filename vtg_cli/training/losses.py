"""The denoising loss, from the same Level and Denoiser that sampling uses.

loss = mean w (denoise(level.noise(x0, eps), level, cond) - x0)^2
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from vtg_cli.conditioning.cond import Cond
from vtg_cli.sampling.guidance import Denoiser
from vtg_cli.sampling.level import Level, edm_level


def denoising_loss(
    denoise: Denoiser, x0: Tensor, eps: Tensor, level: Level, cond: Cond, weight: float | Tensor
) -> Tensor:
    """Compute the denoising loss, a scalar.

    x0, eps: [B, F, C, H, W]
    weight: a number or one per place
    """
    error = denoise(level.noise(x0, eps), level, cond) - x0
    return (weight * error.square()).mean()


def log_normal_levels(n: int, mean: float, std: float, generator: Generator) -> list[Level]:
    """Draw n EDM levels with ln(sigma) normal, one from each n-th part of the distribution."""
    u = (torch.arange(n) + torch.rand(n, generator=generator)) / n
    z = torch.special.ndtri(u.double().clamp(1e-4, 1 - 1e-4))
    return [edm_level(math.exp(mean + std * float(value))) for value in z]
