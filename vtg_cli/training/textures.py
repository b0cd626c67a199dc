"""Procedural textures: what the layers of a rendered scene are made of.

Every texture is a function (rng, n) -> float32 [n, n, 3] in [0, 1]. Training families and held-out
families share no generator, so a benchmark on the latter shows nothing the network has seen.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Picture = NDArray[np.float32]
Texture = Callable[[np.random.Generator, int], Picture]


def _real(values: ArrayLike) -> Picture:
    return np.asarray(values, np.float32)


def power_noise(rng: np.random.Generator, n: int, beta: float, channels: int = 1) -> Picture:
    """Draw noise of amplitude spectrum 1/f^beta, zero mean, unit deviation: [n, n, channels]."""
    f = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None])
    f[0, 0] = np.inf
    shape = (channels, n, n // 2 + 1)
    spectrum = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * f**-beta
    field = np.fft.irfft2(spectrum, (n, n))
    return _real(np.moveaxis(field / field.std((1, 2), keepdims=True), 0, -1))


def palette(rng: np.random.Generator, colours: int) -> Picture:
    """Draw colours [colours, 3] that go together: hues near one or two bases, few saturated."""
    base = rng.uniform(0, 360) + rng.choice([0.0, 150.0, 180.0], colours, p=[0.7, 0.15, 0.15])
    hue = (base + rng.normal(0, 25, colours)) % 360
    saturation = rng.beta(1.6, 2.4, colours)
    value = np.clip(rng.permutation(np.linspace(0.1, 0.95, colours)) + rng.normal(0, 0.08), 0, 1)
    hsv = np.stack([hue, saturation, value], -1).astype(np.float32)
    return _real(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0])


def coloured(rng: np.random.Generator, field: Picture, colours: int = 5) -> Picture:
    """Look a scalar field [n, n] up in a palette; its values are spread evenly over it."""
    stops = palette(rng, colours)
    low, high = np.percentile(field, (1, 99))
    x = np.clip((field - low) / (high - low + 1e-6), 0, 1) * (colours - 1)
    i = np.minimum(x.astype(np.int32), colours - 2)
    w = (x - i)[..., None]
    return _real(stops[i] * (1 - w) + stops[i + 1] * w)


def grained(rng: np.random.Generator, picture: Picture, amount: float) -> Picture:
    """Add fine 1/f detail to a flat picture, as any real surface has."""
    grain = power_noise(rng, len(picture), 0.9) * np.float32(amount)
    return _real(np.clip(picture * (1 + grain), 0, 1))


def noise(rng: np.random.Generator, n: int) -> Picture:
    """Draw clouds, rock, foliage from afar: 1/f noise through a palette."""
    field = power_noise(rng, n, rng.uniform(0.9, 1.9))[..., 0]
    return coloured(rng, field, int(rng.integers(3, 7)))


def leaves(rng: np.random.Generator, n: int) -> Picture:
    """Draw dead leaves: occluding shapes with power-law sizes (Lee, Mumford & Huang 2001)."""
    colours = palette(rng, 8)
    picture = np.tile(colours[0], (n, n, 1))
    smallest, largest = 0.015 * n, 0.3 * n
    count = int(rng.integers(80, 220))
    u = rng.uniform(size=count)
    radii = np.sort(smallest / np.sqrt(1 - u * (1 - (smallest / largest) ** 2)))[::-1]
    shuffled = radii[np.argsort(np.arange(count) + rng.normal(0, count / 4, count))]
    kind = rng.integers(0, 3)
    for radius in shuffled:
        centre = rng.uniform(0, n, 2)
        shade = colours[rng.integers(len(colours))] * rng.uniform(0.75, 1.2)
        _blob(rng, picture, centre, radius, shade, int(kind))
    return grained(rng, _real(np.clip(picture, 0, 1)), rng.uniform(0.02, 0.12))


def _blob(
    rng: np.random.Generator,
    picture: Picture,
    centre: NDArray[np.float64],
    radius: float,
    colour: Picture,
    kind: int,
) -> None:
    """Draw a disc, a leaf or a box in place, anti-aliased."""
    shade = tuple(float(c) for c in colour)
    at = (round(centre[0] * 16), round(centre[1] * 16))
    angle = float(rng.uniform(0, 180))
    if kind == 0:
        cv2.circle(picture, at, round(radius * 16), shade, -1, cv2.LINE_AA, 4)
    elif kind == 1:
        axes = (round(radius * 16), round(radius * 16 * float(rng.uniform(0.25, 0.7))))
        cv2.ellipse(picture, at, axes, angle, 0, 360, shade, -1, cv2.LINE_AA, 4)
    else:
        sides = (float(radius * 2), float(radius * rng.uniform(0.5, 2)))
        box = cv2.boxPoints(((float(centre[0]), float(centre[1])), sides, angle))
        cv2.fillConvexPoly(picture, np.int32(box * 16), shade, cv2.LINE_AA, 4)


def gradients(rng: np.random.Generator, n: int) -> Picture:
    """Draw skies and walls: a smooth ramp with soft lights on it."""
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) / n
    angle = rng.uniform(0, 2 * np.pi)
    field = np.cos(angle) * x + np.sin(angle) * y
    for _ in range(rng.integers(0, 4)):
        cx, cy = rng.uniform(0, 1, 2)
        spread = rng.uniform(0.02, 0.15)
        field += rng.normal() * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / spread)
    return grained(rng, coloured(rng, _real(field), 4), rng.uniform(0.0, 0.08))


def shapes(rng: np.random.Generator, n: int) -> Picture:
    """Draw man-made things: flat blocks, stripes, checks and outlines."""
    colours = palette(rng, 6)
    picture = np.tile(colours[0], (n, n, 1))
    y, x = np.mgrid[0:n, 0:n].astype(np.float32)
    for colour in colours[1:]:
        angle, period = rng.uniform(0, np.pi), rng.uniform(0.06, 0.35) * n
        u = np.cos(angle) * x + np.sin(angle) * y
        v = -np.sin(angle) * x + np.cos(angle) * y
        stripes = np.clip(np.sin(2 * np.pi * u / period) * period / 3 + 0.5, 0, 1)
        if rng.uniform() < 0.4:
            checks = np.clip(np.sin(2 * np.pi * v / period) * period / 3 + 0.5, 0, 1)
            stripes = stripes + checks - 2 * stripes * checks
        mask = np.zeros((n, n), np.float32)
        centre, radius = rng.uniform(0, n, 2), rng.uniform(0.1, 0.4) * n
        _blob(rng, mask, centre, radius, np.ones(1, np.float32), int(rng.integers(0, 3)))
        weight = mask * (stripes if rng.uniform() < 0.6 else 1)
        picture += weight[..., None] * (colour - picture)
    return grained(rng, picture, rng.uniform(0.0, 0.06))


def lettering(rng: np.random.Generator, n: int) -> Picture:
    """Draw signs and pages: words in several sizes on a plain or cloudy ground."""
    ground = gradients(rng, n) if rng.uniform() < 0.5 else noise(rng, n)
    picture = np.ascontiguousarray((ground * 0.4 + rng.uniform(0, 0.6)) * 255).astype(np.uint8)
    letters = np.array(list(string.ascii_letters + string.digits))
    y = 0.0
    while y < n:
        scale = float(rng.uniform(0.3, 1.6)) * n / 150
        y += 30 * scale
        word = "".join(rng.choice(letters, rng.integers(3, 14)))
        colour = tuple(float(c) * 255 for c in palette(rng, 2)[0] * rng.choice([0.2, 1.0]))
        font = int(rng.choice([0, 2, 3, 4, 7]))
        weight = max(1, round(scale * 2 * float(rng.uniform(0.5, 2))))
        at = (int(rng.integers(-20, n // 2)), round(y))
        cv2.putText(picture, word, at, font, scale, colour, weight, cv2.LINE_AA)
    return _real(picture / np.float32(255))


def cells(rng: np.random.Generator, n: int) -> Picture:
    """Draw, held out, pebbles and cracked earth: a Voronoi diagram with dark seams."""
    points = rng.uniform(-0.1, 1.1, (int(rng.integers(25, 90)), 2)) * n
    y, x = np.mgrid[0:n, 0:n].astype(np.float32)
    far = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    nearest = np.argpartition(far, 1)[..., :2]
    pair = np.sqrt(np.take_along_axis(far, nearest, -1))
    seam = np.clip((pair.max(-1) - pair.min(-1)) / (0.03 * n), 0, 1)[..., None]
    owner = np.where(pair[..., :1] < pair[..., 1:], nearest[..., :1], nearest[..., 1:])[..., 0]
    colours = palette(rng, 6)[rng.integers(0, 6, len(points))]
    return grained(rng, _real(colours[owner] * (0.35 + 0.65 * seam)), 0.08)


def ripples(rng: np.random.Generator, n: int) -> Picture:
    """Draw, held out, water, wood and cloth: interfering waves bent by a slow field."""
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) / n
    bend = power_noise(rng, n, 2.2, 2) * np.float32(0.04)
    field = np.zeros((n, n), np.float32)
    for _ in range(rng.integers(2, 5)):
        angle, frequency = rng.uniform(0, np.pi), rng.uniform(4, 22)
        phase = np.cos(angle) * (x + bend[..., 0]) + np.sin(angle) * (y + bend[..., 1])
        field += np.float32(np.sin(2 * np.pi * frequency * phase) / np.sqrt(frequency))
    return grained(rng, coloured(rng, field, 5), 0.05)


TRAINING: dict[str, Texture] = {
    "noise": noise,
    "leaves": leaves,
    "gradients": gradients,
    "shapes": shapes,
    "lettering": lettering,
}
HELD_OUT: dict[str, Texture] = {"cells": cells, "ripples": ripples}
"""Textures for benchmarks alone."""
