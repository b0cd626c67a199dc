"""Which times and tracks the segments of a plan are drawn with."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import Sampling
from vtg_cli.plan.segments import planned
from vtg_cli.render import draw as drawing
from vtg_cli.render.carrying import carried, easing_of
from vtg_cli.render.segments import always


def view(x: float) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:64, :96].astype(float)
    u = columns + x
    waves = [np.sin(u / 5 + c) + np.cos(rows / 6 - c) + np.sin((u + rows) / 9) for c in range(3)]
    return np.uint8(np.clip(np.stack(waves, -1) * 40 + 128, 0, 255))


KEYS = [view(0), view(2), view(8)]
JOB = Interpolate(
    keyframes=("a", "b", "c"), frames=(5,), fps=Fraction(24), model="flow", carry=True
)


def test_only_the_ends_of_the_clip_are_eased() -> None:
    made = planned(replace(JOB, ease="ease-in-out"), KEYS)
    first, last = easing_of(made, 0), easing_of(made, 1)
    assert (first(1e-3) / 1e-3, (1 - last(1 - 1e-3)) / 1e-3) == pytest.approx((0, 0), abs=0.01)
    assert ((1 - first(1 - 1e-3)) / 1e-3, last(1e-3) / 1e-3) == pytest.approx((1, 1), abs=0.01)
    uncarried = planned(replace(JOB, ease="ease-in-out", carry=False), KEYS)
    assert (1 - easing_of(uncarried, 0)(1 - 1e-3)) / 1e-3 == pytest.approx(0, abs=0.01)


def test_two_keyframes_are_drawn_as_without() -> None:
    two = replace(JOB, keyframes=("a", "b"))
    pair = KEYS[:2]
    plain = list(drawing.run(replace(two, carry=False), keyframes=pair))
    assert np.array_equal(plain, list(drawing.run(two, keyframes=pair)))


def test_flow_draws_where_constant_acceleration_leads() -> None:
    """View 2 t^2 at t = 0.5 and 1.5, where straight tracks are at 1 and 5."""
    frames = list(drawing.run(JOB, keyframes=KEYS))
    inner = (slice(16, -16), slice(20, -20))
    for index, at in ((2, 0.5), (6, 4.5)):
        off = [
            np.abs(frames[index][inner].astype(float) - view(x)[inner]).mean()
            for x in (at, 1 if index == 2 else 5)
        ]
        assert off[0] < 1.2 < off[1]


def test_other_models_draw_at_times_of_that_pace() -> None:
    """Ways of 2 and 6 in equal times: s^2 and (2 s + s^2) / 3, as in test_carry.py."""
    made = planned(JOB, KEYS)
    drawn: list[list[float]] = []

    def draw(first, last, times, progress, cancel):  # type: ignore[no-untyped-def]
        drawn.append(list(times))
        return np.stack([first] * len(times))

    class Model:
        spec, source = True, "svd"

    class Part:
        model, job, segments = Model(), made.job, made.segments

    class Other:
        parts, through, schedule = (Part(),), made.through, made.schedule

    for seeded, (first, last, _) in zip(
        carried(Other(), [always(draw), always(draw)]),
        made.segments,
        strict=True,  # type: ignore[arg-type]
    ):
        even = [0.0, 0.25, 0.5, 0.75, 1.0]
        seeded(Sampling())(
            first.pixels, last.pixels, even, lambda share, phase: None, lambda: False
        )
    assert drawn[0] == pytest.approx([0, 1 / 16, 1 / 4, 9 / 16, 1], abs=0.03)
    assert drawn[1] == pytest.approx([0, 0.1875, 0.4167, 0.6875, 1], abs=0.03)
