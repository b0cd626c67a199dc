"""What is done with a plan: draw each segment, anchor it to its keyframes, hand out the frames.

Every model is one function, a Renderer; all else is shared. One segment is in memory at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vtg_cli import __version__, sidecar, timing
from vtg_cli.choice import FLOW
from vtg_cli.errors import Interrupted, MemoryLadderError, UsageError
from vtg_cli.job import Interpolate
from vtg_cli.plan import Plan, claimed, plan
from vtg_cli.retakes import Take, Variant, place, settled, variants
from vtg_cli.sampling.settings import Sampling
from vtg_cli.stills import Frame, flattened

if TYPE_CHECKING:
    from vtg_cli.media.anchor import AnchorReport
    from vtg_cli.retakes import Outcome

Frames = NDArray[np.uint8]
"""[N, H, W, C]"""

Progress = Callable[[float, str], None]
"""progress(share of the whole job done in [0, 1], what is being done)"""

Cancel = Callable[[], bool]
"""Asked between steps and frames; True stops the job with errors.Interrupted."""

DRAWING = 0.95
"""Share of a segment's time that drawing takes, about; the rest is for taking its frames."""

Renderer = Callable[[Frame, Frame, Sequence[float], Progress, Cancel], Frames]
"""(first, last, times in [0, 1], progress of this segment, cancel) -> one frame for every time"""

Seeded = Callable[[Sampling], Renderer]
"""What draws a segment, under other choices of sampling than the plan's too"""


@dataclass
class Report:
    """What a run found out; complete when the last frame has been taken.

    anchors, outcomes: of each segment; seconds: spent in each phase.
    """

    anchors: list[AnchorReport] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Adds the block's time to a phase."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + perf_counter() - start


@dataclass
class Rendering:
    """The frames of a plan, drawn while they are taken: uint8 [H, W, C], each once, in order."""

    plan: Plan
    frames: Iterator[Frame]
    report: Report

    def __iter__(self) -> Iterator[Frame]:
        return self.frames

    def save(
        self, output: str | None = None, *, overwrite: bool = False, sheet: str | None = None
    ) -> dict[str, Any]:
        """Draws the frames into a file and writes the report beside it; returns the report.

        output: in place of the plan's. sheet: a png with frames of the clip side by side.
        The clip appears whole or not at all, and the report after it. UsageError, MediaError.
        """
        if output is not None:
            job = self.plan.job
            choices = replace(job.encoding, overwrite=overwrite, skip_existing=False)
            claimed(output, choices, job.keyframes)
            self.plan = replace(self.plan, job=replace(job, output=output, encoding=choices))
        if self.plan.job.output is None:
            raise UsageError("there is no output to save to", "name one: save('clip.mp4')")
        if self.report.seconds:
            raise UsageError(
                "frames of this rendering have been taken already",
                "save another, made the same way",
            )
        self._write(self.plan.job.output, sheet)
        place = sidecar.place_of(self.plan)
        found = sidecar.document(self.plan, self.report, place.parent if place else None)
        if place is not None:
            sidecar.write(place, found)
        return found

    def _write(self, output: str, sheet: str | None) -> None:
        from vtg_cli.media import sheet as sheets
        from vtg_cli.media.video import open_sink

        job, (height, width, channels) = self.plan.job, self.plan.shape
        name = Path(self.plan.model.name).name  # of a folder, not where it lies
        made_with = f"made with vtg {__version__}, model {name}"
        shown = sheets.positions(self.plan.schedule.total) if sheet else []
        kept: list[Frame] = []
        with open_sink(
            output,
            job.encoding,
            height=height,
            width=width,
            channels=channels,
            fps=self.plan.schedule.fps,
            comment=made_with if job.encoding.metadata else None,
        ) as sink:
            for index, frame in enumerate(self.frames):
                if index in shown:
                    kept.append(flattened(frame, job.background))
                with self.report.timed("encoding"):
                    sink.write(frame)
                if sink.closed_by_reader:
                    return
        if sheet:
            sheets.save_png(sheet, sheets.contact_sheet(kept))


def run(
    job: Interpolate,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    keyframes: Sequence[Frame] | None = None,
) -> Rendering:
    """A job's frames. Everything is checked now; drawing starts with the first frame taken.

    keyframes: uint8 [H, W, 3 or 4] that stand in for the files the job names.
    """
    return render(plan(job, keyframes), progress=progress, cancel=cancel)


def render(
    made: Plan,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    renderer: Renderer | None = None,
) -> Rendering:
    """A plan's frames. renderer: draws in place of the plan's own model."""
    report = Report()
    frames = _frames(made, report, progress or _silent, cancel or _never, renderer)
    return Rendering(made, frames, report)


def _frames(
    made: Plan, report: Report, progress: Progress, cancel: Cancel, renderer: Renderer | None
) -> Iterator[Frame]:
    progress(0.0, f"loading {made.model.name}")
    with report.timed("loading"), _memory(made):
        same = renderer or (flow if made.model.spec is None else None)
        draws = [_always(same)] * len(made.schedule.segments) if same else diffusion(made)
    possible = variants(made.job, "the caller" if renderer else made.model.name)
    segments = made.segments
    for i, ((_, _, n), draw) in enumerate(zip(segments, draws, strict=True)):
        begin, end = i / len(segments), (i + 1) / len(segments)
        drawn = begin + DRAWING * (end - begin)
        which = f" {i + 1} of {len(segments)}" if len(segments) > 1 else ""
        drawing, writing = _part(progress, begin, drawn, which), _part(progress, drawn, end, which)
        take = partial(_take, made, i, draw, report, drawing, cancel)
        best, outcome = settled(take, possible, made.job, place(i + 1, len(segments)))
        report.anchors.append(best.anchors)
        report.outcomes.append(outcome)
        frames = best.frames
        ends_here = i == len(segments) - 1 and not made.job.loop
        for k, frame in enumerate(frames if ends_here else frames[:-1]):  # the next opens with it
            if cancel():
                raise Interrupted("interrupted")
            yield frame
            writing((k + 1) / n, "writing")
        del best, frames, frame  # before the next segment is drawn
    progress(1.0, "finishing")


