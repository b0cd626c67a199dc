"""Keyframes that arrive one after the other: each is led to the next while the one after it waits.

Two keyframes and the segment between them are in memory, however many arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

from vtg_cli.clips import notes
from vtg_cli.errors import UsageError
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import Interpolate, Piped
from vtg_cli.job.times import exact
from vtg_cli.media.clip import Clip, open_clip
from vtg_cli.plan import needs, pictures
from vtg_cli.plan.pictures import Frame
from vtg_cli.plan.plan import plan
from vtg_cli.plan.setup import Setup, chosen, setup
from vtg_cli.render import draw, segments
from vtg_cli.render import report as reports
from vtg_cli.render.findings import Report
from vtg_cli.render.segments import Cancel, Progress
from vtg_cli.render.summary import where
from vtg_cli.render.work import Saved, Work
from vtg_cli.render.write import sink_of, write

NAMES = ("a keyframe", "the next")


@contextmanager
def work(job: Piped) -> Iterator[Work]:
    """Open what arrives at its first keyframe. Errors as of `decided`, and MediaError."""
    with open_clip(job.source, alpha=True) as clip:
        made = decided(job.between, clip)

        def finished(progress: Progress | None, sheet: str | None) -> Saved:
            report = save(made, clip, progress=progress)
            return Saved(report, report.get("notes", ()))

        yield Work(
            models=made.models,
            notes=(*clip.notes, *made.notes),
            needs=lambda: needs.of_clip(made, made.schedule.segments, None),
            outline=lambda: _told(made, None),
            lines=lambda: _lines(made),
            save=finished,
        )


def _lines(made: Setup) -> Iterator[str]:
    """What will be made, for people, one fact a line."""
    (height, width, _), fps = made.shape, made.schedule.fps
    yield f"clip      {made.job.output}: {width}x{height}, {exact(fps)} a second"
    yield f"between   {made.schedule.total - 2} frames from each keyframe to the next"
    yield f"model     {made.model.name}"
    yield from where(made)


def _told(made: Setup, frames: int | None) -> dict[str, Any]:
    """What is told of the clip; frames: how many it has, if that is known."""
    (height, width, _), fps = made.shape, made.schedule.fps
    return {
        "output": made.job.output,
        "clip": {
            "frames": frames,
            "fps": str(fps),
            "seconds": None if frames is None else exact(frames / fps),
            "height": height,
            "width": width,
        },
        "model": reports.model(made, made.job, None),
    }


def decided(job: Interpolate, clip: Clip) -> Setup:
    """How a segment is drawn, for keyframes of the clip's size.

    UsageError for what cannot be said of keyframes nobody has counted.
    """
    if job.loop:
        raise _uncounted("--loop")
    if job.duration is not None:
        raise _uncounted("--duration")
    if len(job.prompts) > 1 or len(job.frames or ()) > 1:
        raise _uncounted("more than one " + ("--frames" if job.frames else "--prompt"))
    job = validated(replace(job, keyframes=NAMES))
    made = setup(job, chosen(job), clip.size, None if clip.alpha else NAMES[0])
    height, width, channels = made.shape
    size = height, width, channels == 4
    said = [note for each in NAMES for note in pictures.laid(job, each, clip.size, False, *size)]
    said += [*made.notes, *notes.laid("the keyframes", clip.alpha, made)]
    return replace(made, notes=tuple(said))


def frames(
    made: Setup, clip: Clip, report: Report, *, cancel: Cancel | None = None
) -> Iterator[Frame]:
    """The whole clip, every keyframe once, drawn while it is taken. UsageError for one keyframe."""
    height, width, channels = made.shape
    load = segments.once(segments.loaded)
    before: pictures.Still | None = None
    arrived = 0
    for frame in clip.frames():
        arrived += 1
        pixels = pictures.in_channels(frame.pixels, channels, made.job.background)
        (still,) = pictures.from_arrays([f"keyframe {arrived}"], [pixels])
        key = pictures.fitted(still, made.job, height, width, channels == 4)
        if before is not None:
            drawn = draw.render(plan(made, (before, key)), cancel=cancel, load=load)
            yield from islice(drawn, made.schedule.total - 1)
            report.add(drawn.report)
        before = key
    if before is None or arrived < 2:
        raise UsageError(f"{arrived} keyframe came, and two are needed", "send more", subject="-")
    yield before.pixels


def save(
    made: Setup, clip: Clip, *, progress: Progress | None = None, cancel: Cancel | None = None
) -> dict[str, Any]:
    """Draws the clip into its output; returns what it came to. There is no sidecar: what came
    through the pipe cannot be asked for again.
    """
    report = Report()

    def drawn(stop: Cancel) -> Iterator[Frame]:
        for count, frame in enumerate(frames(made, clip, report, cancel=stop), start=1):
            yield frame
            if progress is not None:
                progress(0.0, f"{count} frames")

    sink = write(drawn, sink_of(made), report, cancel)
    notes = [*([clip.damage] if clip.damage else []), *report.notes]
    said = {"notes": notes} if notes else {}
    return {**_told(made, sink.written), **reports.spent(report), **said}


def _uncounted(what: str) -> UsageError:
    return UsageError(
        f"{what} needs keyframes that are counted, and those of standard input are not",
        "leave it out, or name the pictures",
        subject=what,
    )
