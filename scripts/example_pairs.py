"""Keyframe pairs of things that turn into another: an apple and a pear on one table (a morph), and
a lighthouse by day and a rocket at dusk (two ideas, one silhouette).

Painted as make_examples.py paints, which also saves them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Picture = NDArray[Any]
"""float32 [H, W, 3] in [0, 1], or one channel of it."""

HEIGHT, WIDTH = 360, 640
SUPER = 3
H, W = HEIGHT * SUPER, WIDTH * SUPER
LIGHT = np.array([-0.45, -0.55, 0.7])
"""Where it comes from: right, down, towards us."""


def colour(*values: int) -> Picture:
    return np.array(values, np.float32) / 255


def noise(seed: int, cell: tuple[int, int], octaves: int = 5) -> Picture:
    """[H, W] in [0, 1]; cell: rows and columns of the coarsest grid's cells, in finished pixels."""
    random, total = np.random.default_rng(seed), np.zeros((H, W), np.float32)
    for octave in range(octaves):
        rows = max(2, HEIGHT * 2**octave // cell[0])
        columns = max(2, WIDTH * 2**octave // cell[1])
        grid = random.random((rows, columns), np.float32)
        total += cv2.resize(grid, (W, H), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) / (high - low), 0, 1), np.float32)


def upright(*stops: tuple[float, Picture]) -> Picture:
    """A gradient from top to bottom, [H, W, 3]."""
    places, colours = zip(*stops, strict=True)
    at = np.linspace(0, 1, H)
    column = np.stack([np.interp(at, places, [c[i] for c in colours]) for i in range(3)], -1)
    return np.repeat(np.asarray(column, np.float32)[:, None], W, axis=1)


def shape(draw: Callable[[ImageDraw.ImageDraw], None]) -> Picture:
    """[H, W], 1 inside of what is drawn in full pixels."""
    image = Image.new("L", (W, H))
    draw(ImageDraw.Draw(image))
    return np.asarray(image, np.float32) / 255


def polygon(points: list[tuple[float, float]]) -> Picture:
    """Points x, y in finished pixels."""
    return shape(lambda d: d.polygon([(x * SUPER, y * SUPER) for x, y in points], fill=255))


def turned(profile: list[tuple[float, float]], middle: float, n: int = 160) -> Picture:
    """A body as from a lathe: smooth through (y, half width), in finished pixels."""
    y, half = (np.array(v) for v in zip(*profile, strict=True))
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(y), np.diff(half)))])
    at = np.linspace(0, along[-1], n)
    curve = np.stack([np.interp(at, along, v) for v in (half, y)], -1)
    for _ in range(160):  # rounded corners
        curve[1:-1] = (curve[:-2] + 2 * curve[1:-1] + curve[2:]) / 4
    right = [(middle + x, y) for x, y in curve]
    return polygon([*right, *[(2 * middle - x, y) for x, y in reversed(right)]])


def solid(picture: Picture, mask: Picture, paint: Picture, gloss: float, round_: float) -> Picture:
    """A lit body over the picture. paint: its colour, [3] or [H, W, 3]; round_: pixels over which
    its surface turns away at the rim.
    """
    inside = cv2.distanceTransform(np.uint8(mask > 0.5), cv2.DIST_L2, 5)
    rise = np.clip(inside / (round_ * SUPER), 0, 1)
    height = cv2.GaussianBlur(np.sqrt(1 - (1 - rise) ** 2), (0, 0), 2.5 * SUPER) * round_ * SUPER
    down, right = np.gradient(height)
    normal = np.stack([-right, -down, np.ones_like(height)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = LIGHT / np.linalg.norm(LIGHT)
    facing = np.clip(normal @ light, 0, 1)[..., None]
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    shine = gloss * np.clip(normal @ half, 0, 1)[..., None] ** 40
    lit = paint * (0.32 + 0.85 * facing) + shine
    return laid(picture, mask, np.asarray(lit, np.float32))


def laid(picture: Picture, mask: Picture, paint: Picture, share: float = 1) -> Picture:
    weight = share * mask[..., None]
    return np.asarray(picture * (1 - weight) + paint * weight, np.float32)


def soft(mask: Picture, pixels: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), pixels * SUPER), np.float32)


def ellipse(x: float, y: float, across: float, down: float) -> Picture:
    box = [(x - across) * SUPER, (y - down) * SUPER, (x + across) * SUPER, (y + down) * SUPER]
    return shape(lambda d: d.ellipse(box, fill=255))


