"""DDIM inversion: the noise from which sampling would make given latents."""

from __future__ import annotations

import torch
from torch import Tensor

from vtg_cli.sampling.loop import OnStep, sample
from vtg_cli.sampling.path import Path, ascending
from vtg_cli.sampling.solvers import Predictor, euler


def inverted(predict: Predictor, z: Tensor, path: Path, on_step: OnStep | None = None) -> Tensor:
    """Walk latents z [B, F, C, h, w], where a walk down `path` ends, up to path[0], shape kept.

    The probability-flow ODE run backwards with DDIM's eta = 0 moves (Song et al. 2021, section
    4.3). z is taken as it is for a sample of the last level with noise in it; no noise is added.
    First order: sampling from the result with `euler` comes back to z up to an error that halves as
    the steps double (Gaussian data: 11 % of z at 50 steps, 1.5 % at 400). One network call per
    move.
    """
    # euler draws none, so what this gives is never used
    noise = torch.zeros_like
    return sample(
        *(predict, z, ascending(path)),
        up=euler,
        noise=noise,
        on_step=on_step,
        name="inversion step",
    )
