"""Keyframes that arrive one after the other: each is led to the next while the one after it waits.

Two keyframes and the segment between them are in memory, however many arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from vtg_cli.clips import notes
from vtg_cli.errors import UsageError
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.times import exact
from vtg_cli.media.clip import Clip
from vtg_cli.plan import pictures
from vtg_cli.plan.pictures import Frame
from vtg_cli.plan.plan import plan
from vtg_cli.plan.setup import Setup, chosen, setup
from vtg_cli.render import draw, segments
from vtg_cli.render import report as reports
from vtg_cli.render.findings import Report
from vtg_cli.render.segments import Cancel, Progress
from vtg_cli.render.write import sink_of, write

NAMES = ("a keyframe", "the next")


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
            for phase, spent in drawn.report.seconds.items():
                report.seconds[phase] = report.seconds.get(phase, 0.0) + spent
            report.climbed(drawn.report.rungs)
            for note in drawn.report.notes:
                report.noted(note)
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
    output = made.job.output
    if output is None:
        raise UsageError("there is no output to save to", "name one: -o clip.mp4")
    report = Report()
    height, width, _ = made.shape

    def drawn(stop: Cancel) -> Iterator[Frame]:
        for count, frame in enumerate(frames(made, clip, report, cancel=stop), start=1):
            yield frame
            if progress is not None:
                progress(0.0, f"{count} frames")

    sink = write(drawn, sink_of(made, output), report, cancel)
    fps = made.schedule.fps
    notes = [*([clip.damage] if clip.damage else []), *report.notes]
    return {
        "output": output,
        "clip": {
            "frames": sink.written,
            "fps": str(fps),
            "seconds": exact(sink.written / fps),
            "height": height,
            "width": width,
        },
        "model": reports.model(made, made.job, None),
        **reports.spent(report),
        **({"notes": notes} if notes else {}),
    }


def _uncounted(what: str) -> UsageError:
    return UsageError(
        f"{what} needs keyframes that are counted, and those of standard input are not",
        "leave it out, or name the pictures",
        subject=what,
    )
