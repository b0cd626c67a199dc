"""Splatting: two pictures carried along the motion between them to any time, each with its weight
there.

The motion of every pixel (correspondence.py) is splatted forward to the wanted time from both
keyframes, what lies in front over what lies behind (softmax splatting, Niklaus & Liu 2020, of
motion instead of colour: no holes to paint, and the keyframes are looked up once, sharply, at full
resolution). In front is what is trusted and what moves unlike the camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.flow.candidates import camera
from vtg_cli.flow.correspondence import Correspondence, correspond
from vtg_cli.flow.filters import Field, gauss, grid, median, outside, ramp, warp

Picture = NDArray[np.uint8]

IN_FRONT = 12.0  # softmax sharpness: full trust outweighs none by e^12
UNLIKE = (0.012, 0.03)  # share of the long side from which a motion is not the camera's, fully so
OBJECT = 0.5  # how much more in front that is than the camera's motion; full trust is 1 more
STAGE = (0.2, 0.5)  # share of the picture that moves as the camera, up to which none is known
UNSEEN = 0.2  # presence of what is seen in one keyframe only
BORDER = 0.05  # share of the long side over which unseen content fades at the picture's border
HOLE = (0.25, 0.65)  # splatted density: up to the first a hole, from the second full
RELATED = (0.1, 0.3)  # trusted share from which there are changeovers, fully from the second
AROUND = 0.1  # reach, of the long side, over which trust is averaged to find a replaced subject
HELD = (0.2, 0.26)  # the least such trust up to which there is one, from which there is none
EVEN = (0.2, 0.8)  # ln of the ratio of both presences up to which neither is the one to be seen
CHANGEOVER = 80.0  # logits per unit of time: 90 % of a changeover take 0.07 of the way
ASIDE = 0.04  # of the middle: no frame of an odd count falls into the changeover


@dataclass(frozen=True)
class Bend:
    """The deviation of tracks from the straight line between keyframes, on one's pixels [h, w].

    leaving, arriving: [h, w, 2] in working pixels, (x, y): velocity at this keyframe and at the
        other one, over the whole way, less the straight track's
    """

    leaving: Field
    arriving: Field

    def aside(self, share: float) -> Field:
        """Return the offset from the straight track at a share of the way, a cubic."""
        s, rest = np.float32(share), np.float32(1 - share)
        return np.asarray(s * rest * (rest * self.leaving - s * self.arriving))


@dataclass(frozen=True)
class Track:
    """The motion between two keyframes: straight tracks, and the bends from either, if any."""

    found: Correspondence
    ahead: Bend | None = None
    back: Bend | None = None

    def reversed(self) -> Track:
        return Track(self.found.reversed(), self.back, self.ahead)


@dataclass(frozen=True)
class Moved:
    """Where both keyframes are at one time t, at the size of the search [h, w] or any other.

    to_first, to_last: [h, w, 2], (x, y) in pixels of the keyframes, from a pixel at t to where each
        keyframe shows it
    part_ahead, part_back: [h, w], weights of the first and the last one, one of them zero at either
        end (`_parts`)
    presence: [h, w] in [0, 1], how surely the better of both shows what is there
    """

    to_first: Field
    to_last: Field
    part_ahead: Field
    part_back: Field
    presence: Field


@dataclass(frozen=True)
class Carried:
    """Both keyframes moved to one time t, and their weights there.

    ahead, back: the first and the last one, [H, W, C], 0 to 1, premultiplied with their alpha
    part_ahead, part_back: weights at the size of the search [h, w], one of them zero at either end
        (`_parts`)
    """

    ahead: Field
    back: Field
    part_ahead: Field
    part_back: Field


def carrier(
    first: Picture, last: Picture, *, far: bool = False, track: Track | None = None
) -> Callable[[float], Carried]:
    """Estimate the motion between two keyframes uint8 [H, W, C] once and return a function that
    carries both to any time in [0, 1].

    far: as in correspond
    track: the motion if it is known, and how it bends
    """
    moved = mover(first, last, far=far, track=track)
    a, b = premultiplied(first), premultiplied(last)

    def carried(t: float) -> Carried:
        where = moved(t)
        return Carried(
            fetched(a, where.to_first), fetched(b, where.to_last), where.part_ahead, where.part_back
        )

    return carried


def fetched(picture: Field, to: Field, interpolation: int = cv2.INTER_CUBIC) -> Field:
    """Return a picture [H, W, C] as seen from where `to` [h, w, 2] points."""
    height, width = picture.shape[:2]
    wide = cv2.resize(to, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(warp(picture, np.asarray(wide), interpolation))


def mover(
    first: Picture, last: Picture, *, far: bool = False, track: Track | None = None
) -> Callable[[float], Moved]:
    """Estimate the motion as `carrier` does and return where both keyframes are at any time."""
    height, width = first.shape[:2]
    motion = track.found if track else correspond(seen(first), seen(last), far=far)
    h, w = motion.trust_first.shape
    scale = np.array([width / w, height / h], np.float32)
    splat_a = _splatter(motion.forward, motion.trust_first, track.ahead if track else None)
    splat_b = _splatter(motion.backward, motion.trust_last, track.back if track else None)
    # amid much that corresponds, the rest is better off changing over fast than as a double image;
    # but a subject that another one takes the place of had better turn into it gradually
    swift = float(ramp(motion.share, *RELATED) * ramp(_held(motion), *HELD))
    # the keyframe that is found again the better is shown for longer
    middle = 0.5 + ASIDE * float(np.sign(motion.trust_first.mean() - motion.trust_last.mean()))

    def moved(t: float) -> Moved:
        motion_a, presence_a, aside_a = splat_a(t)
        motion_b, presence_b, aside_b = splat_b(1 - t)
        # each keyframe follows its own motion, unless the other knows much better
        part = (presence_a / (presence_a + presence_b))[..., None]
        own_a, own_b = np.clip(4 * part - 0.6, 0, 1), np.clip(3.4 - 4 * part, 0, 1)
        along_a = own_a * motion_a - (1 - own_a) * motion_b
        along_b = own_b * motion_b - (1 - own_b) * motion_a
        to_a, to_b = along_a * scale * np.float32(-t), along_b * scale * np.float32(t - 1)
        if aside_a is not None and aside_b is not None:
            to_a -= (own_a * aside_a + (1 - own_a) * aside_b) * scale
            to_b -= (own_b * aside_b + (1 - own_b) * aside_a) * scale
        presence_a, presence_b = gauss(presence_a, 2), gauss(presence_b, 2)
        parts = _parts(t, presence_a, presence_b, swift, middle)
        return Moved(to_a, to_b, *parts, np.maximum(presence_a, presence_b))

    return moved


def _held(motion: Correspondence) -> float:
    """Return the trust around the place that has the least of it, in [0, 1].

    It is near 0 where the pictures show something else over a large area. What leaves the picture
    counts as trusted.
    """
    sides = (motion.forward, motion.trust_first), (motion.backward, motion.trust_last)
    around = [
        gauss(np.maximum(trust, np.float32(outside(flow))), AROUND * max(trust.shape))
        for flow, trust in sides
    ]
    return float(min(each.min() for each in around))


def _parts(
    t: float, presence_a: Field, presence_b: Field, swift: float, middle: float
) -> tuple[Field, Field]:
    """Return the weights of both keyframes: (1 - t) presence and t presence'.

    What neither is trusted with changes over around `middle`, as far as it is `swift`, instead of
    dissolving; what only one of them shows stays that one's.
    """
    lost = swift * (1 - ramp(np.maximum(presence_a, presence_b), UNSEEN, 3 * UNSEEN))
    power = 1 + lost
    part_a, part_b = ((1 - t) * presence_a) ** power, (t * presence_b) ** power
    either = 1 - ramp(np.abs(np.log(presence_a / presence_b)), *EVEN)
    favour = np.exp(lost * either * np.float32(CHANGEOVER / 2 * (middle - t)))
    share = part_a * favour / (part_a * favour + part_b / favour)
    whole = part_a + part_b
    return np.float32(whole * share), np.float32(whole * (1 - share))


def _splatter(
    flow: Field, trust: Field, bend: Bend | None
) -> Callable[[float], tuple[Field, Field, Field | None]]:
    """Return a function of the share of the way that gives the motion [h, w, 2] of what lands on
    each pixel, its presence, and its offset from the straight track [h, w, 2], None without a bend.
    """
    h, w = trust.shape
    x, y = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) for n in (w, h))
    inside = ramp(np.minimum(y[:, None], x), 0, BORDER * max(h, w))
    presence = trust + UNSEEN * (0.05 + 0.95 * inside) * (1 - trust)
    front = np.exp(IN_FRONT * (trust + OBJECT * _unlike_camera(flow, trust) - 1))
    values = np.dstack([front, front[..., None] * flow, front * presence, np.ones_like(front)])

    def splat(share: float) -> tuple[Field, Field, Field | None]:
        moved, carried = flow * np.float32(share), values
        if bend is not None:
            aside = bend.aside(share)
            moved, carried = moved + aside, np.dstack([values, front[..., None] * aside])
        sums = gauss(_forward(carried, moved), 0.8)
        density, known = sums[..., 4], np.float32(sums[..., 4] > HOLE[0])
        landed = sums[..., 1:4] / np.maximum(sums[..., :1], 1e-12)
        landed = median(_without_holes(landed, known))
        full = np.clip((density - HOLE[0]) / (HOLE[1] - HOLE[0]), 0, 1)
        presence = landed[..., 2] * full + np.float32(1e-3)
        if bend is None:
            return landed[..., :2], presence, None
        off = _without_holes(sums[..., 5:] / np.maximum(sums[..., :1], 1e-12), known)
        return landed[..., :2], presence, gauss(np.float32(off), 1)

    return splat


def _unlike_camera(flow: Field, trust: Field) -> Field:
    """Return [h, w] in [0, 1]: how surely a pixel does not move as the camera does; 0 where most of
    the picture follows no one motion.
    """
    (h, w), some = trust.shape, np.s_[::2, ::2]  # a quarter tells as much
    known = np.where(trust > 0.3, trust, 0)[some]
    motion, share = camera(flow[some], known, 0.01 * max(h, w))
    apart = np.linalg.norm(flow - cv2.resize(motion, (w, h)), axis=-1) / max(h, w)
    return np.asarray(ramp(apart, *UNLIKE) * ramp(share, *STAGE))


def _forward(values: Field, flow: Field) -> Field:
    """Move every pixel's values [h, w, D] along its flow, summed bilinearly where they land."""
    h, w, depth = values.shape
    where = grid(h, w) + flow
    floor = np.floor(where)
    corner, part = floor.astype(np.int32), where - floor
    sums = np.zeros((depth, (h + 2) * (w + 2)))
    for dy in (0, 1):
        for dx in (0, 1):
            # a rim one pixel wide takes what leaves the picture
            x = np.clip(corner[..., 0] + 1 + dx, 0, w + 1)
            y = np.clip(corner[..., 1] + 1 + dy, 0, h + 1)
            place = (y * (w + 2) + x).ravel()
            weight = np.abs(1 - dx - part[..., 0]) * np.abs(1 - dy - part[..., 1])
            for k in range(depth):
                landed = (weight * values[..., k]).ravel()
                sums[k] += np.bincount(place, landed, sums.shape[1])
    inner = sums.reshape(depth, h + 2, w + 2)[:, 1:-1, 1:-1]
    return np.ascontiguousarray(np.moveaxis(inner, 0, -1), np.float32)


