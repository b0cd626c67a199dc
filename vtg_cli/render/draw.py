"""The drawing of a plan: draw each segment, anchor it to its keyframes, hand out the frames.

Every model is one function, a Renderer (render/segments.py); all else is shared. One segment is in
memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vtg_cli.errors import Interrupted, UsageError
from vtg_cli.job.easing import segment_times
from vtg_cli.job.jobs import Drawing
from vtg_cli.media.image import flattened
from vtg_cli.plan import needs
from vtg_cli.plan.pictures import Frame
from vtg_cli.plan.plan import Plan, claimed
from vtg_cli.plan.segments import TimelinePlan, planned, written_to
from vtg_cli.plan.takes import Variant, variants
from vtg_cli.render import report as reports
from vtg_cli.render.carrying import carried, easing_of
from vtg_cli.render.findings import Report
from vtg_cli.render.report import Recorded
from vtg_cli.render.retry import Take, place, settled
from vtg_cli.render.retry import summary as findings
from vtg_cli.render.segments import (
    Cancel,
    Frames,
    Load,
    Progress,
    Renderer,
    Seeded,
    always,
    either,
    flow,
    guarded,
    loaded,
    never,
    once,
    renderers,
    silent,
)
from vtg_cli.render.summary import summary
from vtg_cli.render.work import Saved, Work
from vtg_cli.render.write import sink_of, write
from vtg_cli.weights.catalog import FLOW

DRAWING = 0.95
"""Share of a segment's time that drawing takes, about; the rest is for taking its frames."""


@dataclass
class Rendering:
    """The frames of a plan, drawn while they are taken: uint8 [H, W, C], each once, in order.

    cancels: functions, any of which stops the drawing
    """

    plan: Plan | TimelinePlan
    frames: Iterator[Frame]
    report: Report
    cancels: list[Cancel]

    def __iter__(self) -> Iterator[Frame]:
        return self.frames

    def save(
        self, output: str | None = None, *, overwrite: bool = False, sheet: str | None = None
    ) -> dict[str, Any]:
        """Draw the frames into a file, write the report beside it and return the report.

        output: in place of the plan's
        sheet: a png with frames of the clip side by side

        The clip appears whole or not at all, and the report after it. Raises UsageError or
        MediaError.
        """
        if output is not None:
            job = self.plan.job
            choices = replace(job.encoding, overwrite=overwrite, skip_existing=False)
            claimed(output, choices, job.keyframes)
            self.plan = written_to(self.plan, output, choices)
        if self.plan.job.output is None:
            raise UsageError("there is no output to save to", "name one: save('clip.mp4')")
        if self.report.seconds:
            raise UsageError(
                "frames of this rendering have been taken already",
                "save another, made the same way",
            )
        if output is not None:
            needs.checked(self.plan)  # whose disk was not known before
        self._write(self.plan.job.output, sheet)
        return reports.kept(
            self.plan, lambda folder: reports.document(self.plan, self.report, folder)
        )

    def _write(self, output: str, sheet: str | None) -> None:
        from vtg_cli.media import sheet as sheets

        shown = sheets.positions(self.plan.schedule.total) if sheet else []
        kept: list[Frame] = []

        def frames(stop: Cancel) -> Iterator[Frame]:
            self.cancels.append(stop)
            for index, frame in enumerate(self.frames):
                if index in shown:
                    kept.append(flattened(frame, self.plan.job.background))
                yield frame

        sink = write(frames, sink_of(self.plan, output), self.report)
        if sheet and not sink.closed_by_reader:
            overwrite = self.plan.job.encoding.overwrite
            sheets.save_png(sheet, sheets.contact_sheet(kept), overwrite)


def run(
    job: Drawing,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    keyframes: Sequence[Frame] | None = None,
) -> Rendering:
    """Return a job's frames. Everything is checked now, its needs of the machine included; drawing
    starts with the first frame taken.

    keyframes: uint8 [H, W, 3 or 4] that stand in for the files the job names
    """
    plan = planned(job, keyframes)
    needs.checked(plan)
    return render(plan, progress=progress, cancel=cancel)


