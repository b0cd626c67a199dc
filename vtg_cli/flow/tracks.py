"""Motion carried through interior keyframes, so that it neither pauses nor turns a corner there.

Between two keyframes alone tracks are straight and even. Here the velocity at a keyframe is that of
the parabola through it and both its neighbours,

    v = (T' d / T + T d' / T') / (T + T'),   d, d' the ways before and after, T, T' their times,

and a track is the cubic with these velocities at its ends. Pixel by pixel of the keyframe where the
motion is found (`Tracks.of`); along the way, as one number, where a model draws the frames and only
their times can be chosen (`Tracks.pace`). At the ends of a clip the track is the parabola of the
one velocity known. Motion of constant acceleration comes out exact either way.

The velocity is at most three times the slower of both sides' (Fritsch & Carlson 1980): what stands
still on one side does not start to drift.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from vtg_cli.flow.correspondence import Correspondence, correspond
from vtg_cli.flow.filters import Field, warp
from vtg_cli.flow.splatting import Bend, Picture, Track, seen
from vtg_cli.job.easing import cubic

STEEPEST = 3.0  # slope of a cubic that still never turns back


class Tracks:
    """The motion along a row of keyframes, found on demand.

    pair(i): the keyframes uint8 [H, W, C] of segment i
    spans: time each segment takes, any unit
    through: whether the motion goes on from segment i into segment i + 1; the last entry says
        whether it goes from the last into the first (a loop)
    """

    def __init__(
        self,
        pair: Callable[[int], tuple[Picture, Picture]],
        spans: Sequence[float],
        through: Sequence[bool],
    ) -> None:
        self.spans, self.through = spans, through
        # a segment looks at its neighbours; the next one at two of the same three again
        self._found = lru_cache(maxsize=3)(lambda i: _found(*pair(i)))

    def of(self, i: int) -> Track:
        """Return the track of segment i, for flow.in_between."""
        motion = self._found(i)
        start, end = self._turn(i - 1), self._turn(i)
        leaving = None if start is None else start[1]
        arriving = None if end is None else end[0]
        there = _ends(leaving, None if arriving is None else warp(arriving, motion.forward))
        back = _ends(arriving, None if leaving is None else warp(leaving, motion.backward))
        still = np.zeros_like(motion.forward)
        ahead = Bend(*there) if there else Bend(still, still)
        return Track(motion, ahead, Bend(-back[0], -back[1]) if back else Bend(still, still))

    def pace(self, i: int) -> Callable[[float], float]:
        """Return the pace of segment i: share of its time -> share of its way, both in [0, 1]."""
        start, end = self._slope(i - 1, i), self._slope(i, i)
        if start is None and end is None:
            return lambda s: s
        first = start if start is not None else min(max(2 - (end or 0), 0.0), STEEPEST)
        last = end if end is not None else min(max(2 - (start or 0), 0.0), STEEPEST)
        return cubic(first, last)

    def _joint(self, k: int) -> tuple[int, int] | None:
        """Return the segments before and after joint k, which ends segment k; None: no joint."""
        before, after = k % len(self.spans), (k + 1) % len(self.spans)
        return (before, after) if self.through[before] and before != after else None

    def _turn(self, k: int) -> tuple[Field, Field] | None:
        """Return the velocity at joint k, less that of the straight track before, and less that of
        the one after.
        """
        if (joint := self._joint(k)) is None:
            return None
        before, after = (self._found(i) for i in joint)
        spans = [np.float32(self.spans[i]) for i in joint]
        ways = -before.backward, after.forward
        velocity = _velocity(*(way / span for way, span in zip(ways, spans, strict=True)), *spans)
        trust = (before.trust_last * after.trust_first)[..., None]
        old, new = (
            np.asarray(trust * (velocity * span - way), np.float32)
            for way, span in zip(ways, spans, strict=True)
        )
        return old, new

    def _slope(self, k: int, i: int) -> float | None:
        """Return the speed at joint k over the mean speed of segment i."""
        if (joint := self._joint(k)) is None:
            return None
        if min(self._found(j).share for j in joint) == 0:
            return 1.0  # pictures that have nothing in common have no speed
        spans = [self.spans[j] for j in joint]
        speeds = [_length(self._found(j)) / self.spans[j] for j in joint]
        own = speeds[joint.index(i)]
        speed = (spans[1] * speeds[0] + spans[0] * speeds[1]) / sum(spans)
        return min(speed, STEEPEST * min(speeds)) / own if own > 0 else 1.0


def _found(first: Picture, last: Picture) -> Correspondence:
    # always looked at in the same order, as in flow.py
    if last.tobytes() < first.tobytes():
        return correspond(seen(last), seen(first)).reversed()
    return correspond(seen(first), seen(last))


def _velocity(before: Field, after: Field, span: np.float32, next_span: np.float32) -> Field:
    mean = (next_span * before + span * after) / (span + next_span)
    slower = np.minimum(np.linalg.norm(before, axis=-1), np.linalg.norm(after, axis=-1))
    fast = np.linalg.norm(mean, axis=-1)
    held = np.minimum(1, STEEPEST * slower / np.maximum(fast, 1e-6))
    return np.asarray(mean * held[..., None], np.float32)


def _ends(leaving: Field | None, arriving: Field | None) -> tuple[Field, Field] | None:
    """Return both velocities; where one is unknown, the one that makes a parabola."""
    if leaving is None and arriving is None:
        return None
    if leaving is None:
        assert arriving is not None
        return -arriving, arriving
    return leaving, -leaving if arriving is None else arriving


def _length(motion: Correspondence) -> float:
    """Return the mean way of what is seen in both keyframes, in working pixels."""
    trust = motion.trust_first
    way = np.linalg.norm(motion.forward, axis=-1)
    return float((trust * way).sum() / max(float(trust.sum()), 1e-6))
