"""The takes of a segment in their order, decided beforehand, so that the same job makes the same
clip again (--on-bad; render/retry.py draws them).
"""

from __future__ import annotations

from dataclasses import dataclass

from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import MAX_SEED
from vtg_cli.weights.catalog import FLOW, LEARNED

CANDIDATES = 4
"""Takes of a segment under retry by default."""


@dataclass(frozen=True)
class Variant:
    """One way to draw a take: model and seed; temperature as in Sampling, None for flow."""

    by: str
    seed: int
    temperature: float | None


def variants(job: Interpolate, by: str) -> list[Variant]:
    """Return what may be drawn of each segment of a job, in this order. by: its model's name.

    Engines leave nothing to chance, so they have one variant. At temperature 0 a model leaves next
    to nothing to it either: all but its first take are at 1.
    """
    seed, temperature = job.sampling.seed, job.sampling.temperature
    first = Variant(by, seed, temperature)
    if by == FLOW or job.on_bad in ("warn", "fail"):
        return [first]
    if job.on_bad == "fallback":
        return [first, Variant(FLOW, seed, None)]
    if by == LEARNED:
        return [first]
    more = range(1, job.candidates or CANDIDATES)
    return [first, *(Variant(by, (seed + k) % (MAX_SEED + 1), temperature or 1.0) for k in more)]
