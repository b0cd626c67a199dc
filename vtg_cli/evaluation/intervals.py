"""How sure a figure is: the bootstrap for means, Wilson's interval for shares."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 2000
AT_ONCE = 1_000_000  # values that are drawn at once


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def bootstrap(
    values: Sequence[float] | NDArray[Any], seed: int, *, draws: int = DRAWS, level: float = LEVEL
) -> Interval:
    """Compute the percentile interval of the mean of at least one value (Efron 1979)."""
    x = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    step = max(1, AT_ONCE // len(x))  # draws at once, in constant memory
    sizes = [min(step, draws - i) for i in range(0, draws, step)]
    means = np.concatenate([x[rng.integers(0, len(x), (n, len(x)))].mean(1) for n in sizes])
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def wilson(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Compute Wilson's score interval of a share (Wilson 1927); (0, 1) of no trial."""
    if trials == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * (share * (1 - share) / trials + z * z / 4 / trials**2) ** 0.5
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))
