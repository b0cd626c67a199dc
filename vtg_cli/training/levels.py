"""The noise levels a model learns at: the law it was trained by, and the weight of its loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.cond import Cond
from vtg_cli.sampling.level import Level, edm_level

EDGE = 1e-7
"""Share cut off either end of the normal law, whose ends are infinite."""
TIMESTEPS = 1000
"""Steps of the path that levels are drawn from where a model has no law of its own: as many
timesteps as most models were trained on."""


def level_at(m: Backbone, u: float) -> Level:
    """Return the level at share `u` in [0, 1) of the model's law of noise.

    ln(sigma) is normal where the spec names a mean and a deviation (EDM, Karras et al. 2022, table
    1); else every level of the model's own path is as likely as any other.
    """
    if m.spec.log_sigma is not None:
        mean, deviation = m.spec.log_sigma
        z = torch.special.ndtri(torch.tensor(u * (1 - 2 * EDGE) + EDGE, dtype=torch.float64))
        return edm_level(math.exp(mean + deviation * float(z)))
    levels = [level for level in m.path(TIMESTEPS) if level.sigma > 0]
    return levels[min(int(u * len(levels)), len(levels) - 1)]


def loss_weight(m: Backbone, level: Level, cond: Cond) -> float | Tensor:
    """Return the weight that makes the loss of x0 that of the network's own output.

    For v-prediction it is gain^2 (alpha^2 + sigma^2) / sigma^2, which is EDM's (1 + s^2) / s^2; a
    backbone with a preconditioning of its own has a `training_weight`.
    """
    own = getattr(m, "training_weight", None)
    if own is not None:
        weight: float | Tensor = own(level, cond)
        return weight
    return (level.gain * level.scale / level.sigma) ** 2
