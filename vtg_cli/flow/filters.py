"""Filters of fields: lookup along a flow, averages that respect a picture's edges.

Two of them carry the engine `flow`. The guided filter (He et al. 2010) averages over a window, but
within the edges of a guide. The spreading is the fast global smoother (Min et al. 2014): it solves

    y + strength L y = x

along rows and columns in turn, L the Laplacian of the picture with weights exp(-|step| / EDGE), so
values travel far through even areas and halt at edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Links = tuple[Field, Field]

EDGE = 0.025  # step in a hundredth of Lab that halts the spreading, roughly


def resize(x: NDArray[Any], width: int, height: int) -> Any:
    """Resize by area average downwards, bilinear otherwise; `x` itself if the size fits."""
    h, w = x.shape[:2]
    if (w, h) == (width, height):
        return x
    shrinks = width <= w and height <= h
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(x, (width, height), interpolation=how)


def grid(height: int, width: int) -> Field:
    """Return [height, width, 2]: every pixel's own (x, y)."""
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.stack(np.meshgrid(x, y), axis=-1)


def warp(x: NDArray[Any], flow: NDArray[Any], how: int = cv2.INTER_LINEAR) -> Any:
    """Look x up at p + flow(p), in the channels x has; outside, the picture's rim continues."""
    where = grid(*flow.shape[:2]) + flow
    seen = cv2.remap(x, where[..., 0], where[..., 1], how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen).reshape(*flow.shape[:2], *x.shape[2:])


def outside(flow: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where the flow points out of the picture."""
    h, w = flow.shape[:2]
    x, y = np.moveaxis(grid(h, w) + flow, -1, 0)
    return np.asarray((x < -1) | (x > w) | (y < -1) | (y > h))


def ramp(x: Any, low: float, high: float) -> Any:
    """Return a smooth step: 0 below `low`, 1 above `high`."""
    x = np.clip((x - low) / (high - low), 0, 1)
    return np.float32(x * x * (3 - 2 * x))


def box(x: NDArray[Any], radius: int) -> Any:
    """Average over a square window."""
    side = 2 * radius + 1
    return cv2.boxFilter(x, -1, (side, side), borderType=cv2.BORDER_REFLECT)


def gauss(x: NDArray[Any], sigma: float) -> Any:
    return cv2.GaussianBlur(x, (0, 0), sigma)


def median(x: NDArray[Any]) -> Field:
    """Apply a 5 x 5 median to each channel separately."""
    parts = [cv2.medianBlur(np.ascontiguousarray(x[..., k]), 5) for k in range(x.shape[-1])]
    return np.asarray(np.dstack(parts), np.float32)


def guided(guide: Field, radius: int) -> Callable[[Field], Field]:
    """Return the filter guided by `guide`, [h, w] in [0, 1]."""
    mean = box(guide, radius)
    spread = box(guide * guide, radius) - mean * mean + np.float32(1e-3)

    def smooth(x: Field) -> Field:
        average = box(x, radius)
        slope = (box(guide * x, radius) - mean * average) / spread
        return np.asarray(box(slope, radius) * guide + box(average - slope * mean, radius))

    return smooth


def links(lab: Field) -> Links:
    """Return how strongly pixels hang together, down [h - 1, w] and to the right [h, w - 1]."""
    down, right = (np.exp(-np.abs(np.diff(lab, axis=k)).max(-1) / EDGE) for k in (0, 1))
    return down, right


def spread(x: Field, along: Links, strength: float) -> Field:
    """Smooth [h, w, D], preserving edges."""
    down, right = along
    for k in (2, 1, 0):  # rows and columns in turn; strengths that shrink leave no streaks
        part = np.float32(1.5 * 4**k / 63 * strength)
        x = _columns(x, down * part)
        x = _columns(x.swapaxes(0, 1), right.T * part).swapaxes(0, 1)
    return x


def _columns(x: Field, link: Field) -> Field:
    """Solve (1 + L) y = x along axis 0, L the Laplacian of weights `link`: Thomas' algorithm."""
    x, link = np.ascontiguousarray(x), np.ascontiguousarray(link)
    total = np.ones(x.shape[:2], np.float32)
    total[:-1] += link
    total[1:] += link
    y, ratio = np.empty_like(x), np.empty_like(link)
    pivot = total[0]
    y[0] = x[0] / pivot[:, None]
    for i in range(1, len(x)):
        ratio[i - 1] = link[i - 1] / pivot
        pivot = total[i] - link[i - 1] * ratio[i - 1]
        y[i] = (x[i] + link[i - 1, :, None] * y[i - 1]) / pivot[:, None]
    for i in range(len(x) - 2, -1, -1):
        y[i] += ratio[i, :, None] * y[i + 1]
    return y
