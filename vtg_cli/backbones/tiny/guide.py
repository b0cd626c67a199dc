"""Motion guidance: both keyframes carried along the motion between them to every time.

The motion and how much of it is believed are the flow engine's (backbones.flow); its own result is
the blend of what is returned here,

    (1 - t) trust_ahead ahead + t trust_back back        over the sum of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtg_cli.backbones import flow
from vtg_cli.backbones.correspondence import correspond
from vtg_cli.backbones.filters import Field, gauss, ramp, warp

UNSEEN = 0.002
"""The least confidence; 0 is left to mean that a network is told nothing."""


@dataclass(frozen=True)
class Carried:
    """ahead, back: the first and the last picture, uint8 [F, H, W, 3];
    trust_ahead, trust_back: float32 [F, H, W] in [UNSEEN, 1].
    """

    ahead: NDArray[np.uint8]
    back: NDArray[np.uint8]
    trust_ahead: Field
    trust_back: Field


def carry(first: NDArray[np.uint8], last: NDArray[np.uint8], times: Sequence[float]) -> Carried:
    """Both pictures [H, W, 3] at every time in [0, 1]; at its own time each is itself."""
    height, width = first.shape[:2]
    found = correspond(first, last)
    scale = _real(np.array([width, height]) / found.trust_first.shape[::-1])
    splat_ahead = flow._splatter(found.forward, found.trust_first)
    splat_back = flow._splatter(found.backward, found.trust_last)
    haste = ramp(found.share, *flow.BRIEF)

    def enlarged(x: ArrayLike) -> Field:
        field = np.asarray(x, np.float32)
        return _real(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR))

    def moved(picture: NDArray[np.uint8], along: Field) -> NDArray[np.uint8]:
        carried = warp(picture.astype(np.float32), enlarged(along) * scale, cv2.INTER_CUBIC)
        return np.asarray(np.clip(carried + 0.5, 0, 255), np.uint8)

    def trusted(presence: Field, left: float, power: Field) -> Field:
        """left * trust is the weight of the flow engine, whose dissolves are short."""
        return _real(np.clip(enlarged(presence**power * left ** (power - 1)), UNSEEN, 1))

    n = len(times)
    ahead, back = np.empty((2, n, height, width, 3), np.uint8)
    trust_ahead, trust_back = np.empty((2, n, height, width), np.float32)
    for i, t in enumerate(map(float, times)):
        motion_a, presence_a = splat_ahead(t)
        motion_b, presence_b = splat_back(1 - t)
        known = (presence_a / (presence_a + presence_b))[..., None]
        own_a, own_b = np.clip(4 * known - 0.6, 0, 1), np.clip(3.4 - 4 * known, 0, 1)
        ahead[i] = moved(first, -t * _real(own_a * motion_a - (1 - own_a) * motion_b))
        back[i] = moved(last, (t - 1) * _real(own_b * motion_b - (1 - own_b) * motion_a))
        presence_a, presence_b = gauss(presence_a, 2), gauss(presence_b, 2)
        most = np.maximum(presence_a, presence_b)
        power = 1 + haste * (1 - ramp(most, flow.UNSEEN, 3 * flow.UNSEEN))
        trust_ahead[i] = trusted(presence_a, 1 - t, power) if t > 0 else 1
        trust_back[i] = trusted(presence_b, t, power) if t < 1 else 1
    return Carried(ahead, back, trust_ahead, trust_back)


def _real(values: ArrayLike) -> Field:
    return np.asarray(values, np.float32)
