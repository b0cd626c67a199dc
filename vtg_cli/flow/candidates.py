"""Candidate motions between two pictures: starts for a flow that only looks nearby.

An exhaustive search over displacements on a coarse grid (colour and gradient directions of each
cell) finds motions of up to a third of the picture. Its dominant shifts, its robust affine fit (the
camera) and the field itself are each refined by DIS optical flow (Kroeger et al. 2016). Keyframes
far apart also get the motions that groups of landmarks share (SIFT, Lowe 2004; RANSAC): the search
compares upright cells and misses what has turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.flow.filters import Field, Links, box, gauss, grid, links, median, resize, warp

LONG_SIDE = 96  # cells of the search, where the pictures are large enough for
CELL = 2  # pixels of one side of a cell, or more
FEWEST = 32  # cells of the long side
REACH = 0.35  # the longest motion searched for, as a share of each side
SHIFTS = 8  # dominant displacements that become candidates
BODIES = 6  # motions shared by landmarks that become candidates
LANDMARKS = 1500  # looked for in each picture
SHARED = 5  # landmarks that make a motion, within WITHIN pixels
WITHIN = 2.5
DISTINCT = 0.85  # a match is this much closer than the second best (Lowe's ratio)
ZOOM = 2.0  # bodies grow or shrink by this factor at most
RADIUS = 5  # of the window in which likeness is judged


@dataclass(frozen=True)
class Side:
    """One of the two pictures, prepared. All fields are [h, w]."""

    rgb: NDArray[np.uint8]  # [h, w, 3]
    lab: Field  # [h, w, 3] in a hundredth of CIE Lab, mean and spread brought to the other's
    lightness: Field
    mean: Field  # of the lightness in a window
    variance: Field
    along: Links

    @property
    def size(self) -> tuple[int, int]:
        return self.lab.shape[0], self.lab.shape[1]


def sides(first: NDArray[np.uint8], last: NDArray[np.uint8]) -> tuple[Side, Side]:
    """Prepare two RGB pictures [h, w, 3], their difference in exposure and tint taken out."""
    a, b = (
        cv2.cvtColor(x.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / np.float32(100)
        for x in (first, last)
    )
    # each moves half way, so neither is the reference; limited, lest unrelated pictures turn alike
    gap = np.clip((b.mean((0, 1)) - a.mean((0, 1))) / 2, -0.15, 0.15)
    gain = np.clip(np.sqrt((b.std((0, 1)) + 1e-3) / (a.std((0, 1)) + 1e-3)), 0.67, 1.5)
    a = (a - a.mean((0, 1))) * gain + a.mean((0, 1)) + gap
    b = (b - b.mean((0, 1))) / gain + b.mean((0, 1)) - gap
    return _side(first, a.astype(np.float32)), _side(last, b.astype(np.float32))


def _side(rgb: NDArray[np.uint8], lab: Field) -> Side:
    lightness = np.ascontiguousarray(lab[..., 0])
    mean = box(lightness, RADIUS)
    return Side(
        rgb, lab, lightness, mean, box(lightness * lightness, RADIUS) - mean * mean, links(lab)
    )


def propose(a: Side, b: Side, *, far: bool = False) -> tuple[list[Field], list[Field]]:
    """Return candidate flows [h, w, 2] in pixels, a to b and b to a; the first two start from no
    motion and from the camera's.

    far: also from what landmarks say, which takes half as long again
    """
    h, w = a.size
    ahead, back, mutual_a, mutual_b = search(a, b)
    cell = np.array([w / ahead.shape[1], h / ahead.shape[0]], np.float32)
    gray = [np.clip(s.lightness * 255, 0, 255).astype(np.uint8) for s in (a, b)]
    still = np.zeros((h, w, 2), np.float32)
    starts = [(still, still)]
    starts.append(
        (
            _enlarged(camera(ahead, mutual_a, 2)[0] * cell, w, h),
            _enlarged(camera(back, mutual_b, 2)[0] * cell, w, h),
        )
    )
    for shift in _dominant(np.concatenate([ahead[mutual_a], -back[mutual_b]]), mutual_a.size):
        starts.append((still + shift * cell, still - shift * cell))
    calm = float(np.max(cell))
    starts.append(
        (
            gauss(_enlarged(median(ahead) * cell, w, h), calm),
            gauss(_enlarged(median(back) * cell, w, h), calm),
        )
    )
    rigid = [
        (_affine(motion, h, w), _affine(cv2.invertAffineTransform(motion), h, w))
        for motion in (bodies(gray[0], gray[1]) if far else [])
    ]
    starts += rigid
    return (
        [*(_dis(gray[0], gray[1], start) for start, _ in starts), *(ahead for ahead, _ in rigid)],
        [*(_dis(gray[1], gray[0], start) for _, start in starts), *(back for _, back in rigid)],
    )


def bodies(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> list[NDArray[np.floating[Any]]]:
    """Find similarities [2, 3] from grey picture a to b that groups of landmarks share, the largest
    group first.
    """
    sift = cv2.SIFT.create(LANDMARKS, contrastThreshold=0.01)
    (points_a, marks_a), (points_b, marks_b) = (sift.detectAndCompute(x, None) for x in (a, b))
    if min(len(points_a), len(points_b)) < SHARED:
        return []
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(marks_a, marks_b, k=2)
    sure = [first for first, second in pairs if first.distance < DISTINCT * second.distance]
    origins = np.array([points_a[match.queryIdx].pt for match in sure], np.float32)
    there = np.array([points_b[match.trainIdx].pt for match in sure], np.float32)
    motions: list[NDArray[np.floating[Any]]] = []
    while len(origins) >= SHARED and len(motions) < BODIES:
        motion, inside = cv2.estimateAffinePartial2D(
            origins, there, method=cv2.RANSAC, ransacReprojThreshold=WITHIN, maxIters=3000
        )
        if motion is None or inside.sum() < SHARED:
            break
        if 1 / ZOOM < np.hypot(motion[0, 0], motion[1, 0]) < ZOOM:
            motions.append(np.asarray(motion, float))
        left = inside.ravel() == 0
        origins, there = origins[left], there[left]
    return motions


def _affine(motion: NDArray[Any], height: int, width: int) -> Field:
    """Return the flow [h, w, 2] of an affine motion [2, 3]."""
    where = grid(height, width)
    return np.asarray(where @ motion[:, :2].T + motion[:, 2] - where, np.float32)


def _enlarged(x: Field, width: int, height: int) -> Field:
    return np.asarray(cv2.resize(x, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _dis(a: NDArray[np.uint8], b: NDArray[np.uint8], start: Field) -> Field:
    """Compute DIS flow from a to b around `start`: a(x) = b(x + r + start(x + r)), r DIS's."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(1)
    rest = dis.calc(a, warp(b, start), np.zeros_like(start))
    return np.asarray(rest + warp(start, np.asarray(rest)), np.float32)


