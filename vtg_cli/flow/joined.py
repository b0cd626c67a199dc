"""Two motions as one: what the search finds again, and what a learned motion shows elsewhere.

The search (correspondence.py) keeps cameras, textures and what lies far to a fraction of a pixel,
and loses what bends or turns; a learned motion keeps people and animals in one piece, and blurs.
At every time each place takes one of them:

    found = presence there * trust in what the learned motion would show there

The second factor keeps subjects whole: what the learned motion brings to a place and the search
lost must not be painted over by the ground behind it. Where the search is believed both are the
same thing a fraction of a pixel apart, so coarse light is taken from both, edges from the search.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from vtg_cli.flow.correspondence import correspond
from vtg_cli.flow.filters import Field, gauss, ramp, resize, warp
from vtg_cli.flow.splatting import (
    Carried,
    Moved,
    Picture,
    Track,
    fetched,
    mover,
    premultiplied,
    seen,
)

PRESENT = (0.3, 0.5)  # presence up to which the search is not believed, from which it is
KEPT = (0.1, 0.3)  # trust in what the learned motion shows, likewise
REACH = (0.0125, 0.00625)  # over which each is averaged, of the long side
COARSE = 1 / 640  # finer than this, of the long side, edges are the search's alone
BOTH = 0.6  # share of the search in coarse light where it is believed
SAME = (4, 12)  # pixels of the search that both motions may be apart for that, up to which not
KEPT_BYTES = 1 << 28  # of learned motion that is kept: both conditions and the decoder ask again
TOLD = 0.5  # presence of what a learned motion shows: it does not say how sure it is


def joined(
    first: Picture, last: Picture, learned: Callable[[float], Moved]
) -> Callable[[float], Carried]:
    """Estimate the motion between two keyframes uint8 [H, W, C] once and return a function that
    carries both to any time in [0, 1], along it or along what `learned` says of that time.
    """
    found = correspond(seen(first), seen(last), far=True)
    searched = mover(first, last, track=Track(found))
    a, b = premultiplied(first), premultiplied(last)
    h, w = found.trust_first.shape
    scale = np.array([w / first.shape[1], h / first.shape[0]], np.float32)
    long_side = max(h, w)
    numbers = 7 * 4 * first.shape[0] * first.shape[1]  # of one time, in bytes, at most
    remembered = lru_cache(max(1, KEPT_BYTES // numbers))(learned)

    def believed(ours: Moved, theirs: Moved) -> Field:
        """Return how far the search is believed, [h, w] in [0, 1]."""
        kept_a = warp(found.trust_first, theirs.to_first * scale)
        kept_b = warp(found.trust_last, theirs.to_last * scale)
        kept = theirs.part_ahead * kept_a + theirs.part_back * kept_b
        present = gauss(ours.presence, REACH[0] * long_side)
        kept = ramp(gauss(kept, REACH[1] * long_side), *KEPT)
        return np.asarray(ramp(present, *PRESENT) * kept, np.float32)

    def carried(t: float) -> Carried:
        ours = searched(t)
        if t in (0, 1):
            return Carried(
                fetched(a, ours.to_first), fetched(b, ours.to_last), ours.part_ahead, ours.part_back
            )
        far = remembered(round(t, 9))  # 1 - t of the way back is the same time but for rounding
        theirs = Moved(*(resize(field, w, h) for field in vars(far).values()))
        share = believed(ours, theirs)
        both = share * (1 - BOTH) * _near(ours, theirs, scale)
        ahead = _mixed(share, both, fetched(a, ours.to_first), fetched(a, far.to_first))
        back = _mixed(share, both, fetched(b, ours.to_last), fetched(b, far.to_last))
        told = TOLD * (1 - share)
        part_ahead = share * ours.part_ahead + told * theirs.part_ahead
        return Carried(ahead, back, part_ahead, share * ours.part_back + told * theirs.part_back)

    return carried


def _near(ours: Moved, theirs: Moved, scale: Field) -> Field:
    """Return how surely two motions mean the same thing, [h, w] in [0, 1]."""
    apart = [
        np.linalg.norm((one - other) * scale, axis=-1)
        for one, other in ((ours.to_first, theirs.to_first), (ours.to_last, theirs.to_last))
    ]
    return np.asarray(1 - ramp(np.maximum(*apart), *SAME), np.float32)


def _mixed(share: Field, both: Field, searched: Field, learned: Field) -> Field:
    """Mix a carried keyframe [H, W, C] with itself.

    share: of the searched one, [h, w]; both: of the learned one in coarse light, beside that
    """
    height, width = searched.shape[:2]
    wide, coarse = (
        cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        for part in (share, both)
    )
    apart = searched - learned
    light = gauss(np.float32(coarse * apart), COARSE * max(height, width))
    return np.asarray(learned + wide * apart - light.reshape(apart.shape), np.float32)