def table() -> Picture:
    """A wooden table before a wall."""
    wall = upright((0, colour(120, 142, 150)), (0.7, colour(178, 186, 180)), (1, colour(0, 0, 0)))
    wall *= (0.94 + 0.08 * noise(3, (60, 60)))[..., None]
    grain = noise(4, (14, 420), 6)[..., None]
    wood = colour(118, 72, 40) * (1 - grain) + colour(190, 132, 78) * grain
    for board in (292, 330):  # joints
        wood[board * SUPER : board * SUPER + 4] *= 0.55
    picture = wall
    edge = 258 * SUPER
    picture[edge:] = wood[edge:] * np.linspace(0.72, 1.08, H - edge)[:, None, None]
    return picture


def fruit(
    profile: list[tuple[float, float]], paint: Picture, stem: list[tuple[float, float]]
) -> Any:
    middle = 320.0
    body = turned(profile, middle)
    picture = table()
    shadow = soft(ellipse(middle + 34, 308, 108, 16), 9)
    picture = picture * (1 - 0.6 * shadow[..., None])
    stalk = soft(polygon(stem), 0.4)
    picture = solid(picture, stalk, colour(92, 62, 34), 0.05, 4)
    picture = solid(picture, soft(body, 0.4), paint, 0.5, 62)
    leaf = polygon(
        [
            (
                middle + 6 + 62 * t,
                stem[0][1] + 16 - 22 * np.sin(np.pi * t * 0.5) + side * 13 * np.sin(np.pi * t),
            )
            for side, ts in ((1, np.linspace(0, 1, 24)), (-1, np.linspace(1, 0, 24)))
            for t in ts
        ]
    )
    picture = solid(picture, soft(leaf, 0.4), colour(70, 132, 52), 0.1, 8)
    return finish(picture)


def apple() -> Any:
    streaks = noise(11, (200, 9), 4)[..., None]
    blush = np.clip(noise(12, (110, 140), 3)[..., None] * 1.3 - 0.2, 0, 1)
    paint = colour(196, 34, 38) * (0.85 + 0.3 * streaks) * blush
    paint = paint + (colour(206, 74, 44) * (0.9 + 0.2 * streaks)) * (1 - blush)
    profile = [
        (158, 0),
        (150, 24),
        (148, 52),
        (166, 88),
        (206, 104),
        (250, 92),
        (290, 62),
        (307, 30),
        (302, 0),
    ]
    stem = [(318, 116), (326, 114), (324, 168), (316, 168)]
    return fruit(profile, paint, stem)


def pear() -> Any:
    freckles = (noise(13, (5, 5), 2) > 0.82)[..., None]
    blush = np.clip(noise(14, (150, 160), 2)[..., None] * 1.2 - 0.35, 0, 1)
    paint = colour(170, 182, 62) * (1 - blush) + colour(206, 160, 66) * blush
    paint = np.where(freckles, paint * 0.86, paint)
    profile = [
        (84, 0),
        (84, 20),
        (104, 38),
        (146, 46),
        (190, 70),
        (236, 92),
        (278, 78),
        (304, 40),
        (307, 0),
    ]
    stem = [(322, 48), (330, 46), (325, 92), (317, 92)]
    return fruit(profile, paint, stem)


