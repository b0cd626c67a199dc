"""How far two ways of computing the same may lie apart: a bound for any processor."""

from __future__ import annotations

import numpy as np

DEEP = 512
"""Roundings on the way through one of the small networks here: a hundred layers one behind the
other, the sums of each a few more, since those of sums in another order add up as their root."""


def rounding(operations: int, magnitude: float = 1.0, dtype: type = np.float32) -> float:
    """What so many roundings one behind the other amount to in numbers of `magnitude`: half of
    eps each, all of them one way.
    """
    return operations * float(np.finfo(dtype).eps) / 2 * magnitude
