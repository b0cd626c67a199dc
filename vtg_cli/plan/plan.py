"""From a job to a plan: every choice made, everything checked, before anything is computed.

A plan holds the keyframes as they will appear, so a picture that cannot be read fails here; of a
model only its small JSON files are looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from vtg_cli.backbones.base import check_words
from vtg_cli.errors import UsageError, WeightsError, no_folder
from vtg_cli.ground.literals import Dtype
from vtg_cli.job import times
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import NEGATIVE_PROMPT, Interpolate
from vtg_cli.job.sampling import Sampling
from vtg_cli.job.times import Schedule
from vtg_cli.machine.hardware import lacks_compiler
from vtg_cli.machine.rungs import allowed
from vtg_cli.media import encoding, image
from vtg_cli.media.formats import Format
from vtg_cli.plan import pictures as stills
from vtg_cli.plan.model import Choice, choose
from vtg_cli.plan.pictures import Frame, Still
from vtg_cli.plan.unused import (
    defaults_of,
    doubts,
    given,
    refuse_unused,
    refuse_without_captions,
)
from vtg_cli.sampling.settings import LCM_LEVELS, LORA_STEPS, resolved
from vtg_cli.weights.catalog import CATALOG, EMBEDDED, FLOW
from vtg_cli.weights.reverse import Reverse, known_reverse, resolve_reverse


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be made and how.

    job:     what was asked for with all that was left open decided, so that it makes the same again
    stills:  the keyframes, fitted
    model:   what draws, and why
    drawn:   (height, width) at which it draws
    reverse: its reverse-motion weights, if any
    evaluations: of the model's network for the whole clip; 0 for flow
    whole:   those among them in which its deep part is computed, all without --reuse
    inversions: those among them that look at a single frame
    fit_steps: of training before it draws, if none of it is kept from before
    notes:   what a person should know beforehand, a sentence each
    """

    job: Interpolate
    schedule: Schedule
    stills: tuple[Still, ...]
    model: Choice
    drawn: tuple[int, int]
    reverse: Reverse | None
    evaluations: int
    whole: int
    inversions: int
    fit_steps: int
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """[H, W, C] of every frame."""
        height, width, channels = self.stills[0].pixels.shape
        return height, width, channels

    @property
    def parts(self) -> tuple[Plan, ...]:
        """What is drawn in one way each: a plan is one such part, a timeline has several."""
        return (self,)

    @property
    def models(self) -> tuple[Choice, ...]:
        """All that draw."""
        return (self.model,)

    @property
    def segments(self) -> list[tuple[Still, Still, int]]:
        """First keyframe, last keyframe and number of frames of each segment."""
        circle = [*self.stills, *self.stills[:1]] if self.job.loop else self.stills
        pairs = zip(pairwise(circle), self.schedule.segments, strict=True)
        return [(first, last, n) for (first, last), n in pairs]

    @property
    def through(self) -> tuple[bool, ...]:
        """Whether motion goes on at the end of each segment; of the last, into the first."""
        within = len(self.schedule.segments) - 1
        return (self.job.carry,) * within + (self.job.carry and self.job.loop and within > 0,)

    @property
    def captions(self) -> list[tuple[str, str]]:
        """Of the first and of the last keyframe of each segment, "" where nothing is said."""
        said, places = self.job.prompts or ("",), len(self.stills)
        each = said if len(said) == places else said * places
        return [*pairwise([*each, *each[:1]] if self.job.loop else each)]


def claimed(output: str, choices: encoding.Encoding, inputs: Collection[str] = ()) -> bool:
    """Whether `output` is to be written; False: it exists and is to be left.

    UsageError or MediaError where it cannot be, or would replace one of the `inputs`.
    """
    form = encoding.check(output, choices)
    if output == "-":
        return True
    path = Path(output)
    folder = path.parent.parent if form.name == "png" else path.parent
    if not folder.is_dir():
        raise no_folder(output, folder)
    return encoding.claim(output, choices, inputs)


