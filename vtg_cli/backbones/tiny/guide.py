"""Motion guidance: both keyframes carried along the motion between them to every time.

The motion and how much of it is believed are the flow engine's (backbones.flow), which looks harder
here than it does for a draft; its own result is the blend of what is returned here,

    (1 - t) trust_ahead ahead + t trust_back back        over the sum of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from vtg_cli.flow.filters import Field
from vtg_cli.flow.joined import joined
from vtg_cli.flow.splatting import Moved, Picture, carrier

Learned = Callable[[Picture, Picture], Callable[[float], Moved]]
"""Two keyframes to where both are at any time, such as Rife.motion."""

UNSEEN = 0.0002
"""Least confidence; 0 is left to mean that a network is told nothing."""


@dataclass(frozen=True)
class Carried:
    """Both pictures carried to one time.

    ahead, back: the first and the last picture, [H, W, 3], 0 to 1 or slightly beyond
    trust_ahead, trust_back: [h, w] at the size of the search, in [UNSEEN, 1]
    """

    ahead: Field
    back: Field
    trust_ahead: Field
    trust_back: Field


def carry(
    first: Picture, last: Picture, learned: Learned | None = None
) -> Callable[[float], Carried]:
    """Estimate the motion between two pictures [H, W, 3] now, once, and return a function that
    carries them to any time in [0, 1].

    learned: a second opinion (flow/joined.py)

    At its own time each is itself.
    """
    if learned is None:
        carried_to = carrier(first, last, far=True)
    else:
        carried_to = joined(first, last, learned(first, last))

    def at(t: float) -> Carried:
        carried = carried_to(t)
        ahead, back = carried.part_ahead, carried.part_back
        return Carried(carried.ahead, carried.back, _trust(ahead, 1 - t), _trust(back, t))

    return at


def _trust(part: Field, left: float) -> Field:
    """Return the confidence: left * trust is the weight of the flow engine."""
    if left == 1:
        return np.ones_like(part)
    return np.asarray(np.clip(part / np.float32(max(left, 1e-6)), UNSEEN, 1), np.float32)


def enlarged(field: Field, height: int, width: int) -> Field:
    """Enlarge a field [h, w] to the size of a picture."""
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR))
