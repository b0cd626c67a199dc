"""The renderers of a plan's segments: an engine or a diffusion model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import Interrupted, MemoryLadderError
from vtg_cli.job.easing import easing, segment_times
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.rungs import RUNGS, OutOfRungsError, ran_out
from vtg_cli.plan.pictures import Frame
from vtg_cli.plan.setup import Setup

if TYPE_CHECKING:
    from vtg_cli.backbones.base import Backbone
    from vtg_cli.flow.rife.engine import Rife
    from vtg_cli.flow.splatting import Track
    from vtg_cli.methods.captions import Captions

Frames = NDArray[np.uint8]
"""Frames [N, H, W, C]."""

Progress = Callable[[float, str], None]
"""Callback progress(share of the whole job done in [0, 1], what is being done)."""

Cancel = Callable[[], bool]
"""Function called between steps and frames; True stops the job with errors.Interrupted."""

Renderer = Callable[[Frame, Frame, Sequence[float], Progress, Cancel], Frames]
"""Function (first, last, times in [0, 1], progress of this segment, cancel) -> one frame for every
time."""

Seeded = Callable[[Sampling], Renderer]
"""Function that returns a segment's renderer, under other choices of sampling than the plan's
too."""

Load = Callable[[Setup], "Backbone"]
"""Function that loads the plan's diffusion model, ready to draw."""

OnRungs = Callable[[tuple[str, ...]], None]
"""Callback, after every segment, with the rungs of the memory ladder a model has been at."""

OnNote = Callable[[str], None]
"""Callback, while segments are drawn, with what the user should know afterwards, a sentence
each."""


def renderers(
    setup: Setup, load: Load, on_rungs: OnRungs | None = None, on_note: OnNote | None = None
) -> list[Seeded]:
    """Return what draws each segment of a plan."""
    with guarded(setup):
        if setup.model.spec is None:
            return [always(engine(setup))] * len(setup.schedule.segments)
        return diffusion(setup, load, on_rungs, on_note)


def either(cancels: Sequence[Cancel | None]) -> Cancel:
    """Return a Cancel that stops if one of these does, also one that is added later."""
    return lambda: any(cancel() for cancel in cancels if cancel is not None)


def always(renderer: Renderer) -> Seeded:
    """Return a renderer that leaves nothing to sampling."""
    return lambda sampling: renderer


def flow(
    first: Frame,
    last: Frame,
    times: Sequence[float],
    progress: Progress,
    cancel: Cancel,
    track: Callable[[], Track] | None = None,
) -> Frames:
    """Draw with the embedded engine, as a Renderer. track: as of in_between, called when due."""
    from vtg_cli.flow.engine import in_between

    on_frame = _counting(progress, cancel)
    return in_between(first, last, times, track=track and track(), on_frame=on_frame)


def engine(setup: Setup) -> Renderer:
    """Return the plan's engine as a Renderer: flow, or learned motion, read from its files."""
    if setup.model.source is None:
        return flow
    rife = _rife(setup.model.source.folder, setup.model.device, setup.job.dtype)
    return partial(learned, rife, setup.job.compile)


@lru_cache(maxsize=2)
def _rife(folder: Path, device: str, dtype: str) -> Rife:
    """Read once for all parts of a timeline and all clips of a batch."""
    from vtg_cli.flow.rife.weights import load

    return load(folder, device=device, dtype=dtype)


def learned(
    rife: Rife,
    compiled: bool,
    first: Frame,
    last: Frame,
    times: Sequence[float],
    progress: Progress,
    cancel: Cancel,
) -> Frames:
    """Draw with learned motion, as a Renderer. compiled: its stages are compiled first."""
    from vtg_cli.lowmem.compile import compiling

    with compiling(rife) if compiled else nullcontext():
        return rife.in_between(first, last, times, on_frame=_counting(progress, cancel))


def _counting(progress: Progress, cancel: Cancel) -> Callable[[int, int], None]:
    def on_frame(done: int, frames: int) -> None:
        if cancel():
            raise Interrupted("interrupted")
        progress(done / frames, "drawing")

    return on_frame


def loaded(setup: Setup) -> Backbone:
    """Load the plan's diffusion model from its files, on its memory ladder if it has one."""
    from vtg_cli.backbones import base
    from vtg_cli.plan import memory
    from vtg_cli.weights import reverse

    reversed_by = setup.model.reverse
    return memory.loaded(
        setup,
        lambda device: base.load(
            setup.model.folder,
            device=device,
            dtype=setup.job.dtype,
            reverse=reverse.load(reversed_by) if reversed_by else None,
            decode_chunk=setup.job.decode_chunk,
            motion=setup.model.motion,
        ),
    )


