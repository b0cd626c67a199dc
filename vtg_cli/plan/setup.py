"""The setup of a job: what draws, at what size and how, decided before a picture is looked at.

Everything about options, weights and the output is checked here; of a model only its small JSON
files are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from vtg_cli.backbones.base import check_words
from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.ground.literals import Dtype
from vtg_cli.job import times
from vtg_cli.job.jobs import NEGATIVE_PROMPT, Interpolate
from vtg_cli.job.methods import METHODS, default_method, needing
from vtg_cli.job.sampling import Sampling
from vtg_cli.job.times import Schedule
from vtg_cli.machine.hardware import lacks_compiler
from vtg_cli.machine.rungs import allowed
from vtg_cli.media import encoding, image
from vtg_cli.plan.model import Choice, between_frames, choose
from vtg_cli.plan.unused import (
    defaults_of,
    doubts,
    given,
    refuse_unused,
    refuse_without_captions,
)
from vtg_cli.sampling.settings import LCM_LEVELS, LORA_STEPS, resolved
from vtg_cli.weights.catalog import CATALOG, EMBEDDED, FLOW, GUIDED
from vtg_cli.weights.reverse import Reverse, check_base, known_reverse, resolve_reverse

FOUR_K = 4096 * 2160
"""Pixels of a frame of DCI 4K."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A job with everything decided but its pictures.

    job:     what was asked for with all that was left open decided, so that it makes the same again
    model:   what draws, and why
    shape:   [H, W, C] of every frame
    drawn:   (height, width) at which the model draws
    evaluations: of the model's network for the whole clip; 0 for flow
    whole:   those among them in which its deep part is computed, all without --reuse
    inversions: those among them that look at a single frame
    fit_steps: of training before it draws, if none of it is kept from before
    notes:   what a person should know beforehand, a sentence each
    """

    job: Interpolate
    schedule: Schedule
    model: Choice
    shape: tuple[int, int, int]
    drawn: tuple[int, int]
    evaluations: int
    whole: int
    inversions: int
    fit_steps: int
    notes: tuple[str, ...]

    @property
    def parts(self) -> tuple[Setup, ...]:
        """Parts that are each drawn in one way: a job is one such part, a timeline has several."""
        return (self,)

    @property
    def models(self) -> tuple[Choice, ...]:
        """All models that draw."""
        return (self.model,)

    @property
    def through(self) -> tuple[bool, ...]:
        """Return whether motion goes on at the end of each segment; of the last, into the first."""
        within = len(self.schedule.segments) - 1
        return (self.job.carry,) * within + (self.job.carry and self.job.loop and within > 0,)

    @property
    def captions(self) -> list[tuple[str, str]]:
        """Captions of the first and last keyframe of each segment, "" where there is none."""
        captions, places = self.job.prompts or ("",), len(self.job.keyframes)
        each = captions if len(captions) == places else captions * places
        return [*pairwise([*each, *each[:1]] if self.job.loop else each)]


def chosen(job: Interpolate, *, clip: bool = False) -> Choice:
    """Return what draws a valid job, with its reverse-motion weights. WeightsError, UsageError.

    clip: it draws between the frames of a clip.
    """
    if clip and job.model == "auto":
        return between_frames(job.device)
    model = choose(job.model, job.device, allowed(job.memory, job.lora))
    return replace(model, reverse=_reverse(job, model))


def setup(job: Interpolate, model: Choice, size: tuple[int, int], opaque: str | None) -> Setup:
    """Decide and check everything about a valid job but its pictures.

    model: see `chosen`; size: (height, width) of the first picture; opaque: the name of a picture
    without transparency, None where all have it. UsageError, WeightsError.
    """
    refuse_unused(model, given(job))
    refuse_without_captions(job, model)
    schedule = times.schedule(
        len(job.keyframes),
        frames=times.placed(job.at, job.fps or model.fps) if job.at else job.frames,
        duration=job.duration,
        fps=job.fps,
        loop=job.loop,
        default_frames=model.frames,
        default_fps=model.fps,
    )
    (height, width), drawn = _sizes(job, model, size)
    alpha, notes = _output(job, model, height, width, schedule, opaque)
    sampling = _sampling(job, model)
    if model.source and (job.prompts or job.negative_prompt):
        check_words(model.source.folder, (*job.prompts, job.negative_prompt or ""))
    notes += doubts(job, model, sampling)
    lacking = lacks_compiler(model.device) if job.compile else ""
    if lacking:
        notes.append(f"note: --compile needs {lacking}, which is not here: it is left out")
    decided = replace(
        job,
        frames=schedule.segments,
        duration=None,
        at=None,
        fps=schedule.fps,
        model=_lasting(model.name),
        reverse=_reverse_name(job, model),
        reverse_base=job.reverse_base and _lasting(job.reverse_base),
        negative_prompt=_negative(job),
        lora=_lora(job.lora),
        compile=job.compile and not lacking,
        sampling=sampling,
        width=width,
        height=height,
        dtype=precision(job.dtype, model),
        encoding=replace(job.encoding, alpha=alpha),
    )
    parts, calls, whole, single = len(schedule.segments), 0, 0, 0
    if model.spec is not None:
        single = parts * model.spec.inversions(sampling)
        work = model.spec.work(sampling)
        calls, whole = parts * work.evaluations, parts * work.whole
    return Setup(
        job=decided,
        schedule=schedule,
        model=model,
        shape=(height, width, 4 if alpha else 3),
        drawn=drawn,
        evaluations=single + calls,
        whole=single + whole,
        inversions=single,
        fit_steps=LORA_STEPS * len(job.keyframes) if job.lora == "fit" else 0,
        notes=tuple(notes),
    )


def _output(
    job: Interpolate, model: Choice, height: int, width: int, schedule: Schedule, opaque: str | None
) -> tuple[bool, list[str]]:
    """Return whether frames have alpha, and what to know about the file. UsageError."""
    form = None
    if job.output is not None:
        form = encoding.check(job.output, job.encoding, height, width, schedule.fps)
    lacks = f"{opaque} has no transparency" if opaque is not None else ""
    if form is not None and form.alpha is None:
        lacks = f"{form.name} cannot keep it"
    if model.spec is not None:
        lacks = f"{model.name} draws no transparency"
    if job.encoding.alpha and lacks:
        raise UsageError(
            f"--alpha: {lacks}",
            "leave --alpha out; transparent keyframes are then laid on --background",
            subject="--alpha",
        )
    alpha = job.encoding.alpha is not False and not lacks
    notes = []
    if height * width > FOUR_K and job.width is None and job.height is None:
        notes.append(
            f"the clip is {width}x{height}, larger than 4K: --width 3840 or less is faster, and "
            "every player shows it"
        )
    if form is not None:
        notes += encoding.notes(form, height, width, schedule.fps, alpha=alpha)
    return alpha, notes


def _negative(job: Interpolate) -> str | None:
    if job.prompts and job.negative_prompt is None:
        return NEGATIVE_PROMPT
    return job.negative_prompt


def _sizes(
    job: Interpolate, model: Choice, first: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (height, width) of the clip, and at which the model draws it."""
    factor, area = (model.spec.factor, model.spec.area) if model.spec else (1, None)
    if job.detail == "model" or area is None:
        size = image.canvas([first], job.width, job.height, factor, area)
        return size, size
    size = image.canvas([first], job.width, job.height, 1)
    return size, image.canvas([size], None, None, factor, area)


