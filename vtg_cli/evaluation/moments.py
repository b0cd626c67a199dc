"""Mean and covariance of features that stream past, in constant memory.

Two batches join exactly (Chan, Golub and LeVeque 1983): with n, m features of means x, y

    scatter = scatter_x + scatter_y + n m / (n + m) (y - x)(y - x)^T

so nothing is lost to the difference of large sums, as it is where sums of squares are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Moments:
    """The moments of `count` features of one width.

    mean: float64 [d]
    scatter: float64 [d, d], the sum of (x - mean)(x - mean)^T
    """

    count: int
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @staticmethod
    def empty(dim: int) -> Moments:
        """Return the moments of no feature of width `dim`."""
        return Moments(0, np.zeros(dim), np.zeros((dim, dim)))

    @staticmethod
    def of(features: NDArray[Any]) -> Moments:
        """Compute the moments of features [n, d]."""
        x = np.asarray(features, np.float64)
        mean = x.mean(0) if len(x) else np.zeros(x.shape[1])
        centred = x - mean
        return Moments(len(x), mean, centred.T @ centred)

    def update(self, features: NDArray[Any]) -> None:
        """Add features [n, d]."""
        if len(features):
            self.merge(Moments.of(features))

    def merge(self, other: Moments) -> None:
        """Add what another one has seen, of another process for example."""
        total = self.count + other.count
        if not other.count:
            return
        step = other.mean - self.mean
        self.scatter += other.scatter
        self.scatter += np.outer(step, step * (self.count * other.count / total))
        self.mean = self.mean + step * (other.count / total)
        self.count = total

    def covariance(self, ddof: int = 1) -> NDArray[np.float64]:
        """Compute the covariance [d, d], divided by count - ddof."""
        return np.asarray(self.scatter / (self.count - ddof))
