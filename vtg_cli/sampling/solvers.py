"""One move from level a to level b. Every solver is one function; what it remembers is `history`.

The line they all share, for EDM, VP and rectified flow alike, with s = alpha * gain:

    x_b = s_b * x0 + sigma_b * eps,     eps = (x_a - s_a * x0) / sigma_a
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from vtg_cli.machine.device import Noise
from vtg_cli.sampling.level import Level

Predictor = Callable[[Tensor, Level], Tensor]
"""Function predict(x, level) -> x0, with its conditions bound; all a sampler sees of a model."""
History = list[tuple[Tensor, float]]
"""Earlier moves since the last up-move: (x0, step in half-log-SNR)."""
Solver = Callable[[Predictor, Tensor, Level, Level, History, Noise], Tensor]


def transition_std(a: Level, b: Level) -> float:
    """Return the standard deviation of q(x_a | x_b), a noisier than b (DDPM's forward kernel)."""
    return math.sqrt(max(0.0, a.sigma**2 - (a.alpha / b.alpha * b.sigma) ** 2))


def renoise(
    predict: Predictor, x: Tensor, a: Level, b: Level, history: History, noise: Noise
) -> Tensor:
    """Take an up-move: add exactly the noise that separates the levels. No network call."""
    return (b.signal / a.signal) * x + transition_std(b, a) * noise(x)


def euler(
    predict: Predictor, x: Tensor, a: Level, b: Level, history: History, noise: Noise
) -> Tensor:
    """Take a first-order step: EDM's Euler, DDIM (eta = 0) and rectified flow are this line."""
    x0 = predict(x, a)
    return b.signal * x0 + b.sigma * a.eps(x, x0)


def fresh_std(a: Level, b: Level, eta: float) -> float:
    """Return the standard deviation of the noise drawn anew on the way from a down to b (Song et
    al. 2021, eq. 16): eta * sqrt((1 - bar_b) / (1 - bar_a) * (1 - bar_a / bar_b)) for VP levels.
    """
    return eta * transition_std(a, b) * b.sigma / a.sigma


def ancestral(eta: float = 1.0) -> Solver:
    """Return DDIM with eta, which draws part of the noise anew (Song et al. 2021, eq. 12 and 16).

    eta 0 is `euler` and draws nothing; else one draw per move, also where it weighs nothing, so
    that which draw a move gets depends on its place alone. The radicand is clamped at 0: at zero
    terminal SNR rounding makes it negative for some step counts.
    """

    def solve(
        predict: Predictor, x: Tensor, a: Level, b: Level, history: History, noise: Noise
    ) -> Tensor:
        x0 = predict(x, a)
        fresh = fresh_std(a, b, eta)
        kept = math.sqrt(max(0.0, b.sigma**2 - fresh**2))
        x = b.signal * x0 + kept * a.eps(x, x0)
        return x + fresh * noise(x) if eta else x

    return solve


def injecting(eps: Tensor, until: Level, solver: Solver) -> Solver:
    """Return `solver`, except for moves onto `until` and noisier levels: these are DDIM's with the
    noise `eps` in place of the predicted one, which thus stays in the latents as it was.
    """

    def solve(
        predict: Predictor, x: Tensor, a: Level, b: Level, history: History, noise: Noise
    ) -> Tensor:
        if until.noisier(b):
            return solver(predict, x, a, b, history, noise)
        return b.noise(predict(x, a), eps)

    return solve


def heun(
    predict: Predictor, x: Tensor, a: Level, b: Level, history: History, noise: Noise
) -> Tensor:
    """Take a second-order step, two calls: the slope averaged over both ends (EDM, algorithm 1).

    The slope is taken in the variables x/s against sigma/s, where the flow is dx = eps d(sigma/s);
    the last move, onto sigma = 0, and a move from alpha = 0 stay first order.
    """
    x0 = predict(x, a)
    eps = a.eps(x, x0)
    guess = b.signal * x0 + b.sigma * eps
    if b.sigma == 0 or a.signal == 0:
        return guess
    slope = (eps + b.eps(guess, predict(guess, b))) / 2
    return b.signal * (x / a.signal + (b.sigma / b.signal - a.sigma / a.signal) * slope)


def dpmpp_2m(
    predict: Predictor, x: Tensor, a: Level, b: Level, history: History, noise: Noise
) -> Tensor:
    """Take a second-order multistep step, one call (DPM-Solver++(2M), Lu et al. 2022, alg. 2).

    The half-log-SNR is -inf at alpha = 0 and +inf at sigma = 0; next to either the step is first
    order.
    """
    x0 = predict(x, a)
    h = _half_log_snr(b) - _half_log_snr(a)
    d = x0
    if history and math.isfinite(h):
        x0_last, h_last = history[-1]
        if math.isfinite(h_last):
            d = x0 + (x0 - x0_last) * (h / (2 * h_last))
    history.append((x0, h))
    return (b.sigma / a.sigma) * x - b.signal * math.expm1(-h) * d


def lcm(
    predict: Predictor, x: Tensor, a: Level, b: Level, history: History, noise: Noise
) -> Tensor:
    """Take a step of multistep consistency sampling: to data in one move, then fresh noise up to b
    (Song et al. 2023, arXiv 2303.01469, algorithm 1; Luo et al. 2023, arXiv 2310.04378).

    Nothing of the noise in x is kept, so it is for networks distilled to answer alike from every
    level. One draw per move, also the last, where it weighs nothing: which draw a move gets depends
    on its place alone.
    """
    return b.noise(predict(x, a), noise(x))


def _half_log_snr(level: Level) -> float:
    if level.sigma == 0:
        return math.inf
    return math.log(level.signal / level.sigma) if level.signal else -math.inf


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "dpmpp_2m": dpmpp_2m, "lcm": lcm}
