"""Motion that goes on through keyframes: what it changes in how the segments of a plan are drawn.

flow draws bent tracks. Other models draw what they draw, at times of which the pace is continuous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from vtg_cli.job import easing
from vtg_cli.job.sampling import Sampling
from vtg_cli.plan.pictures import Frame
from vtg_cli.plan.plan import Plan
from vtg_cli.plan.segments import TimelinePlan

if TYPE_CHECKING:
    from vtg_cli.render.segments import Cancel, Frames, Progress, Renderer, Seeded


def carried(plan: Plan | TimelinePlan, draws: Sequence[Seeded]) -> list[Seeded]:
    """Return the renderers of all segments, which know their neighbours' motion."""
    from vtg_cli.flow.tracks import Tracks
    from vtg_cli.render.segments import always, flow

    segments = [(part, *segment) for part in plan.parts for segment in part.segments]

    def pair(i: int) -> tuple[Frame, Frame]:
        _, first, last, _ = segments[i]
        return first.pixels, last.pixels

    tracks = Tracks(pair, [n - 1 for n in plan.schedule.segments], plan.through)
    return [
        partial(_seeded, draw, partial(tracks.pace, i))
        if part.model.source
        else always(partial(flow, track=partial(tracks.of, i)))
        for i, ((part, *_), draw) in enumerate(zip(segments, draws, strict=True))
    ]


def easing_of(plan: Plan | TimelinePlan, i: int) -> easing.Easing:
    """Return segment i's easing: where motion goes on through a keyframe, nothing slows it."""
    eases = [part.job.ease for part in plan.parts for _ in part.segments]
    return easing.carried(easing.easing(eases[i]), plan.through[i - 1], plan.through[i])


def _seeded(draw: Seeded, pace: Callable[[], easing.Easing], sampling: Sampling) -> Renderer:
    return partial(_paced, draw(sampling), pace)


def _paced(
    draw: Renderer,
    pace: Callable[[], easing.Easing],
    first: Frame,
    last: Frame,
    times: Sequence[float],
    progress: Progress,
    cancel: Cancel,
) -> Frames:
    """Draw at other times, such that the speed at the segment's ends is its neighbours' too."""
    way = pace()
    return draw(first, last, [0.0, *map(way, times[1:-1]), 1.0], progress, cancel)
