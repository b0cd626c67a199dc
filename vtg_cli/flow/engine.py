"""The engine that needs no weights: motion-compensated in-betweens, a dissolve where nothing moves.

Both keyframes are carried to the wanted time (splatting.py). A pixel at time t is then

    w first(p - t m) + (1 - w) last(p + (1 - t) m'),   w ~ (1 - t) presence, 1 - w ~ t presence'

where presence is small for what is not seen in the other keyframe and zero where a keyframe has
nothing to show, so what appears or vanishes comes from its own keyframe alone. A small part with no
counterpart changes over near the middle; a replaced subject dissolves, as does everything between
pictures that have little in common. The dissolve is in code values: in linear light the brighter
picture rules nearly to its end and then pops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from vtg_cli.errors import UsageError
from vtg_cli.flow.filters import Field
from vtg_cli.flow.splatting import Picture, Track, carrier

OnFrame = Callable[[int, int], None]
"""Callback on_frame(frames finished, frames in all)."""


def in_between(
    first: Picture,
    last: Picture,
    times: Sequence[float],
    *,
    far: bool = False,
    track: Track | None = None,
    on_frame: OnFrame | None = None,
) -> Picture:
    """Draw frames at `times` in [0, 1] between two keyframes.

    first, last: uint8 [H, W, C], C 1 to 4, any size; 2 and 4 channels end in straight alpha
    far: look harder for things that moved and turned a lot (correspondence.py)
    track: the motion if it is known, and how it bends (carry.py); None: found here, and straight

    Returns uint8 [len(times), H, W, C]. Time 0 is `first` and time 1 is `last`, bit for bit;
    between identical keyframes every frame is the keyframe. in_between(b, a, 1 - t) is the same
    frame as in_between(a, b, t). The number of threads does not matter. Raises UsageError for
    shapes that differ or are no pictures and for a time outside [0, 1].
    """
    check(first, last, times)
    frames = np.empty((len(times), *first.shape), np.uint8)
    for i, frame in enumerate(each_between(first, last, times, far=far, track=track)):
        frames[i] = frame
        if on_frame is not None:
            on_frame(i + 1, len(times))
    return frames


def retime(frames: Picture, times: Sequence[float]) -> Picture:
    """Show a clip uint8 [M, H, W, C] at other times in [0, 1]; returns uint8 [len(times), H, W, C].

    Where a time falls on a frame (within 1e-6 frames) it is that frame, bit for bit; elsewhere it
    lies in between its neighbours. Raises UsageError as in_between does, and for an empty clip.
    """
    if frames.ndim != 4 or not len(frames):
        raise UsageError(f"a clip of shape {frames.shape} cannot be retimed", "give [M, H, W, C]")
    check(frames[0], frames[0], times)
    places = np.asarray(times, float) * (len(frames) - 1)
    nearest = np.round(places).astype(int)
    out: Picture = frames[nearest]
    between = np.abs(places - nearest) > 1e-6
    for left in np.unique(np.floor(places[between]).astype(int)):
        due = np.flatnonzero(between & (np.floor(places) == left))
        out[due] = in_between(frames[left], frames[left + 1], list(places[due] - left))
    return out


def check(first: Picture, last: Picture, times: Sequence[float]) -> None:
    """Raise UsageError for what `in_between` refuses."""
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
    """Yield the frames of `in_between` one at a time, unchecked; the motion is estimated when the
    first real in-between is due.
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
        return straight(ahead, first.shape[2])

    return render


def straight(x: Field, channels: int) -> Picture:
    """Convert a premultiplied frame [H, W, channels], about 0 to 1, to a picture."""
    if channels in (2, 4):
        alpha = np.clip(x[..., -1:], 0, 1)
        colour = x[..., :-1] / np.maximum(alpha, np.float32(1 / 512))
        x = np.concatenate([colour, alpha], axis=-1)
    return np.asarray(np.round(np.clip(x, 0, 1) * 255), np.uint8)
