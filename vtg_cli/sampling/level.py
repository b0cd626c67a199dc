"""A point on the noising path, and the families of such points that models are trained on.

    x = alpha * gain * x0 + sigma * eps

EDM keeps alpha at 1 and lets sigma grow; variance preserving (VP) models keep alpha^2 + sigma^2 =
1; rectified flow keeps alpha + sigma = 1. One step between two levels is the same line for all of
them (solvers.euler).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Level:
    """A point on the noising path.

    alpha: signal rate
    sigma: noise rate
    t: the number given to the network
    gain: extra shrinking of the signal (DynamiCrafter's dynamic rescale)
    """

    alpha: float
    sigma: float
    t: float
    gain: float = 1.0

    @property
    def signal(self) -> float:
        return self.alpha * self.gain

    @property
    def scale(self) -> float:
        """Standard deviation of x for unit-variance x0: sqrt(alpha^2 + sigma^2)."""
        return math.hypot(self.alpha, self.sigma)

    def noise(self, x0: Tensor, eps: Tensor) -> Tensor:
        """Bring x0 to this level with the given unit normal noise."""
        return self.signal * x0 + self.sigma * eps

    def eps(self, x: Tensor, x0: Tensor) -> Tensor:
        """Return the noise in x if the clean latents are x0."""
        return (x - self.signal * x0) / self.sigma

    def noisier(self, other: Level) -> bool:
        """Compare noise-to-signal ratios; total also where alpha is 0."""
        return self.sigma * other.alpha > other.sigma * self.alpha

    def x0_from_eps(self, x: Tensor, eps: Tensor) -> Tensor:
        """Return x0 from a noise prediction.

        Raises ValueError at alpha = 0, where x holds no signal and a noise prediction tells nothing
        of x0.
        """
        if self.signal == 0:
            raise ValueError(
                "a noise-predicting network has no x0 at alpha = 0; use a v-predicting one"
            )
        return (x - self.sigma * eps) / self.signal

    def x0_from_v(self, x: Tensor, v: Tensor) -> Tensor:
        """Return x0 from v = (alpha*eps - sigma*gain*x0)/scale, the velocity on the unit circle
        (Salimans & Ho 2022).
        """
        n = self.scale
        return (x * (self.alpha / n**2) - v * (self.sigma / n)) / self.gain

    def v_from_x0(self, x: Tensor, x0: Tensor) -> Tensor:
        """Return v from x0, the inverse of x0_from_v; needs sigma > 0."""
        n = self.scale
        return (x * (self.alpha / n**2) - self.gain * x0) * (n / self.sigma)


CLEAN = Level(1.0, 0.0, 0.0)
"""The end of an EDM or flow path: data."""


def edm_level(sigma: float) -> Level:
    """Return the level of EDM as Stable Video Diffusion uses it, with c_noise = ln(sigma)/4 as the
    network's t (Karras et al. 2022).
    """
    return Level(1.0, sigma, 0.25 * math.log(sigma)) if sigma else CLEAN


def flow_level(t: float) -> Level:
    """Return the level of rectified flow: t from 1 (noise) to 0 (data)."""
    return Level(1.0 - t, t, t)


def vp_level(alpha_bar: float, t: float, gain: float = 1.0) -> Level:
    """Return the variance preserving level of alpha_bar, the product of 1 - beta, in [0, 1]."""
    return Level(math.sqrt(alpha_bar), math.sqrt(1.0 - alpha_bar), t, gain)


def scaled_linear_betas(start: float, end: float, steps: int = 1000) -> Tensor:
    """Return betas linear in their square root ("scaled linear"), float64 [steps]."""
    return torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2


def zero_terminal_snr(betas: Tensor) -> Tensor:
    """Rescale betas so that the last alpha_bar is exactly 0 and the first is kept (Lin et al. 2023,
    algorithm 1).
    """
    root = torch.cumprod(1 - betas, 0).sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    bar = root**2
    return torch.cat([1 - bar[:1], 1 - bar[1:] / bar[:-1]])


def alphas_cumprod(betas: Tensor) -> Tensor:
    """Compute alpha_bar[t] = product of 1 - beta over 0..t, the signal's share of the variance (Ho
    et al. 2020, eq. 4). [steps] -> [steps].
    """
    return torch.cumprod(1 - betas, 0)


def dynamic_rescale(base_scale: float, ramp: int = 400, steps: int = 1000) -> Tensor:
    """Return the gain per timestep, float64 [steps]: from 1 evenly down to base_scale at timestep
    ramp - 1, base_scale behind it.

    DynamiCrafter's `scale_arr` (Xing et al. 2023); base_scale is 0.7 in its 512 model, 0.3 in its
    1024 model and 1 where nothing is rescaled.
    """
    return torch.cat(
        [
            torch.linspace(1, base_scale, ramp, dtype=torch.float64),
            torch.full((steps - ramp,), base_scale, dtype=torch.float64),
        ]
    )