def _without_holes(x: Field, known: Field) -> Field:
    """Return x where known is 1, elsewhere what coarser and coarser averages of the known say."""
    h, w = known.shape
    if min(h, w) <= 2:
        total = np.maximum(known.sum(), np.float32(1e-6))
        return np.broadcast_to((x * known[..., None]).sum((0, 1)) / total, x.shape)
    half = (max(1, w // 2), max(1, h // 2))
    weight = cv2.resize(known, half, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(x * known[..., None], half, interpolation=cv2.INTER_AREA)
    mean = np.float32(mean / np.maximum(weight, np.float32(1e-6))[..., None])
    coarse = _without_holes(mean, np.minimum(2 * weight, 1))
    rest = cv2.resize(np.ascontiguousarray(coarse), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(x * known[..., None] + rest * (1 - known[..., None]))


def seen(picture: Picture) -> Picture:
    """Return a picture as RGB [H, W, 3] for the search, transparency over mid-grey."""
    colour = picture
    if picture.shape[2] in (2, 4):
        alpha = picture[..., -1:] / np.float32(255)
        colour = np.round(picture[..., :-1] * alpha + 128 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colour, (*picture.shape[:2], 3)))


def premultiplied(picture: Picture) -> Field:
    """Convert a picture to [H, W, C], 0 to 1, its colour multiplied with its alpha."""
    x: Field = picture.astype(np.float32) / np.float32(255)
    if picture.shape[2] in (2, 4):
        x[..., :-1] *= x[..., -1:]
    return x
