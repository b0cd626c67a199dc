"""Paths: sequences of levels a sampler walks. Down-moves denoise; an up-move adds noise again or
inverts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vtg_cli.sampling.level import CLEAN, Level, edm_level

Path = Sequence[Level]


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> list[float]:
    """`steps` noise levels from sigma_max down to sigma_min, evenly spaced in sigma^(1/rho) (EDM,
    eq. 5).
    """
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    ramp = [i / (steps - 1) for i in range(steps)] if steps > 1 else [0.0]
    return [(high + r * (low - high)) ** rho for r in ramp]


def edm_path(sigmas: Sequence[float]) -> list[Level]:
    """Levels of the given noise, then data."""
    return [*map(edm_level, sigmas), CLEAN]


def trailing_timesteps(steps: int, total: int = 1000) -> list[int]:
    """`steps` timesteps from total - 1 down, spaced from the noisy end ("uniform trailing"; Lin et
    al. 2023).
    """
    return [round(total - i * total / steps) - 1 for i in range(steps)]


def resample(path: Path, times: int, until: int) -> list[Level]:
    """Detours: after each of the first `until` moves go back up and down again, `times` times.

    RePaint (Lugmayr et al. 2022), TRF, and Generative Inbetweening's noise re-injection (section
    4.3).
    """
    out = [path[0]]
    for i, (a, b) in enumerate(pairwise(path)):
        out += [b, *[a, b] * (times if i < until else 0)]
    return out


def ascending(path: Path) -> list[Level]:
    """The path walked from data to noise, for DDIM inversion with `up=euler`.

    It starts at the last level with noise in it: at sigma = 0 an x0-prediction says nothing about
    the noise.
    """
    return [level for level in reversed(path) if level.sigma > 0]