def _take(
    made: Plan,
    index: int,
    draw: Seeded,
    report: Report,
    progress: Progress,
    cancel: Cancel,
    variant: Variant,
) -> Take:
    from vtg_cli.media.anchor import anchor
    from vtg_cli.metrics.segment import judge

    sampling = replace(made.job.sampling, seed=variant.seed, temperature=variant.temperature)
    renderer = flow if variant.by == FLOW else draw(sampling)
    first, last, n = made.segments[index]
    times = timing.segment_times(n, timing.easing(made.job.ease))
    with report.timed("drawing"), _memory(made):
        frames = renderer(first.pixels, last.pixels, times, progress, cancel)
    with report.timed("anchoring"), _memory(made):
        frames, found = anchor(frames, first.pixels, last.pixels, made.job.endpoints)
    with report.timed("judging"):
        return Take(frames, found, judge(frames, times))


def _always(renderer: Renderer) -> Seeded:
    return lambda sampling: renderer


def _part(progress: Progress, begin: float, end: float, which: str) -> Progress:
    """Progress of a part that takes the whole from share `begin` to `end`."""
    return lambda share, phase: progress(begin + share * (end - begin), phase + which)


def flow(
    first: Frame, last: Frame, times: Sequence[float], progress: Progress, cancel: Cancel
) -> Frames:
    """The embedded engine as a Renderer."""
    from vtg_cli.backbones.flow import in_between

    def on_frame(done: int, frames: int) -> None:
        if cancel():
            raise Interrupted("interrupted")
        progress(done / frames, "drawing")

    return in_between(first, last, times, on_frame=on_frame)


def diffusion(made: Plan) -> list[Seeded]:
    """The plan's diffusion model, loaded, for each segment: it draws clips of a length it can at
    even times, which are retimed where others are asked for."""
    from vtg_cli import methods
    from vtg_cli.backbones import base
    from vtg_cli.backbones.flow import retime
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.media.image import fit
    from vtg_cli.tensor import to_pixels
    from vtg_cli.weights import reverse

    assert made.model.source is not None
    job = made.job
    identity = ""
    if job.lora != "off":
        from vtg_cli import fitting

        identity = fitting.identity_of(made.model.source.folder)
    backbone = base.load(
        made.model.source.folder,
        device=made.model.device,
        dtype=job.dtype,
        reverse=reverse.load(made.reverse) if made.reverse else None,
        decode_chunk=job.decode_chunk,
    )

    def draw(
        captions: methods.Captions | None,
        sampling: Sampling,
        first: Frame,
        last: Frame,
        times: Sequence[float],
        progress: Progress,
        cancel: Cancel,
    ) -> Frames:
        length = backbone.spec.drawn(len(times))
        even = timing.segment_times(length, timing.easing("linear"))
        small = [fit(key, *made.drawn, "stretch") for key in (first, last)]
        ends = Keyframes.ends(to_pixels(small[0]), to_pixels(small[1]), length)
        adapted: AbstractContextManager[None] = nullcontext()
        if job.lora != "off":
            with _memory(made, " while it was fitted to the keyframes", "--lora off, --fast"):
                adapted, progress = fitting.learned(
                    *(backbone, ends, captions, job),
                    identity=identity,
                    progress=progress,
                    cancel=cancel,
                )
        with adapted:
            frames = methods.render(
                backbone, ends, sampling, captions=captions, progress=progress, cancel=cancel
            )
        frames = frames if list(times) == even else retime(frames, times)
        return frames if made.drawn == made.shape[:2] else _detailed(frames, first, last, cancel)

    said = bool(job.prompts or job.negative_prompt)
    curve, negative = job.text_curve, job.negative_prompt or ""
    return [
        partial(partial, draw, methods.Captions(*pair, negative, curve) if said else None)
        for pair in made.captions
    ]


def _detailed(frames: Frames, first: Frame, last: Frame, cancel: Cancel) -> Frames:
    from vtg_cli.backbones.detail import detailed

    def on_frame(done: int, frames: int) -> None:
        if cancel():
            raise Interrupted("interrupted")

    return detailed(frames, first, last, on_frame=on_frame)


@contextmanager
def _memory(made: Plan, when: str = "", instead: str = "") -> Iterator[None]:
    """Says out of memory in one way, whoever ran out of it. when: as the message ends; instead:
    options that ask for less.
    """
    try:
        yield
    except Exception as error:
        torch = sys.modules.get("torch")
        gpu = torch is not None and isinstance(error, torch.OutOfMemoryError)
        if not gpu and not isinstance(error, MemoryError) and "can't allocate" not in str(error):
            raise
        height, width, _ = made.shape
        spec = made.model.spec
        chunked = spec is not None and "--decode-chunk" not in spec.unused
        less = "--decode-chunk 1, --dtype fp16" if chunked else "fewer --frames a segment"
        raise MemoryLadderError(
            f"out of memory on {made.model.device}: {made.model.name} at {width}x{height}{when}",
            f"ask for less: --width and --height, {instead or less}",
            subject=made.model.name,
        ) from error


def _silent(share: float, phase: str) -> None:
    pass


def _never() -> bool:
    return False