@contextmanager
def work(
    job: Drawing,
    recorded: Recorded | None = None,
    notes: Sequence[str] = (),
    decide: Callable[[Any], Plan | TimelinePlan] = planned,
) -> Iterator[Work]:
    """Plan a job. recorded: the report it is made again from; notes: to say before its own;
    decide: `planned`, or that with a model that is chosen already.

    UsageError, MediaError or WeightsError; after it only the computation itself can fail.
    """
    total = decide(job)
    differences = reports.compare(recorded, total) if recorded else []
    total = replace(total, notes=(*notes, *total.notes, *differences))

    def save(progress: Progress | None, sheet: str | None) -> Saved:
        rendering = render(total, progress=progress)
        report, found = rendering.save(sheet=sheet), rendering.report
        segments = len(total.schedule.segments)
        quality = findings(found.outcomes, segments, total.parts[0].job.on_bad)
        return Saved(report, found.notes, quality)

    yield Work(
        models=total.models,
        notes=total.notes,
        needs=lambda: needs.checked(total),
        outline=lambda: reports.outline(total),
        lines=lambda: summary(total, reports.place_of(total)),
        save=save,
    )


def render(
    plan: Plan | TimelinePlan,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    renderer: Renderer | None = None,
    load: Load = loaded,
) -> Rendering:
    """Return a plan's frames. renderer: draws in place of its own model; load: loads that."""
    report = Report()
    draws = _draws(plan, renderer, load, report)
    cancels = [cancel or never]
    frames = _frames(plan, report, progress or silent, either(cancels), draws)
    return Rendering(plan, frames, report, cancels)


@dataclass(frozen=True)
class _Draw:
    """A segment's renderer. by: its name."""

    by: str
    seeded: Seeded


def _draws(
    plan: Plan | TimelinePlan, renderer: Renderer | None, load: Load, report: Report
) -> Callable[[], list[_Draw]]:
    """Return a function that gives one renderer per segment. Models load on its first call."""

    def draws() -> list[_Draw]:
        if renderer is not None:
            return [_Draw("the caller", always(renderer))] * len(plan.schedule.segments)
        keeping = once(load)
        told_to = report.climbed, report.noted
        seeded_draws = [
            seeded for part in plan.parts for seeded in renderers(part, keeping, *told_to)
        ]
        names = [part.model.name for part in plan.parts for _ in part.segments]
        draws_of = carried(plan, seeded_draws) if any(plan.through) else seeded_draws
        return [_Draw(*each) for each in zip(names, draws_of, strict=True)]

    return draws


def _frames(
    bridging: Plan | TimelinePlan,
    report: Report,
    progress: Progress,
    cancel: Cancel,
    prepared: Callable[[], list[_Draw]],
) -> Iterator[Frame]:
    progress(0.0, f"loading {', '.join(model.name for model in bridging.models)}")
    segments = [(part, *segment) for part in bridging.parts for segment in part.segments]
    with report.timed("loading"):
        draws = prepared()
    for i, ((part, first, last, n), draw) in enumerate(zip(segments, draws, strict=True)):
        begin, end = i / len(segments), (i + 1) / len(segments)
        drawn = begin + DRAWING * (end - begin)
        which = f" {i + 1} of {len(segments)}" if len(segments) > 1 else ""
        drawing, writing = _part(progress, begin, drawn, which), _part(progress, drawn, end, which)
        times = segment_times(n, easing_of(bridging, i))
        ends = first.pixels, last.pixels
        take = partial(_take, part, draw, *ends, times, report, drawing, cancel)
        possible = variants(part.job, draw.by)
        best, outcome = settled(take, possible, part.job, place(i + 1, len(segments)))
        report.anchors.append(best.anchors)
        report.outcomes.append(outcome)
        frames = best.frames
        ends_here = i == len(segments) - 1 and not bridging.schedule.loop
        for k, frame in enumerate(frames if ends_here else frames[:-1]):  # the next opens with it
            if cancel():
                raise Interrupted("interrupted")
            yield frame
            writing((k + 1) / n, "writing")
        del best, frames, frame  # before the next segment is drawn
    progress(1.0, "finishing")


def _take(
    plan: Plan,
    draw: _Draw,
    first: Frame,
    last: Frame,
    times: Sequence[float],
    report: Report,
    progress: Progress,
    cancel: Cancel,
    variant: Variant,
) -> Take:
    from vtg_cli.media.anchor import anchor
    from vtg_cli.quality.segment import judge

    sampling = replace(plan.job.sampling, seed=variant.seed, temperature=variant.temperature)
    fallen_back = variant.by == FLOW and draw.by != FLOW
    renderer = flow if fallen_back else draw.seeded(sampling)
    with report.timed("drawing"), guarded(plan):
        frames: Frames = renderer(first, last, times, progress, cancel)
    with report.timed("anchoring"), guarded(plan):
        frames, anchors = anchor(frames, first, last, plan.job.endpoints)
    with report.timed("judging"):
        return Take(frames, anchors, judge(frames, times))


def _part(progress: Progress, begin: float, end: float, which: str) -> Progress:
    """Return the progress of a part that takes the whole from share `begin` to `end`."""
    return lambda share, phase: progress(begin + share * (end - begin), phase + which)
