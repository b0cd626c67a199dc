"""Rendered clips whose in-between frames are known: textured layers that move, hide each other and
change.

A layer is a texture with an outline and a motion. Where pixel p of the frame at time t comes from
in the layer is

    u = H(t) (p + a(t) D(p))

with H a homography (place, turn, zoom, perspective) and D a smooth field that bends. All of it runs
evenly along tau = t - 1/2 (two pictures do not tell another pace), so clips played backwards come
from the same distribution.
Lengths are in units of the frame's shorter side, the origin is the frame's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtg_cli.training.textures import HELD_OUT, TRAINING, Picture, Texture, power_noise

FAMILIES: dict[str, tuple[Texture, ...]] = {
    **{name: (texture,) for name, texture in (TRAINING | HELD_OUT).items()},
    "mixed": tuple(TRAINING.values()),
    "held-out": tuple(HELD_OUT.values()),
}
"""Textures of a clip's layers: one texture, or for each layer one of several."""
HELD_OUT_SEEDS = 2**48
"""First seed that belongs to benchmarks; training draws below."""
KINDS = {"motion": 0.86, "dissolve": 0.07, "morph": 0.07}
_EXTENT = 1.8  # side of a background's texture; the frame's is 1, the rest is room to move in


@dataclass(frozen=True)
class Motion:
    """Place, turn, zoom, perspective and bend, each at the clip's middle and its change over it.

    place: [2, 2]

    turn (radians), zoom (natural logarithm), bend (share of `field`): [2]
    tilt: [2, 2] perspective of both axes
    field: [h, w, 2] over the frame
    """

    place: NDArray[np.float64]
    turn: NDArray[np.float64]
    zoom: NDArray[np.float64]
    tilt: NDArray[np.float64]
    bend: NDArray[np.float64]
    field: Picture

    def homography(self, tau: float) -> NDArray[np.float64]:
        """Return the 3 x 3 homography from frame to layer."""
        at = np.array([1.0, tau])
        x, y = at @ self.place
        turn, scale = at @ self.turn, np.exp(-(at @ self.zoom))
        gx, gy = at @ self.tilt
        c, s = np.cos(turn) * scale, np.sin(turn) * scale
        back = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
        forth = np.array([[c, s, 0], [-s, c, 0], [gx, gy, 1]])
        return np.asarray(forth @ back)

    def source(self, grid: Picture, tau: float) -> Picture:
        """Return where each pixel of the frame [h, w, 2] comes from in the layer, [h, w, 2]."""
        bent = grid + np.float32(self.bend @ [1.0, tau]) * self.field
        h = np.float32(self.homography(tau))
        u = bent @ h[:2, :2].T + h[:2, 2]
        depth = bent @ h[2, :2] + h[2, 2]
        return _real(u / np.maximum(depth, 0.2)[..., None])


@dataclass(frozen=True)
class Layer:
    """A picture that moves.

    picture, outline: [n, n, 3] and [n, n] (> 0 inside, in pixels of it; None: endless) over
        `extent`
    later: what both turn into over the clip, if anything
    """

    picture: Picture
    outline: Picture | None
    extent: float
    motion: Motion
    later: tuple[Picture, Picture | None] | None = None

    def over(self, below: Picture, grid: Picture, tau: float) -> Picture:
        """Lay this layer, at a time, over what is below it."""
        n = len(self.picture)
        at = self.motion.source(grid, tau) * np.float32(n / self.extent) + np.float32((n - 1) / 2)
        picture, outline = self._looks(tau + 0.5)
        if outline is None:
            return _sampled(picture, at, cv2.BORDER_REFLECT_101)
        alpha = np.clip(outline + 0.5, 0, 1)[..., None]
        cut = _sampled(np.concatenate([picture * alpha, alpha], -1), at, cv2.BORDER_CONSTANT)
        return _real(cut[..., :3] + (1 - cut[..., 3:]) * below)

    def _looks(self, done: float) -> tuple[Picture, Picture | None]:
        if self.later is None:
            return self.picture, self.outline
        w, (picture, outline) = np.float32(done), self.later
        mixed = self.picture + w * (picture - self.picture)
        if self.outline is None or outline is None:
            return mixed, self.outline
        return mixed, self.outline + w * (outline - self.outline)


@dataclass(frozen=True)
class Scene:
    """Layers from back to front under a light that changes.

    light: [2, 3] brightness, and its slope along x and y, in the middle and its change
    """

    layers: tuple[Layer, ...]
    light: NDArray[np.float64]

    def frame(self, grid: Picture, tau: float) -> Picture:
        """Render a frame [h, w, 3], about [0, 1]."""
        picture = np.zeros((*grid.shape[:2], 3), np.float32)
        for layer in self.layers:
            picture = layer.over(picture, grid, tau)
        level, x, y = np.float32(np.array([1.0, tau]) @ self.light)
        return _real(picture * (level + x * grid[..., :1] + y * grid[..., 1:]))


def _real(values: ArrayLike) -> Picture:
    return np.asarray(values, np.float32)


def _sampled(picture: Picture, at: Picture, border: int) -> Picture:
    return _real(cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=border))


def frame_grid(size: tuple[int, int]) -> Picture:
    """Return the places of the pixels' centres of a frame (height, width): [h, w, 2], x first."""
    h, w = size
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    return _real(np.stack([x - (w - 1) / 2, y - (h - 1) / 2], -1) / min(size))


