"""The one way of frames into a file, whatever draws them, and what the file says of its making."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vtg_cli import __version__
from vtg_cli.errors import UsageError
from vtg_cli.media.video import Sink, open_sink
from vtg_cli.plan.pictures import Frame
from vtg_cli.plan.segments import TimelinePlan
from vtg_cli.plan.setup import Setup
from vtg_cli.render.findings import Report
from vtg_cli.render.segments import Cancel, either

if TYPE_CHECKING:
    from vtg_cli.media.extras import Kept
    from vtg_cli.media.sound import Sound

Draw = Callable[[Cancel], Iterable[Frame]]
"""Frames uint8 [H, W, C], drawn while they are taken until the argument says stop"""


def write(
    draw: Draw, opened: AbstractContextManager[Sink], report: Report, cancel: Cancel | None = None
) -> Sink:
    """Draw frames into a sink until they end or its reader has gone; return the closed sink."""
    with opened as sink:
        for frame in sink.wanted(draw(either([cancel, sink.abandoned]))):
            with report.timed("encoding"):
                sink.write(frame)
    return sink


def sink_of(
    plan: Setup | TimelinePlan,
    output: str | None = None,
    *,
    fps: Fraction | None = None,
    sound: Sound | None = None,
    kept: Kept | None = None,
) -> AbstractContextManager[Sink]:
    """Open a file for a plan's frames, or stdout. output, fps: in place of the plan's; sound, kept:
    what goes with them. UsageError where there is no output.
    """
    place = output or plan.job.output
    if place is None:
        raise UsageError("there is no output to save to", "name one: -o clip.mp4")
    height, width, channels = plan.shape
    ours = comment(plan)
    return open_sink(
        place,
        plan.job.encoding,
        height=height,
        width=width,
        channels=channels,
        fps=fps or plan.schedule.fps,
        comment=ours if kept is None else kept.comment(ours),
        sound=sound,
        kept=kept,
    )


def comment(plan: Setup | TimelinePlan) -> str | None:
    """Return what a clip says of its making; None where it is to say nothing."""
    if not plan.job.encoding.metadata:
        return None
    names = (Path(model.name).name for model in plan.models)  # not where a folder lies
    return f"made with vtg {__version__}, model {', '.join(names)}"
