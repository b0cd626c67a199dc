"""Inception score (Salimans et al. 2016): exp of the mean KL(p(label | clip) || p(label))."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError

SEED = 42  # of StyleGAN-V's shuffle


def inception_score(
    probabilities: NDArray[Any], splits: int = 10, *, shuffle: bool = False
) -> tuple[float, float]:
    """Compute the score; return its mean and population standard deviation over splits.

    probabilities: of labels, [n, labels], each row a distribution
    shuffle: put the rows in the order of numpy's RandomState(42) first, as StyleGAN-V does; VIDM
        takes them as they come

    Raises UsageError for fewer rows than splits.
    """
    p = np.asarray(probabilities, np.float64)
    if len(p) < splits:
        raise UsageError(f"an inception score of {splits} splits takes more than {len(p)} clips")
    if shuffle:
        p = p[np.random.RandomState(SEED).permutation(len(p))]
    scores = [_of_one(p[i * len(p) // splits : (i + 1) * len(p) // splits]) for i in range(splits)]
    return float(np.mean(scores)), float(np.std(scores))


def _of_one(p: NDArray[np.float64]) -> float:
    marginal = p.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(marginal)), 0)
    return float(np.exp(terms.sum(1).mean()))