def search(a: Side, b: Side) -> tuple[Field, Field, NDArray[np.bool_], NDArray[np.bool_]]:
    """Find every cell's best displacement, in cells, both ways, and where the ways agree."""
    scale = min(LONG_SIDE, max(FEWEST, max(a.size) // CELL)) / max(a.size)
    w, h = (max(8, round(n * scale)) for n in (a.size[1], a.size[0]))
    ry, rx = int(h * REACH), int(w * REACH)
    fa, fb = _descriptor(a, w, h), _descriptor(b, w, h)
    padded = np.pad(fb, ((0, 0), (ry, ry), (rx, rx)), constant_values=9)
    ahead, back = np.zeros((h, w, 2), np.float32), np.zeros((h, w, 2), np.float32)
    least_a, least_b = np.full((h, w), np.inf, np.float32), np.full((h, w), np.inf, np.float32)
    work = np.empty_like(fa)
    for dy, dx in product(range(-ry, ry + 1), range(-rx, rx + 1)):
        np.subtract(fa, padded[:, ry + dy : ry + dy + h, rx + dx : rx + dx + w], out=work)
        np.minimum(np.abs(work, out=work), 0.5, out=work)
        cost = gauss(np.minimum(work.sum(0), 2), 1.5)
        cost += np.float32(0.004 * np.hypot(dx, dy))  # of equals the shortest
        better = cost < least_a
        least_a[better], ahead[better] = cost[better], (dx, dy)
        # the same costs, seen from b
        rows, columns = _overlap(dy, h), _overlap(dx, w)
        seen = cost[rows.start - dy : rows.stop - dy, columns.start - dx : columns.stop - dx]
        better = seen < least_b[rows, columns]
        least_b[rows, columns][better] = seen[better]
        back[rows, columns][better] = (-dx, -dy)

    def agrees(x: Field, y: Field) -> NDArray[np.bool_]:
        return np.asarray(np.square(x + warp(y, x, cv2.INTER_NEAREST)).sum(-1) <= 1.5**2)

    return ahead, back, agrees(ahead, back), agrees(back, ahead)


def _overlap(step: int, length: int) -> slice:
    return slice(max(0, step), min(length, length + step))


def _descriptor(side: Side, width: int, height: int) -> Field:
    """Describe each cell, [11, height, width]: its colour and eight directions of its gradients."""
    gray = cv2.cvtColor(side.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    gx, gy = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    steep = np.sqrt(gx * gx + gy * gy) + np.float32(1e-3)
    bins = np.empty((8, height, width), np.float32)
    for k, angle in enumerate(np.arange(8) * np.pi / 4):
        along = gx * np.float32(np.cos(angle)) + gy * np.float32(np.sin(angle))
        bins[k] = resize(np.square(np.maximum(along, 0)) / steep, width, height)
    energy = gauss(np.sqrt(np.square(bins).sum(0)), 2)
    colour = resize(side.lab, width, height) * np.array([1.4, 2, 2], np.float32)
    return np.concatenate([np.moveaxis(colour, -1, 0), bins / (energy + np.float32(0.03)) / 2])


def _dominant(shifts: Field, cells: int) -> list[Field]:
    """Return the peaks of the histogram of displacements, highest first."""
    if len(shifts) < 8:
        return []
    whole = np.round(shifts).astype(int)
    origin = whole.min(0) - 2
    votes = np.zeros(whole.max(0) - origin + 3, np.float32)
    np.add.at(votes, tuple((whole - origin).T), 1)
    votes = cv2.GaussianBlur(votes, (0, 0), 0.8, borderType=cv2.BORDER_CONSTANT)
    peaks = []
    for _ in range(SHIFTS):
        peak = np.array(np.unravel_index(np.argmax(votes), votes.shape))
        if votes[tuple(peak)] < 0.002 * cells:
            break
        peaks.append((origin + peak).astype(np.float32))
        x, y = np.maximum(peak - 1, 0)
        votes[x : peak[0] + 2, y : peak[1] + 2] = 0
    return peaks


def camera(flow: Field, trust: NDArray[np.generic], tolerance: float) -> tuple[Field, float]:
    """Fit the affine motion [h, w, 2] that most of a trusted field follows, in `tolerance` pixels.

    Also returns the share of the picture that follows it. No motion and 0 if nothing is trusted.
    """
    h, w = flow.shape[:2]
    weight, target = trust.reshape(-1).astype(float), flow.reshape(-1, 2).astype(float)
    if weight.sum() < 12:
        return np.zeros_like(flow), 0.0
    where = (grid(h, w).reshape(-1, 2) - (w / 2, h / 2)) / max(h, w)
    basis = np.concatenate([where, np.ones((h * w, 1))], axis=1)
    model = np.zeros((3, 2))
    model[2] = np.median(target[weight > 0], axis=0)
    reach = 8 * tolerance
    for _ in range(15):  # iteratively reweighted least squares with Geman and McClure's weights
        error = np.square(basis @ model - target).sum(1)
        weighted = basis * (weight / np.square(1 + error / reach**2))[:, None]
        normal = np.einsum("ni,nj->ij", weighted, basis)
        normal += np.diag([1e-3, 1e-3, 0]) * normal[2, 2]
        model = np.linalg.solve(normal, np.einsum("ni,nj->ij", weighted, target))
        reach = max(tolerance, reach * 0.8)
    follows = np.square(basis @ model - target).sum(1) < (2 * tolerance) ** 2
    return np.float32(basis @ model).reshape(h, w, 2), float((weight * follows).mean())
