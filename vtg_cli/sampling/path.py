"""Paths: sequences of levels a sampler walks. Down-moves denoise; an up-move adds noise again or
inverts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from vtg_cli.sampling.level import (
    CLEAN,
    Level,
    alphas_cumprod,
    dynamic_rescale,
    edm_level,
    scaled_linear_betas,
    vp_level,
    zero_terminal_snr,
)
from vtg_cli.sampling.settings import LCM_LEVELS

Path = Sequence[Level]


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> list[float]:
    """Return `steps` noise levels from sigma_max down to sigma_min, evenly spaced in sigma^(1/rho)
    (EDM, eq. 5).
    """
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    ramp = [i / (steps - 1) for i in range(steps)] if steps > 1 else [0.0]
    return [(high + r * (low - high)) ** rho for r in ramp]


AYS_SVD = (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002)
"""Stable Video Diffusion's 10 steps of Align Your Steps (Sabour et al. 2024, arXiv 2404.14507,
appendix B)."""


def ays_sigmas(steps: int) -> list[float]:
    """Return `steps` noise levels from 700 down, after which comes data: the published ones at 10
    steps, else on straight lines through their logarithms.

    As published tools do, the lowest, 0.002, is taken for data.
    """
    intervals = len(AYS_SVD) - 1

    def sigma(place: float) -> float:
        k = min(int(place), intervals - 1)
        low, high = math.log(AYS_SVD[k]), math.log(AYS_SVD[k + 1])
        return math.exp(low + (place - k) * (high - low))

    return [sigma(intervals * i / steps) for i in range(steps)]


def lcm_sigmas(steps: int, sigma_min: float, sigma_max: float) -> list[float]:
    """Return every so many of 40 Karras levels, from the noisiest on, after which comes data.

    This is how AnimateLCM-SVD is sampled (Wang et al. 2024, arXiv 2402.00769, its released
    scheduler). Raises ValueError unless 1 <= steps <= 40.
    """
    _require(steps, LCM_LEVELS)
    levels = karras_sigmas(LCM_LEVELS, sigma_min, sigma_max)
    return [levels[i * (LCM_LEVELS // steps)] for i in range(steps)]


def edm_path(sigmas: Sequence[float]) -> list[Level]:
    """Return levels of the given noise, then data."""
    return [*map(edm_level, sigmas), CLEAN]


def trailing_timesteps(steps: int, total: int = 1000) -> list[int]:
    """Return `steps` timesteps from total - 1 down, spaced from the noisy end ("uniform_trailing";
    Lin et al. 2023, table 2).

    Raises ValueError unless 1 <= steps <= total.
    """
    _require(steps, total)
    # numpy.arange adds the difference of its first two entries, which rounding moves off a half for
    # 48, 96, 112 .. steps: the published timesteps come from there. For 61, 103, 121 .. steps that
    # arange runs one entry too far, to timestep -1; counting entries ends before it.
    spacing = (total - total / steps) - total
    return [round(total + i * spacing) - 1 for i in range(steps)]


def uniform_timesteps(steps: int, total: int = 1000) -> list[int]:
    """Return `steps` timesteps, total // steps apart, down to 1 ("uniform" in latent diffusion,
    "leading" with steps_offset 1 in diffusers; Lin et al. 2023, table 2).

    It starts below total - 1, so a network is shown pure noise at a level that is not;
    trailing_timesteps does not. Raises ValueError unless 1 <= steps <= total.
    """
    _require(steps, total)
    # Where steps does not divide total, latent diffusion's range has entries left over at the noisy
    # end (8 for 7 steps) and its +1 leads past the table (3, 9, 27 .. steps crash). Here it ends
    # after `steps` entries, as diffusers' does, and goes without the +1 where that has no room,
    # which is only at steps == total.
    spacing = total // steps
    offset = min(1, total - 1 - (steps - 1) * spacing)
    return [offset + i * spacing for i in reversed(range(steps))]


def _require(steps: int, total: int) -> None:
    if not 1 <= steps <= total:
        raise ValueError(f"{steps} steps; a schedule of {total} timesteps takes 1 to {total}")


SPACINGS: dict[str, Callable[[int], list[int]]] = {
    "uniform": uniform_timesteps,
    "uniform_trailing": trailing_timesteps,
}


def dynamicrafter_path(
    steps: int, base_scale: float, spacing: str = "uniform_trailing", zero_snr: bool = True
) -> list[Level]:
    """Return the `steps` + 1 levels of DynamiCrafter's DDIM: variance preserving, zero terminal
    SNR, dynamic rescale as gain (Xing et al. 2023; Lin et al. 2023).

    spacing: a name in SPACINGS
    base_scale: see level.dynamic_rescale
    zero_snr: whether the last alpha_bar is 0, as in all its models but the one for 256 pixels

    It ends on alpha_bar[0] = 0.99915 and not on data, and there keeps the gain of the last
    timestep: the published sampler multiplies x0 by scale_prev / scale, whose last entry is 1.
    Raises ValueError for another step count than 1 to 1000, KeyError for another spacing.
    """
    betas = scaled_linear_betas(0.00085, 0.012)
    if zero_snr:
        betas = zero_terminal_snr(betas)
    # The published tables are float32; near data 1 - alpha_bar would otherwise differ from theirs
    # by 4e-5 of itself.
    bars: list[float] = alphas_cumprod(betas).float().tolist()
    gains: list[float] = dynamic_rescale(base_scale).float().tolist()
    times = SPACINGS[spacing](steps)
    return [
        *(vp_level(bars[t], t, gains[t]) for t in times),
        vp_level(bars[0], 0, gains[times[-1]]),
    ]


def resample(path: Path, times: int, until: int) -> list[Level]:
    """Insert detours: after each of the first `until` moves go back and down, `times` times.

    RePaint (Lugmayr et al. 2022), TRF, and Generative Inbetweening's noise re-injection (section
    4.3).
    """
    out = [path[0]]
    for i, (a, b) in enumerate(pairwise(path)):
        out += [b, *[a, b] * (times if i < until else 0)]
    return out


def ascending(path: Path) -> list[Level]:
    """Return the path walked from data to noise, for DDIM inversion with `up=euler`.

    It starts at the last level with noise in it: at sigma = 0 an x0-prediction says nothing about
    the noise.
    """
    return [level for level in reversed(path) if level.sigma > 0]
