"""Distances between two sets of features: Frechet (FID, FVD) and the kernel distance (KID, KVD).

    Frechet   |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2)            Dowson and Landau 1982
    MMD^2     mean k(x, x') + mean k(y, y') - 2 mean k(x, y)       k(x, y) = (x.y / d + 1)^3

The kernel distance is the unbiased estimator: pairs of a feature with itself are left out, and it
may be negative. What to divide a covariance by differs between papers and is an argument:
docs/evaluation.md says who divides by what.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.moments import Moments

FEWEST = 2  # features, without which there is no covariance


def frechet(a: NDArray[Any], b: NDArray[Any], ddof: int = 1) -> float:
    """Compute the Frechet distance of features [n, d] and [m, d].

    ddof: covariances are divided by n - ddof: 1 as in pytorch-fid, clean-fid, torchmetrics, VIDM
        and Seer; 0 as in StyleGAN-V and content-debiased FVD

    Raises UsageError for fewer than two features a side or different widths.
    """
    return frechet_of_moments(Moments.of(a), Moments.of(b), ddof)


def frechet_of_moments(a: Moments, b: Moments, ddof: int = 1) -> float:
    """Compute the Frechet distance of two sets known by their moments. Raise UsageError."""
    if min(a.count, b.count) < FEWEST:
        raise UsageError(
            f"a Frechet distance of {a.count} and {b.count} features means nothing",
            "give at least two on each side; papers take 2,048",
        )
    if a.mean.shape != b.mean.shape:
        raise UsageError(f"features of {a.mean.size} and {b.mean.size} numbers do not compare")
    s, t = a.covariance(ddof), b.covariance(ddof)
    shift = a.mean - b.mean
    return float(shift @ shift + np.trace(s) + np.trace(t) - 2 * _trace_of_root(s, t))


def _trace_of_root(s: NDArray[np.float64], t: NDArray[np.float64]) -> float:
    """Compute tr (s t)^1/2 of two covariances.

    With s = r r^T, s t has the eigenvalues of the symmetric r^T t r: no root of a matrix is needed.
    """
    root = _factor(s)
    product = np.linalg.eigvalsh(root.T @ t @ root)
    return float(np.sqrt(np.maximum(product, 0)).sum())


def _factor(s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return r with s = r r^T: Cholesky's, or, four times slower, one that takes s without full
    rank, of fewer features than dimensions.
    """
    try:
        return np.linalg.cholesky(s)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(s)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def mmd(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Compute the unbiased kernel distance of features [n, d], [m, d]: KVD, KID of all at once.

    StyleGAN-V prints 1000 times this. Raises UsageError for fewer than two features a side.
    """
    if min(len(a), len(b)) < FEWEST:
        raise UsageError(f"a kernel distance of {len(a)} and {len(b)} features means nothing")
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    n, m = len(x), len(y)
    within = [
        (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (_kernel(x, x), _kernel(y, y))
    ]
    return float(sum(within) - 2 * _kernel(x, y).sum() / (n * m))


def mmd_of_centred(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Compute the kernel distance of features each centred on its own mean.

    So Seer's evaluation computes "KVD", and probably AID's table: its Frechet function, called
    first, subtracts the means in place. It is blind to a shift of the mean.
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return mmd(x - x.mean(0), y - y.mean(0))


def kid(
    a: NDArray[Any],
    b: NDArray[Any],
    rng: np.random.Generator,
    *,
    subsets: int = 100,
    size: int = 1000,
) -> tuple[float, float]:
    """Compute the kernel distance of random subsets; return its mean and standard deviation.

    subsets, size: Binkowski et al. 2018's, as clean-fid takes them; a smaller set is taken whole
    """
    size = min(size, len(a), len(b))
    draws = [
        mmd(*(x[rng.choice(len(x), size, replace=False)] for x in (a, b))) for _ in range(subsets)
    ]
    return float(np.mean(draws)), float(np.std(draws))


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)
