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
        total = decided(job.between, clip)

        def finished(progress: Progress | None, sheet: str | None) -> Saved:
            report = save(total, clip, progress=progress)
            return Saved(report, report.get("notes", ()))

        yield Work(
            models=total.models,
            notes=(*clip.notes, *total.notes),
            needs=lambda: needs.of_clip(total, total.schedule.segments, None),
            outline=lambda: _told(total, None),
            lines=lambda: _lines(total),
            save=finished,
        )


def _lines(job_setup: Setup) -> Iterator[str]:
    """Describe what will be made, one fact a line."""
    (height, width, _), fps = job_setup.shape, job_setup.schedule.fps
    yield f"clip      {job_setup.job.output}: {width}x{height}, {exact(fps)} a second"
    yield f"between   {job_setup.schedule.total - 2} frames from each keyframe to the next"
    yield f"model     {job_setup.model.name}"
    yield from where(job_setup)


def _told(job_setup: Setup, frames: int | None) -> dict[str, Any]:
    """Return what is reported of the clip. frames: how many it has, if that is known."""
    (height, width, _), fps = job_setup.shape, job_setup.schedule.fps
    return {
        "output": job_setup.job.output,
        "clip": {
            "frames": frames,
            "fps": str(fps),
            "seconds": None if frames is None else exact(frames / fps),
            "height": height,
            "width": width,
        },
        "model": reports.model(job_setup, job_setup.job, None),
    }


def decided(job: Interpolate, clip: Clip) -> Setup:
    """Plan how a segment is drawn, for keyframes of the clip's size.

    Raises UsageError for options that need the number of keyframes, which is unknown.
    """
    if job.loop:
        raise _uncounted("--loop")
    if job.duration is not None:
        raise _uncounted("--duration")
    if len(job.prompts) > 1 or len(job.frames or ()) > 1:
        raise _uncounted("more than one " + ("--frames" if job.frames else "--prompt"))
    job = validated(replace(job, keyframes=NAMES))
    decision = setup(job, chosen(job), clip.size, None if clip.alpha else NAMES[0])
    height, width, channels = decision.shape
    size = height, width, channels == 4
    more = [note for each in NAMES for note in pictures.laid(job, each, clip.size, False, *size)]
    more += [*decision.notes, *notes.laid("the keyframes", clip.alpha, decision)]
    return replace(decision, notes=tuple(more))


def frames(
    job_setup: Setup, clip: Clip, report: Report, *, cancel: Cancel | None = None
) -> Iterator[Frame]:
    """Yield the clip, every keyframe once, drawn while it is taken. Raise UsageError for one."""
    height, width, channels = job_setup.shape
    load = segments.once(segments.loaded)
    before: pictures.Still | None = None
    arrived = 0
    for frame in clip.frames():
        arrived += 1
        pixels = pictures.in_channels(frame.pixels, channels, job_setup.job.background)
        (still,) = pictures.from_arrays([f"keyframe {arrived}"], [pixels])
        key = pictures.fitted(still, job_setup.job, height, width, channels == 4)
        if before is not None:
            drawn = draw.render(plan(job_setup, (before, key)), cancel=cancel, load=load)
            yield from islice(drawn, job_setup.schedule.total - 1)
            report.add(drawn.report)
        before = key
    if before is None or arrived < 2:
        raise UsageError(f"{arrived} keyframe came, two are needed", "send more", subject="-")
    yield before.pixels


def save(
    job_setup: Setup, clip: Clip, *, progress: Progress | None = None, cancel: Cancel | None = None
) -> dict[str, Any]:
    """Draw the clip into its output and return a summary.

    There is no sidecar: what came through the pipe cannot be asked for again.
    """
    report = Report()

    def drawn(stop: Cancel) -> Iterator[Frame]:
        for count, frame in enumerate(frames(job_setup, clip, report, cancel=stop), start=1):
            yield frame
            if progress is not None:
                progress(0.0, f"{count} frames")

    sink = write(drawn, sink_of(job_setup), report, cancel)
    notes = [*([clip.damage] if clip.damage else []), *report.notes]
    more = {"notes": notes} if notes else {}
    return {**_told(job_setup, sink.written), **reports.spent(report), **more}


def _uncounted(what: str) -> UsageError:
    return UsageError(
        f"{what} needs a known number of keyframes, and standard input states none",
        "leave it out, or name the pictures",
        subject=what,
    )
