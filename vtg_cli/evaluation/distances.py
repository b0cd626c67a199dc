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

Array = NDArray[np.float64]
FEWEST = 2  # features, without which there is no covariance


def frechet(a: NDArray[Any], b: NDArray[Any], ddof: int = 1) -> float:
    """Compute the Frechet distance of features [n, d] and [m, d].

    ddof: covariances are divided by n - ddof: 1 as in pytorch-fid, clean-fid, torchmetrics, VIDM
        and Seer; 0 as in StyleGAN-V and content-debiased FVD

    Raises UsageError for fewer than two features a side or different widths.
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    _check((len(x), len(y)), (x.shape[1], y.shape[1]))
    shift = x.mean(0) - y.mean(0)
    return _distance(shift, _root_of_features(x, ddof), _root_of_features(y, ddof))


def frechet_of_moments(a: Moments, b: Moments, ddof: int = 1) -> float:
    """Compute the Frechet distance of two sets known by their moments. Raise UsageError.

    Of fewer features than dimensions `frechet` is quicker, and exact to the last digits.
    """
    _check((a.count, b.count), (a.mean.size, b.mean.size))
    return _distance(a.mean - b.mean, _root(a.covariance(ddof)), _root(b.covariance(ddof)))


def _check(counts: tuple[int, int], widths: tuple[int, int]) -> None:
    if min(counts) < FEWEST:
        raise UsageError(
            f"a Frechet distance of {counts[0]} and {counts[1]} features means nothing",
            "give at least two on each side; papers take 2,048",
        )
    if widths[0] != widths[1]:
        raise UsageError(f"features of {widths[0]} and {widths[1]} numbers do not compare")


def _distance(shift: Array, r: Array, q: Array) -> float:
    """Compute the distance of sets with covariances r r^T and q q^T.

    tr r r^T = |r|^2, and tr (r r^T q q^T)^1/2 is the sum of the singular values of r^T q, whose
    squares are the eigenvalues of the smaller of its two products with itself.
    """
    mixed = r.T @ q
    square = mixed @ mixed.T if len(mixed) <= len(mixed.T) else mixed.T @ mixed
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh(square), 0))
    return float(shift @ shift + np.sum(r * r) + np.sum(q * q) - 2 * singular.sum())


def _root_of_features(x: Array, ddof: int) -> Array:
    """Return r [d, k], k = min(n, d), with the covariance r r^T of features [n, d]."""
    if len(x) > x.shape[1]:
        return _root(Moments.of(x).covariance(ddof))
    return np.asarray((x - x.mean(0)).T / np.sqrt(len(x) - ddof))


def _root(s: Array) -> Array:
    """Return r with s = r r^T: Cholesky's, or, four times slower, one that takes s without full
    rank, of as many columns as it has.
    """
    try:
        return np.asarray(np.linalg.cholesky(s), np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(s)
        kept = values > values[-1] * len(s) * np.finfo(float).eps
        return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


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


def _kernel(x: Array, y: Array) -> Array:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)