def render_clip(
    seed: int, frames: int, size: tuple[int, int], family: str = "mixed"
) -> NDArray[np.uint8]:
    """Render one clip [frames, height, width, 3]; the same seed gives the same clip at any length.

    Raises ValueError for an unknown family.
    """
    if family not in FAMILIES:
        raise ValueError(f"{family} is no family of scenes; there are {', '.join(FAMILIES)}")
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    scene = random_scene(rng, size, FAMILIES[family], morph=kind == "morph")
    other = random_scene(rng, size, FAMILIES[family]) if kind == "dissolve" else None
    grid = frame_grid(size)
    clip = np.empty((frames, *size, 3), np.uint8)
    for i, t in enumerate(np.linspace(0, 1, frames)):
        tau = float(t) - 0.5
        picture = scene.frame(grid, tau)
        if other is not None:
            picture = picture + np.float32(tau + 0.5) * (other.frame(grid, tau) - picture)
        clip[i] = np.clip(picture * 255 + 0.5, 0, 255)
    return clip


def random_scene(
    rng: np.random.Generator,
    size: tuple[int, int],
    textures: tuple[Texture, ...],
    morph: bool = False,
) -> Scene:
    """Draw a background and up to five things before it; the nearer move more."""
    side = min(size)
    camera = _motion(rng, size, reach=0.0, pace=float(rng.gamma(1.5, 0.6)))
    aspect = max(size) / side
    layers = [_layer(rng, side, textures, camera, _EXTENT * aspect, False, morph)]
    for depth in np.sort(rng.uniform(0.2, 1.0, int(rng.integers(0, 6)))):
        own = _motion(rng, size, reach=0.35, pace=float(rng.gamma(1.5, 0.8)))
        moved = _joined(own, camera, 0.6 + float(depth))
        extent = float(rng.uniform(0.25, 0.5) + 0.5 * depth * rng.uniform())
        layers.append(_layer(rng, side, textures, moved, extent, True, morph))
    light = np.array([[1, 0, 0], [0, 0, 0]], float)
    if rng.uniform() < 0.35:
        light += rng.normal(0, [0.08, 0.15, 0.15], (2, 3))
    return Scene(tuple(layers), light)


def _motion(rng: np.random.Generator, size: tuple[int, int], reach: float, pace: float) -> Motion:
    """Draw a motion. reach: how far from the centre; pace: how much happens, 1 as a rule."""
    room = np.array(size[::-1]) / min(size)
    bends = rng.uniform() < 0.4
    field = power_noise(rng, 24, 2.0, 2) if bends else np.zeros((24, 24, 2), np.float32)
    field = _real(cv2.resize(field, size[::-1], interpolation=cv2.INTER_CUBIC))
    flat = rng.uniform() < 0.5
    return Motion(
        place=np.stack([rng.uniform(-reach, reach, 2) * room, rng.normal(0, 0.1 * pace, 2)]),
        turn=rng.normal(0, [0.4 if reach else 0.15, 0.15 * pace]),
        zoom=rng.normal(0, [0.15, 0.12 * pace]),
        tilt=np.zeros((2, 2)) if flat else rng.normal(0, [[0.15] * 2, [0.12 * pace] * 2]),
        bend=rng.normal(0, [0.01, 0.02 * pace]),
        field=field,
    )


def _joined(own: Motion, camera: Motion, nearness: float) -> Motion:
    """Return a thing's own motion seen by a moving camera; the near moves more."""
    return Motion(
        place=own.place + nearness * camera.place,
        turn=own.turn + camera.turn,
        zoom=own.zoom + nearness * camera.zoom,
        tilt=own.tilt,
        bend=own.bend,
        field=own.field,
    )


def _layer(
    rng: np.random.Generator,
    side: int,
    textures: tuple[Texture, ...],
    motion: Motion,
    extent: float,
    outlined: bool,
    morph: bool,
) -> Layer:
    n = max(24, round(extent * side))

    def look() -> tuple[Picture, Picture | None]:
        picture = textures[int(rng.integers(len(textures)))](rng, n)
        if outlined and rng.uniform() < 0.6:  # things stand out from what is behind them
            picture = _real(np.clip(picture * rng.uniform(0.5, 1.4), 0, 1))
        return picture, _outline(rng, n) if outlined else None

    picture, outline = look()
    return Layer(picture, outline, extent, motion, look() if morph else None)


def _outline(rng: np.random.Generator, n: int) -> Picture:
    """Return the signed distance in pixels to a blob, a polygon or a ring; positive inside."""
    mask = np.zeros((n, n), np.uint8)
    kind = rng.choice(["blob", "polygon", "ring"], p=[0.55, 0.35, 0.1])
    corners = 48 if kind == "blob" else int(rng.integers(3, 8))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners)) if kind == "polygon" else None
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) if angle is None else angle
    waves = np.arange(1, 6)
    swing = rng.normal(0, 0.35 / waves) * (kind == "blob")
    radius = np.exp((swing * np.cos(angle[:, None] * waves + rng.uniform(0, 7, 5))).sum(-1))
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.5, 1)], -1)
    points *= 0.46 * n / np.abs(points).max()
    outer = np.int32((points + n / 2) * 16)
    cv2.fillPoly(mask, [outer], 1, cv2.LINE_8, 4)
    if kind == "ring":
        cv2.fillPoly(mask, [np.int32((points * rng.uniform(0.4, 0.7) + n / 2) * 16)], 0, 8, 4)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    return _real(inside - cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5))