def once(load: Load) -> Load:
    """Return a Load that loads every model once and keeps it."""
    kept: dict[Hashable, Backbone] = {}

    def keeping(setup: Setup) -> Backbone:
        key = key_of(setup)
        if key not in kept:
            kept[key] = load(setup)
        return kept[key]

    return keeping


def key_of(setup: Setup) -> Hashable:
    """Return a key that is equal for plans that one loaded model serves."""
    job = setup.job
    return (
        *(setup.model.folder, setup.model.device, job.dtype),
        *(setup.model.reverse, setup.model.motion, job.decode_chunk, job.memory, job.lora == "fit"),
    )


def diffusion(
    setup: Setup,
    load: Load = loaded,
    on_rungs: OnRungs | None = None,
    on_note: OnNote | None = None,
) -> list[Seeded]:
    """Return the plan's diffusion model, loaded, for each segment: it draws clips of a length it
    can at even times, which are retimed where others are asked for.
    """
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.flow.engine import retime
    from vtg_cli.ground.tensor import to_pixels
    from vtg_cli.lowmem.ladder import Ladder
    from vtg_cli.media.image import fit
    from vtg_cli.methods import papers
    from vtg_cli.methods.captions import Captions

    job = setup.job
    identity = ""
    if job.lora != "off":
        from vtg_cli.render import fitting

        identity = fitting.identity_of(setup.model.folder)
    backbone = load(setup)

    def draw(
        captions: Captions | None,
        sampling: Sampling,
        first: Frame,
        last: Frame,
        times: Sequence[float],
        progress: Progress,
        cancel: Cancel,
    ) -> Frames:
        length = backbone.spec.drawn(len(times))
        even = segment_times(length, easing("linear"))
        small = [fit(key, *setup.drawn, "stretch") for key in (first, last)]
        ends = Keyframes.ends(to_pixels(small[0]), to_pixels(small[1]), length)
        adapted: AbstractContextManager[None] = nullcontext()
        if job.lora != "off":
            with guarded(setup, " while it was fitted to the keyframes", "--lora off, --fast"):
                adapted, progress = fitting.learned(
                    *(backbone, ends, captions, job),
                    identity=identity,
                    progress=progress,
                    cancel=cancel,
                    on_note=on_note,
                )
        with adapted:
            frames = papers.render(
                *(backbone, ends, sampling),
                captions=captions,
                compiled=job.compile,
                progress=progress,
                cancel=cancel,
            )
        if isinstance(backbone, Ladder) and on_rungs is not None:
            on_rungs(backbone.tried)
        frames = frames if list(times) == even else retime(frames, times)
        return frames if setup.drawn == setup.shape[:2] else _detailed(frames, first, last, cancel)

    captioned = bool(job.prompts or job.negative_prompt)
    curve, negative = job.text_curve, job.negative_prompt or ""
    return [
        partial(partial, draw, Captions(*pair, negative, curve) if captioned else None)
        for pair in setup.captions
    ]


def _detailed(frames: Frames, first: Frame, last: Frame, cancel: Cancel) -> Frames:
    from vtg_cli.flow.detail import detailed

    def on_frame(done: int, frames: int) -> None:
        if cancel():
            raise Interrupted("interrupted")

    return detailed(frames, first, last, on_frame=on_frame)


@contextmanager
def guarded(setup: Setup, when: str = "", instead: str = "") -> Iterator[None]:
    """Word running out of memory in one way, whoever ran out of it.

    when: end of the message
    instead: options that ask for less
    """
    try:
        yield
    except Exception as error:
        if not ran_out(error):
            raise
        height, width, _ = setup.shape
        spec = setup.model.spec
        chunked = spec is not None and "--decode-chunk" not in spec.unused
        less = "--decode-chunk 1, --dtype fp16" if chunked else "fewer --frames a segment"
        if isinstance(error, OutOfRungsError):
            when += f", at --memory {', '.join(error.tried)}"
            lower = setup.job.memory not in ("auto", RUNGS[-1].name)
            fewer = spec is not None and spec.longest is not None
            less = "--memory auto" if lower else "fewer --frames a segment" if fewer else ""
        raise MemoryLadderError(
            f"out of memory on {setup.model.device}: {setup.model.name} at {width}x{height}{when}",
            ", ".join(filter(None, ("ask for less: --width and --height", instead or less))),
            subject=setup.model.name,
        ) from error


def silent(share: float, phase: str) -> None:
    """Ignore progress."""


def never() -> bool:
    """Return False: a Cancel that lets everything run."""
    return False