def plan(
    job: Interpolate,
    pictures: Sequence[Frame] | None = None,
    *,
    read: Sequence[Still] | None = None,
) -> Plan:
    """Decides and checks everything about a job.

    pictures: uint8 [H, W, 3 or 4] that stand in for the files `job.keyframes` names.
    read: the keyframes where they have been read already.

    UsageError, MediaError or WeightsError; after it only the computation itself can fail.
    """
    validated(job)
    if job.output is not None:
        claimed(job.output, job.encoding, job.keyframes if pictures is None else ())
    model = choose(job.model, job.device, allowed(job.memory, job.lora))
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
    if read is None:
        arrays = pictures and stills.from_arrays(job.keyframes, pictures)
        read = arrays or stills.from_files(job.keyframes)
    (height, width), drawn = _sizes(job, model, [still.size for still in read])
    form = encoding.format_of(job.output, job.encoding) if job.output is not None else None
    alpha = stills.keeps_alpha(job.encoding.alpha, _forbids_alpha(model, form), read)
    notes = [*stills.notes(job, read, height, width, alpha)]
    if form is not None and job.output is not None:
        encoding.check(job.output, job.encoding, height, width, schedule.fps)
        notes += encoding.notes(form, height, width, schedule.fps, alpha=alpha)
    reverse, reverse_name = _reverse(job, model)
    sampling = _sampling(job, model, reverse)
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
        reverse=reverse_name,
        reverse_base=job.reverse_base and _lasting(job.reverse_base),
        negative_prompt=_negative(job),
        lora=_lora(job.lora),
        compile=job.compile and not lacking,
        sampling=sampling,
        width=width,
        height=height,
        dtype=_dtype(job.dtype, model),
        encoding=replace(job.encoding, alpha=alpha),
    )
    parts, calls, whole, single = len(schedule.segments), 0, 0, 0
    if model.spec is not None:
        single = parts * model.spec.inversions(sampling)
        work = model.spec.work(sampling)
        calls, whole = parts * work.evaluations, parts * work.whole
    return Plan(
        job=decided,
        schedule=schedule,
        stills=tuple(stills.fitted(still, job, height, width, alpha) for still in read),
        model=model,
        drawn=drawn,
        reverse=reverse,
        evaluations=single + calls,
        whole=single + whole,
        inversions=single,
        fit_steps=LORA_STEPS * len(read) if job.lora == "fit" else 0,
        notes=tuple(notes),
    )


def _negative(job: Interpolate) -> str | None:
    if job.prompts and job.negative_prompt is None:
        return NEGATIVE_PROMPT
    return job.negative_prompt


def _sizes(
    job: Interpolate, model: Choice, sizes: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) of the clip, and at which the model draws it."""
    factor, area = (model.spec.factor, model.spec.area) if model.spec else (1, None)
    if job.detail == "model" or area is None:
        size = image.canvas(sizes, job.width, job.height, factor, area)
        return size, size
    size = image.canvas(sizes, job.width, job.height, 1)
    return size, image.canvas([size], None, None, factor, area)


def _forbids_alpha(model: Choice, form: Format | None) -> str:
    if model.spec is not None:
        return f"{model.name} draws no transparency"
    return f"{form.name} cannot keep it" if form is not None and form.alpha is None else ""


def _reverse(job: Interpolate, model: Choice) -> tuple[Reverse | None, str | None]:
    """The reverse-motion weights and the name they are found by again."""
    wanted = job.sampling.method in (None, "gi")
    if job.reverse is not None:
        if not wanted:
            raise UsageError(
                f"--reverse means nothing to --method {job.sampling.method}",
                "leave one of them out; reverse-motion weights are for method gi",
                subject="--reverse",
            )
        return resolve_reverse(job.reverse, job.reverse_base), _lasting(job.reverse)
    known = known_reverse(model.source) if model.source and wanted else None
    entry = model.source.entry if model.source else None
    if known is None and job.sampling.method == "gi":
        name = entry.reverse if entry else None
        raise WeightsError(
            "--method gi needs reverse-motion weights, which are not on this machine",
            (f"vtg models pull {name}; or " if name else "")
            + "--reverse FILE; --method trf needs none",
            subject="--method",
        )
    return known, entry.reverse if known and entry else None


def _sampling(job: Interpolate, model: Choice, reverse: Reverse | None) -> Sampling:
    if model.spec is None:
        return job.sampling
    own = job.sampling.motion_fps or model.spec.motion_fps
    sampling = resolved(
        replace(job.sampling, motion_fps=own),
        has_reverse=reverse is not None,
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


def _lora(asked: str) -> str:
    """The folder by a name that lasts. UsageError where there is none."""
    if asked in ("off", "fit"):
        return asked
    folder = Path(asked).expanduser()
    if not folder.is_dir() or not any(folder.glob("*.safetensors")):
        raise UsageError(
            f"--lora {asked} is no folder that a fit has kept anything in",
            "use off, fit or such a folder; they lie in ~/.cache/vtg/lora",
            subject="--lora",
        )
    return str(folder.absolute())


def _dtype(asked: Dtype, model: Choice) -> Dtype:
    """The precision by name, so that it stays when the device changes."""
    if model.spec is None or "--dtype" in model.spec.unused or asked != "auto":
        return asked
    return "fp32" if model.device == "cpu" else "fp16"


def _lasting(name: str) -> str:
    """A path that holds from every folder; other names as they are."""
    path = Path(name).expanduser()
    return (
        str(path.absolute()) if name not in (*CATALOG, EMBEDDED, FLOW) and path.exists() else name
    )
