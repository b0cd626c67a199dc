"""What perceptual distances between neighbouring frames tell of a clip.

    smoothness    1 - Gini, Gini = sum |d_i - d_j| / (2 n^2 mean d)     AID (He et al. 2024)
    consistency   mean d
    worst         max d
    ppl           sum d                                                 DiffMorpher, as written
    ppl_scaled    mean d * (F - 1)^2                                    DiffMorpher, as printed
    pdv           population variance of d                              DiffMorpher

Published PPL is not the plain sum: its magnitudes fit the second form, of F frames, for which there
is a remnant in TVG's code and no proof. Both are given, and F is to be named beside the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Neighbours:
    """The scores of one clip of `frames` frames from its frames - 1 distances."""

    frames: int
    gini: float
    smoothness: float
    consistency: float
    worst: float
    ppl: float
    ppl_scaled: float
    pdv: float


def neighbours(distances: Sequence[float] | NDArray[Any]) -> Neighbours:
    """Compute the scores of the distances between neighbouring frames, at least one, all >= 0."""
    d = np.asarray(distances, np.float64)
    unequal = gini(d)
    return Neighbours(
        frames=len(d) + 1,
        gini=unequal,
        smoothness=1 - unequal,
        consistency=float(d.mean()),
        worst=float(np.max(d)),
        ppl=float(d.sum()),
        ppl_scaled=float(d.mean() * len(d) ** 2),
        pdv=float(d.var()),
    )


def gini(values: NDArray[Any]) -> float:
    """Compute the Gini coefficient: 0 if all are the same, (n - 1) / n if all but one are 0."""
    mean = float(values.mean())
    if mean == 0:
        return 0.0
    return float(np.abs(values[:, None] - values[None]).mean() / (2 * mean))


def rescheduled(distances: Sequence[float], frames: int) -> NDArray[np.float64]:
    """Return the times at which a path's distances become equal, as DiffMorpher's second pass.

    distances: between neighbours of a first pass at even times; frames: of the second
    """
    travelled = np.concatenate([[0.0], np.cumsum(np.asarray(distances, np.float64))])
    times = np.linspace(0, 1, len(travelled))
    return np.asarray(np.interp(np.linspace(0, 1, frames), travelled / travelled[-1], times))