def lighthouse() -> Any:
    """By the sea at noon."""
    picture = upright(
        (0, colour(66, 132, 196)), (0.6, colour(180, 212, 230)), (1, colour(200, 222, 230))
    )
    clouds = (
        np.clip((noise(21, (70, 190)) - 0.5) * 2.4, 0, 1) * np.linspace(1, 0.5, H)[:, None] ** 2
    )
    picture = laid(picture, np.asarray(clouds, np.float32), colour(252, 252, 250), 0.9)
    sea = 236 * SUPER
    waves = noise(22, (5, 60), 4)[sea:, :, None]
    depth = np.linspace(0, 1, H - sea)[:, None, None]
    picture[sea:] = (colour(74, 138, 168) * (1 - depth) + colour(24, 74, 112) * depth) * (
        0.8 + 0.4 * waves
    )
    line = noise(23, (60, 40), 4)[0]
    xs = np.arange(0, WIDTH + 1, 4)
    crest = 262 + 60 * ((xs - 320) / 320) ** 2 + 16 * (line[np.minimum(xs * SUPER, W - 1)] - 0.5)
    cliff = polygon([(0, 360), *zip(xs.tolist(), crest.tolist(), strict=True), (640, 360)])
    rock = noise(24, (26, 18), 5)[..., None]
    picture = solid(picture, cliff, colour(92, 104, 60) * (0.6 + 0.6 * rock), 0, 24)
    tower = polygon([(294, 96), (346, 96), (362, 270), (278, 270)])
    stripes = (np.arange(H) // (29 * SUPER) % 2)[:, None, None] * np.ones((1, W, 1), np.float32)
    paint = colour(236, 236, 230) * (1 - stripes) + colour(196, 44, 40) * stripes
    picture = solid(picture, soft(tower, 0.4), paint, 0, 34)
    picture = solid(
        picture, polygon([(284, 90), (356, 90), (356, 98), (284, 98)]), colour(60, 62, 70), 0.1, 4
    )
    picture = solid(
        picture,
        polygon([(300, 58), (340, 58), (340, 90), (300, 90)]),
        colour(250, 226, 130),
        0.2,
        20,
    )
    for x in (309, 320, 331):
        picture = laid(
            picture,
            polygon([(x - 1, 58), (x + 1, 58), (x + 1, 90), (x - 1, 90)]),
            colour(60, 62, 70),
        )
    picture = solid(
        picture, polygon([(294, 58), (346, 58), (320, 30)]), colour(176, 40, 38), 0.1, 18
    )
    for x, y in ((320, 134), (320, 192)):
        picture = laid(
            picture,
            polygon([(x - 6, y), (x + 6, y), (x + 6, y + 20), (x - 6, y + 20)]),
            colour(48, 56, 66),
        )
    return finish(picture)


def rocket() -> Any:
    """On its pad at dusk."""
    picture = upright(
        (0, colour(26, 26, 66)),
        (0.45, colour(110, 66, 112)),
        (0.72, colour(236, 140, 92)),
        (1, colour(80, 52, 50)),
    )
    stars = np.random.default_rng(31)
    for _ in range(90):
        x, y, size = stars.uniform(0, WIDTH), stars.uniform(0, 150), stars.uniform(0.5, 1.1)
        picture = laid(
            picture,
            ellipse(x, y, size, size),
            colour(250, 246, 236),
            float(stars.uniform(0.3, 0.9)),
        )
    ground = 276 * SUPER
    dust = noise(32, (10, 120), 4)[ground:, :, None]
    picture[ground:] = colour(82, 60, 62) * (0.6 + 0.6 * dust)
    for x in (214, 238):  # the gantry
        picture = laid(
            picture,
            polygon([(x - 2, 70), (x + 2, 70), (x + 2, 278), (x - 2, 278)]),
            colour(40, 34, 48),
        )
    for y in range(78, 276, 20):
        for a, b in (((214, y), (238, y + 20)), ((238, y), (214, y + 20))):
            bar = [(a[0], a[1] - 1), (b[0], b[1] - 1), (b[0], b[1] + 1), (a[0], a[1] + 1)]
            picture = laid(picture, polygon(bar), colour(40, 34, 48))
    for y in (120, 200):
        picture = laid(
            picture, polygon([(238, y), (296, y), (296, y + 5), (238, y + 5)]), colour(40, 34, 48)
        )
    for side in (-1, 1):  # fins
        fin = [
            (320 + side * 30, 206),
            (320 + side * 62, 262),
            (320 + side * 62, 280),
            (320 + side * 28, 264),
        ]
        picture = solid(picture, soft(polygon(fin), 0.4), colour(206, 70, 48), 0.1, 12)
    profile = [(26, 0), (44, 12), (78, 26), (130, 34), (200, 35), (262, 28), (266, 0)]
    bands = np.zeros((H, W, 1), np.float32)
    bands[: 80 * SUPER] = 1
    bands[232 * SUPER : 246 * SUPER] = 1
    paint = colour(232, 232, 238) * (1 - bands) + colour(206, 70, 48) * bands
    picture = solid(picture, soft(turned(profile, 320), 0.4), paint, 0.35, 36)
    picture = solid(picture, ellipse(320, 120, 14, 14), colour(70, 80, 96), 0.2, 6)
    picture = solid(picture, ellipse(320, 120, 10, 10), colour(110, 190, 220), 0.6, 10)
    picture = solid(
        picture,
        polygon([(302, 264), (338, 264), (346, 284), (294, 284)]),
        colour(62, 58, 66),
        0.1,
        8,
    )
    picture = solid(
        picture,
        polygon([(250, 282), (390, 282), (404, 298), (236, 298)]),
        colour(112, 104, 108),
        0,
        6,
    )
    return finish(picture)


def finish(picture: Picture) -> Any:
    small = cv2.resize(np.clip(picture, 0, 1), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(small * 255), np.uint8)


PAIRS = {"fruit_a": apple, "fruit_b": pear, "tower_a": lighthouse, "tower_b": rocket}
