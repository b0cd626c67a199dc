"""A whole clip at another pace or rate: in-betweens pair by pair while the clip streams through.

Time is rational throughout. A frame's place on the new clip's time axis is k / fps; on the old
one's it is k / (fps * factor), which falls on a frame, and then that frame is shown bit for bit, or
between two, and then it is drawn at exactly that share of the way. A clip of S seconds becomes one
of round(S * factor * fps) frames; after its last frame there is nothing to move to, so that one
stays for its whole stretched time. Two frames and what is drawn between them are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from vtg_cli.clips import notes as clip_notes
from vtg_cli.clips import report as clip_report
from vtg_cli.clips import tracks
from vtg_cli.clips.retiming import Found, Retiming
from vtg_cli.errors import Interrupted, MediaError, UsageError
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import Retime
from vtg_cli.job.times import MAX_FPS, count, exact
from vtg_cli.media import encoding, extras, scenes
from vtg_cli.media.clip import Clip, is_transparent, open_clip
from vtg_cli.media.probe import Facts
from vtg_cli.media.sequence import facts_of
from vtg_cli.plan import needs
from vtg_cli.plan.pictures import Frame, in_channels
from vtg_cli.plan.setup import Setup, chosen, setup
from vtg_cli.render import report as reports
from vtg_cli.render import segments
from vtg_cli.render.findings import Report
from vtg_cli.render.segments import Cancel, Progress
from vtg_cli.render.work import Saved, Work
from vtg_cli.render.write import sink_of, write

Draw = Callable[[Frame, Frame, Sequence[float]], Iterator[Frame]]
"""Function (first, last, shares of the way in (0, 1)) -> a frame for each."""


def shares(
    start: Fraction, end: Fraction, step: Fraction, first: int, stop: int | None = None
) -> list[Fraction]:
    """Return where the frames k = first, first + 1, ... that fall into [start, end) stand in it.

    start, end, step: seconds; frame k stands at k * step
    stop: no frame beyond this one

    Returns shares in [0, 1), exact.
    """
    last = ceil(end / step)
    last = last if stop is None else min(last, stop)
    return [(k * step - start) / (end - start) for k in range(first, last)]


@contextmanager
def opened(job: Retime) -> Iterator[tuple[Retiming, Clip]]:
    """Decide and check everything about a clip, open at its first frame.

    Raises UsageError, MediaError or WeightsError; after it only the computation itself can fail.
    """
    validated(job)
    piped = job.clip.path == "-"
    facts = None if piped else facts_of(job.clip)
    alpha = facts is None or is_transparent(job.clip, facts)
    with open_clip(job.clip, facts, alpha=alpha) as clip:
        yield _decided(job, clip, facts), clip


@contextmanager
def work(job: Retime) -> Iterator[Work]:
    """Open a job. Errors as of `opened`."""
    with opened(job) as (total, clip):

        def finished(progress: Progress | None, sheet: str | None) -> Saved:
            report = save(total, clip, progress=progress)
            return Saved(report, report["notes"][len(total.notes) :])

        yield Work(
            models=total.base.models,
            notes=total.notes,
            needs=lambda: needs.of_clip(total.base, total.pieces, total.frames),
            outline=lambda: clip_report.retimed(total),
            lines=total.lines,
            save=finished,
        )


def _decided(job: Retime, clip: Clip, facts: Facts | None) -> Retiming:
    long = None if facts is None else facts.extent
    if job.duration is not None and long is None:
        raise UsageError(
            "--duration needs a file: how long standard input is shows at its end",
            "use --factor",
            subject="--duration",
        )
    factor = job.factor
    if job.duration is not None and long is not None:
        factor = job.duration / long.seconds
    fps, notes = clip_notes.rate_beside(job.fps, clip.rate, [clip.rate])
    if fps > MAX_FPS:
        raise UsageError(f"{exact(fps)} frames a second are more than {MAX_FPS}", "give --fps")
    height, width = clip.size
    between = replace(job.between, width=width, height=height, fps=fps, frames=None, duration=None)
    opaque = None if clip.alpha else job.clip.path
    base = setup(between, chosen(between, clip=True), clip.size, opaque)
    output = between.output
    form = encoding.format_of(output, between.encoding) if output else None
    heard, more = tracks.heard(job, facts, form, factor, fps)
    notes += more
    notes += [] if facts is None else clip_notes.unmapped([facts])
    notes += clip_notes.laid(job.clip.path, clip.alpha, base)
    kept, more = tracks.kept(facts, form, factor)
    notes += more
    if form is not None:
        notes += encoding.notes(form, height, width, fps)
    decided = replace(base.job, fps=None, frames=None, keyframes=job.between.keyframes)
    return Retiming(
        job=replace(job, between=decided, factor=factor, duration=None, fps=fps),
        base=base,
        source=facts,
        extent=long,
        rate=clip.rate,
        size=clip.size,
        fps=fps,
        factor=factor,
        sound=heard,
        kept=kept,
        notes=(*clip.notes, *notes),
    )


def frames(
    retiming: Retiming,
    clip: Clip,
    counts: Found,
    report: Report,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Iterator[Frame]:
    """Yield the new clip's frames, uint8 [H, W, 3 or 4], drawn while they are taken."""
    progress, cancel = progress or segments.silent, cancel or segments.never
    progress(0.0, f"loading {retiming.base.model.name}")
    with report.timed("loading"):
        draw = _draw(retiming.base, report, cancel)

    def counted() -> Iterator[Any]:
        for frame in clip.frames():
            counts.read += 1
            if cancel():
                raise Interrupted("interrupted")
            pixels = in_channels(frame.pixels, channels, retiming.base.job.background)
            yield replace(frame, pixels=pixels)

    channels = retiming.base.shape[2]
    whole = retiming.extent.seconds if retiming.extent else None
    held = retiming.job.cuts == "hold"
    marked = scenes.with_cuts(counted()) if held else ((frame, False) for frame in counted())
    smooth = retiming.job.duplicates == "smooth"
    last: scenes.Span | None = None
    for span in scenes.spans(marked, smooth=smooth, step=1 / retiming.rate):
        if last is not None:
            yield from _shown(last, retiming.step, counts, draw, None)
            if whole:
                progress(min(1.0, float(last.end / whole)), "drawing")
        last = span
    if last is None:
        raise MediaError("the clip has no frames", subject=retiming.job.clip.path)
    yield from _shown(last, retiming.step, counts, draw, count(last.end, retiming.step))
    progress(1.0, "finishing")


