"""The engine that needs no weights: motion-compensated in-betweens, a dissolve where nothing moves.

The motion of every pixel (correspondence.py) is splatted forward to the wanted time from both
keyframes, trusted pixels in front (softmax splatting, Niklaus & Liu 2020, of motion instead of
colour: no holes to paint, and the keyframes are looked up once, sharply, at full resolution).
A pixel at time t is then

    w first(p - t m) + (1 - w) last(p + (1 - t) m'),   w ~ (1 - t) presence, 1 - w ~ t presence'

where presence is small for what is not seen in the other keyframe and zero where a keyframe has
nothing to show, so what appears or vanishes comes from its own keyframe alone, and what has no
counterpart dissolves. The dissolve is in code values: in linear light the brighter picture rules
nearly to its end and then pops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.backbones.correspondence import Correspondence, correspond
from vtg_cli.backbones.filters import Field, gauss, grid, median, ramp, warp
from vtg_cli.errors import UsageError

Picture = NDArray[np.uint8]
OnFrame = Callable[[int, int], None]
"""on_frame(finished so far, in all)"""

IN_FRONT = 12.0  # softmax sharpness: full trust outweighs none by e^12
UNSEEN = 0.2  # presence of what is seen in one keyframe only
BORDER = 0.05  # share of the long side over which unseen content fades at the picture's border
HOLE = (0.25, 0.65)  # splatted density: up to the first a hole, from the second full
BRIEF = (0.1, 0.3)  # trusted share from which the dissolve is shortened, fully from the second


def in_between(
    first: Picture,
    last: Picture,
    times: Sequence[float],
    *,
    far: bool = False,
    track: Track | None = None,
    on_frame: OnFrame | None = None,
) -> Picture:
    """Frames at `times` in [0, 1] between two keyframes.

    first, last: uint8 [H, W, C], C 1 to 4, any size; 2 and 4 channels end in straight alpha.
    far: look harder for things that moved and turned a lot (correspondence.py).
    track: the motion as found already and how it bends (carry.py); None: found here, and straight.
    Returns uint8 [len(times), H, W, C]. Time 0 is `first` and time 1 is `last`, bit for bit;
    between identical keyframes every frame is the keyframe. in_between(b, a, 1 - t) is the same
    frame as in_between(a, b, t). The number of threads does not matter.
    UsageError: shapes that differ or are no pictures, a time outside [0, 1].
    """
    _check(first, last, times)
    frames = np.empty((len(times), *first.shape), np.uint8)
    for i, frame in enumerate(each_between(first, last, times, far=far, track=track)):
        frames[i] = frame
        if on_frame is not None:
            on_frame(i + 1, len(times))
    return frames


def retime(frames: Picture, times: Sequence[float]) -> Picture:
    """A clip uint8 [M, H, W, C] shown at other times in [0, 1], uint8 [len(times), H, W, C].

    Where a time falls on a frame (within 1e-6 frames) it is that frame, bit for bit; elsewhere it
    lies in between its neighbours. UsageError as in_between, and for an empty clip.
    """
    if frames.ndim != 4 or not len(frames):
        raise UsageError(f"a clip of shape {frames.shape} cannot be retimed", "give [M, H, W, C]")
    _check(frames[0], frames[0], times)
    places = np.asarray(times, float) * (len(frames) - 1)
    nearest = np.round(places).astype(int)
    out: Picture = frames[nearest]
    between = np.abs(places - nearest) > 1e-6
    for left in np.unique(np.floor(places[between]).astype(int)):
        here = np.flatnonzero(between & (np.floor(places) == left))
        out[here] = in_between(frames[left], frames[left + 1], list(places[here] - left))
    return out


def _check(first: Picture, last: Picture, times: Sequence[float]) -> None:
    for picture in (first, last):
        if picture.ndim != 3 or not 1 <= picture.shape[2] <= 4 or not picture.size:
            raise UsageError(f"a keyframe of shape {picture.shape}", "give [H, W, C], C 1 to 4")
        if picture.dtype != np.uint8:
            raise UsageError(f"a keyframe of {picture.dtype} values", "give uint8")
    if first.shape != last.shape:
        raise UsageError(f"keyframes of shapes {first.shape} and {last.shape}", "fit them first")
    for t in times:
        if not 0 <= t <= 1:
            raise UsageError(f"time {t} lies outside [0, 1]", "0 is the first keyframe, 1 the last")


def each_between(
    first: Picture,
    last: Picture,
    times: Sequence[float],
    *,
    far: bool = False,
    track: Track | None = None,
) -> Iterator[Picture]:
    """The frames of `in_between` one at a time, unchecked; the motion is estimated when the first
    real in-between is due.
    """
    between: Callable[[float], Picture] | None = None
    same = np.array_equal(first, last)
    # always looked at in the same order: the way back shows the frames of the way there
    turned = last.tobytes() < first.tobytes()
    for t in times:
        if same or t == 0:
            yield first
        elif t == 1:
            yield last
        else:
            if between is None:
                between = (
                    _renderer(last, first, far, track and track.reversed())
                    if turned
                    else _renderer(first, last, far, track)
                )
            yield between(1 - float(t) if turned else float(t))


def _renderer(
    first: Picture, last: Picture, far: bool, track: Track | None
) -> Callable[[float], Picture]:
    carried_to = carrier(first, last, far=far, track=track)
    size = (first.shape[1], first.shape[0])

    def render(t: float) -> Picture:
        carried = carried_to(t)
        share = carried.part_ahead / (carried.part_ahead + carried.part_back)
        share = cv2.resize(np.float32(share), size, interpolation=cv2.INTER_LINEAR)[..., None]
        ahead = carried.back + share * (carried.ahead - carried.back)
        return _straight(ahead, first.shape[2])

    return render


@dataclass(frozen=True)
class Bend:
    """How tracks leave the straight line between two keyframes, on the pixels [h, w] of one.

    leaving, arriving: [h, w, 2] in working pixels, (x, y): velocity at this keyframe and at the
    other one, over the whole way, less the straight track's.
    """

    leaving: Field
    arriving: Field

    def aside(self, share: float) -> Field:
        """Beside the straight track, share of the way: the cubic of those end velocities."""
        s, rest = np.float32(share), np.float32(1 - share)
        return np.asarray(s * rest * (rest * self.leaving - s * self.arriving))


@dataclass(frozen=True)
class Track:
    """The motion between two keyframes: straight tracks, and the bends seen from either of them, if
    any.
    """

    found: Correspondence
    ahead: Bend | None = None
    back: Bend | None = None

    def reversed(self) -> Track:
        return Track(self.found.reversed(), self.back, self.ahead)


@dataclass(frozen=True)
class Carried:
    """Both keyframes moved to one time t, and what each counts there.

    ahead, back: the first and the last one, [H, W, C], 0 to 1, premultiplied with their alpha;
    part_ahead, part_back: positive weights at the size of the search [h, w], ((1 - t) presence)^p
    and (t presence')^p with p >= 1, so that one of them is zero at either end.
    """

    ahead: Field
    back: Field
    part_ahead: Field
    part_back: Field


def carrier(
    first: Picture, last: Picture, *, far: bool = False, track: Track | None = None
) -> Callable[[float], Carried]:
    """The motion between two keyframes uint8 [H, W, C], estimated once; then both at any time in
    [0, 1]. far: as in correspond; track: as in in_between.
    """
    height, width = first.shape[:2]
    found = track.found if track else correspond(seen(first), seen(last), far=far)
    a, b = _premultiplied(first), _premultiplied(last)
    h, w = found.trust_first.shape
    scale = np.array([width / w, height / h], np.float32)
    splat_a = _splatter(found.forward, found.trust_first, track.ahead if track else None)
    splat_b = _splatter(found.backward, found.trust_last, track.back if track else None)
    # amid much that corresponds, the rest is better off with a short dissolve than a double image
    haste = ramp(found.share, *BRIEF)

    def enlarged(x: Field) -> Field:
        return np.asarray(cv2.resize(x, (width, height), interpolation=cv2.INTER_LINEAR))

    def carried(t: float) -> Carried:
        motion_a, presence_a, aside_a = splat_a(t)
        motion_b, presence_b, aside_b = splat_b(1 - t)
        # each keyframe follows its own motion, unless the other knows much better
        known = (presence_a / (presence_a + presence_b))[..., None]
        own_a, own_b = np.clip(4 * known - 0.6, 0, 1), np.clip(3.4 - 4 * known, 0, 1)
        along_a = own_a * motion_a - (1 - own_a) * motion_b
        along_b = own_b * motion_b - (1 - own_b) * motion_a
        to_a, to_b = along_a * scale * np.float32(-t), along_b * scale * np.float32(t - 1)
        if aside_a is not None and aside_b is not None:
            to_a -= (own_a * aside_a + (1 - own_a) * aside_b) * scale
            to_b -= (own_b * aside_b + (1 - own_b) * aside_a) * scale
        from_a = warp(a, enlarged(to_a), cv2.INTER_CUBIC)
        from_b = warp(b, enlarged(to_b), cv2.INTER_CUBIC)
        presence_a, presence_b = gauss(presence_a, 2), gauss(presence_b, 2)
        power = 1 + haste * (1 - ramp(np.maximum(presence_a, presence_b), UNSEEN, 3 * UNSEEN))
        part_a, part_b = ((1 - t) * presence_a) ** power, (t * presence_b) ** power
        return Carried(from_a, from_b, np.float32(part_a), np.float32(part_b))

    return carried


def _splatter(
    flow: Field, trust: Field, bend: Bend | None
) -> Callable[[float], tuple[Field, Field, Field | None]]:
    """share of the way -> the motion [h, w, 2] of what lands on each pixel, its presence, and how
    far aside of the straight track [h, w, 2] it is; None: there is no bend.
    """
    h, w = trust.shape
    x, y = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) for n in (w, h))
    inside = ramp(np.minimum(y[:, None], x), 0, BORDER * max(h, w))
    presence = trust + UNSEEN * (0.05 + 0.95 * inside) * (1 - trust)
    front = np.exp(IN_FRONT * (trust - 1))
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


def _forward(values: Field, flow: Field) -> Field:
    """Every pixel's values [h, w, D] moved along its flow, summed bilinearly where they land."""
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
    """x where known is 1, elsewhere what coarser and coarser averages of the known say."""
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
    """A picture as RGB [H, W, 3] for the search, transparency over mid-grey."""
    colour = picture
    if picture.shape[2] in (2, 4):
        alpha = picture[..., -1:] / np.float32(255)
        colour = np.round(picture[..., :-1] * alpha + 128 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colour, (*picture.shape[:2], 3)))


def _premultiplied(picture: Picture) -> Field:
    x: Field = picture.astype(np.float32) / np.float32(255)
    if picture.shape[2] in (2, 4):
        x[..., :-1] *= x[..., -1:]
    return x


def _straight(x: Field, channels: int) -> Picture:
    if channels in (2, 4):
        alpha = np.clip(x[..., -1:], 0, 1)
        colour = x[..., :-1] / np.maximum(alpha, np.float32(1 / 512))
        x = np.concatenate([colour, alpha], axis=-1)
    return np.asarray(np.round(np.clip(x, 0, 1) * 255), np.uint8)
