"""Easing: the pace within a segment, as a curve from the share of its time to that of its way."""

from __future__ import annotations

import re
from collections.abc import Callable

from vtg_cli.errors import UsageError

Easing = Callable[[float], float]  # share of a segment's time -> share of its way, both in [0, 1]

CURVES = {  # control points x1, y1, x2, y2 as CSS Easing Functions Level 1 defines them
    "linear": (0.0, 0.0, 1.0, 1.0),
    "ease": (0.25, 0.1, 0.25, 1.0),
    "ease-in": (0.42, 0.0, 1.0, 1.0),
    "ease-out": (0.0, 0.0, 0.58, 1.0),
    "ease-in-out": (0.42, 0.0, 0.58, 1.0),
}

_BEZIER = re.compile(r"cubic-bezier\(([^()]*)\)")


def easing(text: str) -> Easing:
    """Return a curve by CSS name or "cubic-bezier(x1,y1,x2,y2)", x in [0, 1]. Raise UsageError.

    It maps 0 to 0 and 1 to 1 exactly. The y may overshoot as in CSS, but beyond a keyframe there is
    no picture, so the result is held within [0, 1].
    """
    name = text.strip().lower()
    points = CURVES.get(name) or _control_points(name)
    if points is None:
        raise UsageError(
            f"--ease {text} is not a curve",
            f"choose {', '.join(CURVES)} or cubic-bezier(x1,y1,x2,y2), x1 and x2 from 0 to 1",
            subject="--ease",
        )
    x1, y1, x2, y2 = points
    if (x1, x2) == (y1, y2):
        return lambda x: min(max(x, 0.0), 1.0)

    def ease(x: float) -> float:
        if x <= 0.0 or x >= 1.0:
            return float(x >= 1.0)
        return min(max(_cubic(y1, y2, _parameter(x1, x2, x)), 0.0), 1.0)

    return ease


def _control_points(name: str) -> tuple[float, float, float, float] | None:
    match = _BEZIER.fullmatch(name)
    if not match:
        return None
    try:
        x1, y1, x2, y2 = (float(part) for part in match[1].split(","))
    except ValueError:  # not numbers, or not four of them
        return None
    tame = abs(y1) < 1e6 and abs(y2) < 1e6  # neither NaN nor about to overflow
    return (x1, y1, x2, y2) if 0 <= x1 <= 1 and 0 <= x2 <= 1 and tame else None


def _cubic(p1: float, p2: float, s: float) -> float:
    """Evaluate the Bezier polynomial with ends 0 and 1 and controls p1, p2, at s in [0, 1]."""
    return ((1 - 3 * p2 + 3 * p1) * s + 3 * p2 - 6 * p1) * s * s + 3 * p1 * s


def _parameter(x1: float, x2: float, x: float) -> float:
    """Solve _cubic(x1, x2, s) = x for s by bisection: x never falls while s grows."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _cubic(x1, x2, middle) < x:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def segment_times(n: int, ease: Easing) -> list[float]:
    """Return the positions of a segment's n >= 2 frames: floats, exactly 0.0 first and 1.0 last."""
    return [0.0, *(ease(i / (n - 1)) for i in range(1, n - 1)), 1.0]


def carried(ease: Easing, first: bool, last: bool) -> Easing:
    """Return the easing of a segment whose motion goes on through its first or last keyframe.

    There the pace is the segment's mean one, so that neither of the two segments pauses; at the
    other end it is the curve's own, up to three times the mean, beyond which a cubic would turn
    back.
    """
    if not first and not last:
        return ease
    near = 1e-4
    opening, closing = min(ease(near) / near, 3.0), min((1 - ease(1 - near)) / near, 3.0)
    opening, closing = 1.0 if first else opening, 1.0 if last else closing
    return cubic(opening, closing)


def cubic(first: float, last: float) -> Easing:
    """Return the cubic with these slopes at its ends, 0 to 3 each: it never turns back."""

    def pace(x: float) -> float:
        rest = 1 - x
        return min(max(x + x * rest * (rest * (first - 1) - x * (last - 1)), 0.0), 1.0)

    return pace