def _shown(
    span: scenes.Span, step: Fraction, counts: Found, draw: Draw, stop: int | None
) -> Iterator[Frame]:
    if span.cut:
        counts.cuts += 1
        counts.cut_at += [exact(span.end)] if len(counts.cut_at) < 100 else []
    if span.last is None:
        counts.still += span.end - span.start
    # rounding may leave the clip's last stretch a frame longer than it is
    end = span.end if stop is None else max(span.end, stop * step)
    where = shares(span.start, end, step, counts.written, stop)
    if span.last is None:
        for _ in where:
            counts.written += 1
            yield span.first
        return
    if where and where[0] == 0:
        counts.written += 1
        yield span.first
        where = where[1:]
    for frame in draw(span.first, span.last, [float(share) for share in where]) if where else ():
        counts.written += 1
        counts.drawn += 1
        yield frame


def _draw(base: Setup, report: Report, cancel: Cancel) -> Draw:
    """Return the plan's model as a Draw; flow draws frame by frame, other models pair by pair."""
    if base.model.source is None:
        from vtg_cli.flow.engine import each_between

        def flow(first: Frame, last: Frame, times: Sequence[float]) -> Iterator[Frame]:
            drawn = each_between(first, last, times)
            while True:
                with report.timed("drawing"):
                    frame = next(drawn, None)
                if frame is None:
                    return
                yield frame

        return flow
    from vtg_cli.media.anchor import anchor

    (seeded,) = segments.renderers(
        base, segments.loaded, on_rungs=report.climbed, on_note=report.noted
    )
    render = seeded(base.job.sampling)

    def model(first: Frame, last: Frame, times: Sequence[float]) -> Iterator[Frame]:
        with report.timed("drawing"), segments.guarded(base):
            drawn = render(first, last, [0.0, *times, 1.0], segments.silent, cancel)
            drawn, _ = anchor(drawn, first, last, base.job.endpoints)
        yield from drawn[1:-1]

    return model


def save(
    retiming: Retiming,
    clip: Clip,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> dict[str, Any]:
    """Draw the new clip into its file, write the report beside it and return the report."""
    counts, report = Found(), Report()

    def drawn(stop: Cancel) -> Iterator[Frame]:
        return frames(retiming, clip, counts, report, progress=progress, cancel=stop)

    sink = sink_of(retiming.base, fps=retiming.fps, sound=retiming.sound, kept=retiming.kept)
    write(drawn, sink, report, cancel)
    late = (clip.damage,) if clip.damage else ()

    def document(folder: Path | None) -> dict[str, Any]:
        final = replace(retiming, notes=(*retiming.notes, *late))
        whole = clip_report.of_retimed(final, counts, report, folder)
        if retiming.kept is not None and retiming.job.output != "-":
            whole["notes"] += extras.missing(retiming.kept, str(retiming.job.output))
        return whole

    return document(None) if retiming.source is None else reports.kept(retiming.base, document)
