"""Dense correspondence of two pictures (which pixel goes where), without learned weights.

Everything happens at a working size, both directions alike:

1. propose  candidate flows (proposals.py);
2. choose   each pixel takes the candidate that explains it best: structural similarity and colour,
            averaged within edges (cost-volume filtering, Hosni et al. 2013);
3. trust    forward and backward motion must cancel, the neighbourhoods must look alike;
4. fill     pixels without trust (occluded, leaving the frame, changed) take the motion of trusted
            ones on their side of the edges, far from any the camera's;
5. snap     at an object's rim a pixel takes the neighbouring motion that explains its colour;
6. calm     where nothing far around is trusted, motion is smooth, so that what is carried along
            keeps its shape.

If next to nothing is trusted the two pictures are unrelated, and the answer is no motion at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.flow.candidates import RADIUS, Side, camera, propose, sides
from vtg_cli.flow.filters import (
    Field,
    box,
    gauss,
    guided,
    outside,
    ramp,
    resize,
    spread,
    warp,
)

LONG_SIDE = 512  # working pixels
SHORT_SIDE = 32  # smaller pictures are enlarged for the search: DIS works in patches of 8
SHIFT_PENALTY = 0.1  # what a shifted candidate must save against no shift and the camera's motion
STRUCTURE_FLOOR = 4e-4  # (2 % of the lightness range)^2: below it flat areas count as alike
COLOUR_SCALE = 0.12  # Lab difference, in hundredths, that is a full mismatch
LEAVING = 0.6  # mismatch of a motion that leaves the picture
ALIKE = (0.35, 0.8)  # mismatch up to which trust is full, from which there is none
COMPANY = (0.015, 0.04)  # reach of the neighbourhood that trust needs, of the long side
ENOUGH = (0.2, 0.5)  # trust around, further away, up to which it is none, from which it is enough
RELATED = (0.04, 0.12)  # trusted share up to which motion is ignored, from which it is used
RIM = (4, 8)  # how far away, in pixels, a rim pixel may find its motion
CALM = 0.03  # reach over which motion without trust is averaged, of the long side
TAKEN, DOUBTFUL = 0.07, 0.4  # cost of another pixel's motion, and of one that is not trusted


@dataclass(frozen=True)
class Correspondence:
    """The correspondence of two pictures, at the working size [h, w].

    forward, backward: [h, w, 2], (x, y) in working pixels, first to last and last to first
    trust_first, trust_last: [h, w] in [0, 1], how surely the other picture shows the pixel too
    """

    forward: Field
    backward: Field
    trust_first: Field
    trust_last: Field

    @property
    def share(self) -> float:
        """Share of the pictures that is trusted to correspond, in [0, 1]."""
        return float(self.trust_first.mean() + self.trust_last.mean()) / 2

    def reversed(self) -> Correspondence:
        """Return the correspondence of the last picture and the first."""
        return Correspondence(self.backward, self.forward, self.trust_last, self.trust_first)


def correspond(
    first: NDArray[np.uint8], last: NDArray[np.uint8], *, far: bool = False
) -> Correspondence:
    """Estimate the motion between two RGB pictures uint8 [H, W, 3] of equal size.

    far: look harder for things that moved and turned a lot
    """
    height, width = first.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    w, h = (max(SHORT_SIDE, round(n * scale)) for n in (width, height))
    a, b = sides(resize(first, w, h), resize(last, w, h))
    ahead, back = propose(a, b, far=far)
    forward, backward = _choose(a, b, ahead), _choose(b, a, back)
    trust_a, trust_b = _trust(a, b, forward, backward), _trust(b, a, backward, forward)
    forward, backward = _fill(a, forward, trust_a), _fill(b, backward, trust_b)
    forward, backward = _snap(a, b, forward, trust_a), _snap(b, a, backward, trust_b)
    forward, backward = _calm(forward, trust_a), _calm(backward, trust_b)
    trust_a, trust_b = _trust(a, b, forward, backward), _trust(b, a, backward, forward)
    related = ramp((trust_a.mean() + trust_b.mean()) / 2, *RELATED)
    return Correspondence(
        forward * related, backward * related, trust_a * related, trust_b * related
    )


def _mismatch(a: Side, b: Side, flow: Field) -> Field:
    """Return [h, w] in [0, 1]: how little b along the flow resembles a, structure and colour."""
    seen = warp(b.lab, flow)
    lightness = np.ascontiguousarray(seen[..., 0])
    mean = box(lightness, RADIUS)
    variance = box(lightness * lightness, RADIUS) - mean * mean
    covariance = box(a.lightness * lightness, RADIUS) - a.mean * mean
    alike = (2 * covariance + STRUCTURE_FLOOR) / (a.variance + variance + STRUCTURE_FLOOR)
    apart = np.abs(a.lab - seen)
    colour = np.minimum((apart[..., 0] / 2 + apart[..., 1] + apart[..., 2]) / COLOUR_SCALE, 1)
    cost = (np.clip(1 - alike, 0, 1) + colour) / 2
    cost[outside(flow)] = LEAVING
    return np.asarray(cost, np.float32)


def _choose(a: Side, b: Side, flows: list[Field]) -> Field:
    smooth = guided(a.lightness, 6)
    costs = [smooth(_mismatch(a, b, flow)) for flow in flows]
    return _cheapest(flows, [*costs[:2], *(cost + np.float32(SHIFT_PENALTY) for cost in costs[2:])])


def _cheapest(flows: list[Field], costs: list[Field]) -> Field:
    best = np.argmin(np.stack(costs), axis=0)
    return np.asarray(np.take_along_axis(np.stack(flows), best[None, ..., None], axis=0)[0])


def _trust(a: Side, b: Side, flow: Field, reverse: Field) -> Field:
    back = warp(reverse, flow)
    error = np.square(flow + back).sum(-1)
    slack = 1 + 0.003 * (np.square(flow).sum(-1) + np.square(back).sum(-1))
    alike = 1 - ramp(box(_mismatch(a, b, flow), 2), *ALIKE)
    trust = gauss(np.float32(np.exp(-error / (2 * slack)) * alike * ~outside(flow)), 1)
    # a lone island is a chance match: trust needs trusted company, near and further away
    near, wide = (gauss(trust, share * max(a.size)) for share in COMPANY)
    return np.asarray(trust * np.minimum(2 * near, 1) * ramp(wide, *ENOUGH), np.float32)


def _fill(a: Side, flow: Field, trust: Field) -> Field:
    motion, share = camera(flow, np.where(trust > 0.3, trust, 0), 0.01 * max(a.size))
    far = _averaged(a, flow, trust, motion * ramp(share, 0.03, 0.15), 1e-3, 80)
    return _averaged(a, flow, trust, far, 0.02, 2)


def _averaged(
    a: Side, flow: Field, trust: Field, otherwise: Field, floor: float, strength: float
) -> Field:
    """Average trusted flow and, with the weight `floor`, `otherwise`."""
    weight = trust + np.float32(floor)
    sums = np.dstack([weight, trust[..., None] * flow + np.float32(floor) * otherwise])
    sums = spread(sums, a.along, strength)
    return np.asarray(sums[..., 1:] / sums[..., :1])


def _snap(a: Side, b: Side, flow: Field, trust: Field) -> Field:
    h, w = a.size
    smooth = guided(a.lightness, 5)
    around = [(x * r, y * r) for r in RIM for x, y in product((-1, 0, 1), repeat=2) if x or y]
    flows: list[Field] = []
    costs: list[Field] = []
    state = np.dstack([flow, trust])
    for x, y in [(0, 0), *around]:
        shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
        near = cv2.warpAffine(
            state, shift, (w, h), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        moved = np.ascontiguousarray(near[..., :2], np.float32)
        miss = np.minimum(np.abs(a.lab - warp(b.lab, moved)).sum(-1) / COLOUR_SCALE, 1)
        miss[outside(moved)] = 1
        flows.append(moved)
        doubt = TAKEN + DOUBTFUL * (1 - near[..., 2]) if x or y else 0
        costs.append(np.asarray(smooth(box(miss, 1)) + doubt, np.float32))
    return _cheapest(flows, costs)


def _calm(flow: Field, trust: Field) -> Field:
    reach = CALM * max(trust.shape)
    lost = 1 - ramp(trust, 0, 0.3)
    weight = lost + np.float32(1e-3)  # among its like: no motion leaks across an object's rim
    mean = gauss(flow * weight[..., None], reach) / gauss(weight, reach)[..., None]
    alone = lost * (1 - ramp(gauss(trust, reach), *ENOUGH))
    return np.asarray(flow + alone[..., None] * (mean - flow), np.float32)