def _reverse(job: Interpolate, model: Choice) -> Reverse | None:
    """Return the reverse-motion weights, if there are any to be used."""
    if model.source is None or model.spec is None:
        return None
    method = job.sampling.method
    wanted = method is None or METHODS[method].needs == "reverse"
    if job.reverse is not None:
        if not wanted:
            raise UsageError(
                f"--reverse means nothing to --method {method}",
                "leave one of them out; reverse-motion weights are for method "
                f"{needing('reverse')}",
                subject="--reverse",
            )
        chosen = resolve_reverse(job.reverse, job.reverse_base)
        check_base(chosen, model.source)
        return chosen
    reverse = known_reverse(model.source) if wanted else None
    if reverse is None and wanted and method is not None:
        name = model.source.entry and model.source.entry.reverse
        raise WeightsError(
            f"--method {method} needs reverse-motion weights, which are not on this machine",
            (f"vtg models pull {name}; or " if name else "")
            + f"--reverse FILE; --method {default_method(has_reverse=False)} needs none",
            subject="--method",
        )
    return reverse


def _reverse_name(job: Interpolate, model: Choice) -> str | None:
    """Return the name by which the reverse-motion weights are found again."""
    if job.reverse is not None:
        return _lasting(job.reverse)
    entry = model.source.entry if model.source and model.reverse else None
    return entry.reverse if entry else None


def _sampling(job: Interpolate, model: Choice) -> Sampling:
    if model.spec is None:
        return job.sampling
    own = job.sampling.motion_fps or model.spec.motion_fps
    sampling = resolved(
        replace(job.sampling, motion_fps=own),
        has_reverse=model.reverse is not None,
        defaults_of=model.spec.defaults,
    )
    assert sampling.guidance is not None
    if sampling.guidance_span != (0, 1) and max(sampling.guidance) <= 1:
        raise UsageError(
            "--guidance-span means nothing without guidance",
            "give --guidance above 1 beside it",
            subject="--guidance-span",
        )
    schedules = model.spec.schedules
    if job.sampling.schedule is None and schedules:
        few = job.fast and job.sampling.steps is None and schedules[0] == "karras"
        sampling = replace(sampling, schedule="ays" if few else schedules[0])
    defaults, steps = defaults_of(model.spec, sampling), sampling.steps
    assert steps is not None
    if job.sampling.steps is None and job.fast:
        steps = min(defaults.fast_steps, steps)
    elif job.sampling.steps is None and job.quality:
        steps = max(defaults.quality_steps, steps)
    if sampling.schedule == "lcm" and steps > LCM_LEVELS:
        raise UsageError(
            f"--steps {steps} is out of range for --schedule lcm",
            f"it goes from 1 to {LCM_LEVELS}; 4 to 8 are usual",
            subject="--steps",
        )
    return replace(sampling, steps=steps)


def _lora(lora: str) -> str:
    """Return the folder by a name that lasts. Raise UsageError if there is none."""
    if lora in ("off", "fit"):
        return lora
    folder = Path(lora).expanduser()
    if not folder.is_dir() or not any(folder.glob("*.safetensors")):
        raise UsageError(
            f"--lora {lora} is not a folder with kept fits",
            "use off, fit or such a folder; fits are kept in ~/.cache/vtg/lora",
            subject="--lora",
        )
    return str(folder.absolute())


def precision(dtype: Dtype, model: Choice) -> Dtype:
    """Return the precision by name, so that it stays when the device changes."""
    unused = model.spec.unused if model.spec else ()
    if model.source is None or "--dtype" in unused or dtype != "auto":
        return dtype
    return "fp32" if model.device == "cpu" else "fp16"


def _lasting(name: str) -> str:
    """Return a path that holds from every folder; other names as they are."""
    path = Path(name).expanduser()
    return (
        str(path.absolute())
        if name not in (*CATALOG, EMBEDDED, FLOW, GUIDED) and path.exists()
        else name
    )
