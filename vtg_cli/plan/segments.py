"""A timeline's plan: one for each segment, all of one size, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import overload

from vtg_cli.errors import UsageError, naming
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import Interpolate, Timeline
from vtg_cli.job.times import Schedule
from vtg_cli.media import encoding
from vtg_cli.media.encoding import Encoding
from vtg_cli.plan import pictures as stills
from vtg_cli.plan.model import Choice
from vtg_cli.plan.pictures import Frame, Still
from vtg_cli.plan.plan import Plan, plan
from vtg_cli.plan.setup import Setup, chosen, setup


@dataclass(frozen=True, kw_only=True)
class TimelinePlan:
    """A timeline with every choice made, as Plan is for one job.

    job: with all that was left open decided
    parts: the plans of its segments
    notes: of them all
    """

    job: Timeline
    parts: tuple[Plan, ...]
    notes: tuple[str, ...]

    @property
    def schedule(self) -> Schedule:
        frames = (n for part in self.parts for n in part.schedule.segments)
        return Schedule(tuple(frames), self.parts[0].schedule.fps)

    @property
    def stills(self) -> tuple[Still, ...]:
        """Every keyframe once, fitted."""
        return (self.parts[0].stills[0], *(part.stills[1] for part in self.parts))

    @property
    def shape(self) -> tuple[int, int, int]:
        """[H, W, C] of every frame."""
        return self.parts[0].shape

    @property
    def models(self) -> tuple[Choice, ...]:
        """All models, each once, in the order they come."""
        return tuple({part.model.name: part.model for part in self.parts}.values())

    @property
    def through(self) -> tuple[bool, ...]:
        """Return whether motion goes on at the end of each segment: where both sides carry it."""
        carry = [part.job.carry for part in self.parts]
        return (*(before and after for before, after in pairwise(carry)), False)

    @property
    def evaluations(self) -> int:
        return sum(part.evaluations for part in self.parts)


def schedule_of(job: Timeline) -> Schedule:
    """Return the schedule of a validated timeline."""
    fps = job.segments[0].fps
    assert fps is not None
    return Schedule(tuple(n for each in job.segments for n in each.frames or ()), fps)


@overload
def planned(
    job: Interpolate, pictures: Sequence[Frame] | None = None, *, model: Choice | None = None
) -> Plan: ...


@overload
def planned(job: Timeline, pictures: Sequence[Frame] | None = None) -> TimelinePlan: ...


def planned(
    job: Interpolate | Timeline,
    pictures: Sequence[Frame] | None = None,
    *,
    model: Choice | None = None,
) -> Plan | TimelinePlan:
    """Decide and check everything about a job; whether its output may be written is asked before.

    pictures: uint8 [H, W, 3 or 4] that stand in for the files `job.keyframes` names.
    model: what draws, where that is chosen already.

    UsageError, MediaError or WeightsError; after it only the computation itself can fail.
    """
    validated(job)
    if isinstance(job, Timeline):
        return _timeline(job, _read(job, pictures))
    model = model or chosen(job)
    read = _read(job, pictures)
    return plan(setup(job, model, read[0].size, stills.opaque(read)), read)


def _read(job: Interpolate | Timeline, pictures: Sequence[Frame] | None) -> list[Still]:
    if pictures is None:
        return stills.from_files(job.keyframes)
    return stills.from_arrays(job.keyframes, pictures)


def written_to(
    job_plan: Plan | TimelinePlan, output: str, choices: Encoding
) -> Plan | TimelinePlan:
    """Return the plan with another output and encoding."""
    if isinstance(job_plan, Plan):
        return replace(job_plan, job=replace(job_plan.job, output=output, encoding=choices))
    return replace(job_plan, job=replace(job_plan.job, output=output, encoding=choices))


def _timeline(job: Timeline, read: Sequence[Still]) -> TimelinePlan:
    form = None if job.output is None else encoding.format_of(job.output, job.encoding)
    wants_alpha = job.encoding.alpha
    if wants_alpha is None and form is not None and form.alpha is None:
        wants_alpha = False
    models: list[Choice] = []
    for i, segment in enumerate(job.segments):
        with naming(f"segment {i + 1}"):
            models.append(chosen(segment))
    setups = _setups(job, models, read, wants_alpha)
    if len({each.shape for each in setups}) > 1:  # transparent here, opaque there
        setups = _setups(job, models, read, False)
    parts = [plan(each, pair) for each, pair in zip(setups, pairwise(read), strict=True)]
    height, width, channels = parts[0].shape
    notes = [note for part in parts for note in part.notes]
    if form is not None and job.output is not None:
        fps = parts[0].schedule.fps
        encoding.check(job.output, job.encoding, height, width, fps)
        notes += encoding.notes(form, height, width, fps, alpha=channels == 4)
    decided = replace(
        job,
        segments=tuple(replace(part.job, encoding=Encoding()) for part in parts),
        encoding=replace(job.encoding, alpha=channels == 4),
    )
    return TimelinePlan(job=decided, parts=tuple(parts), notes=tuple(dict.fromkeys(notes)))


def _setups(
    job: Timeline, models: Sequence[Choice], read: Sequence[Still], alpha: bool | None
) -> list[Setup]:
    """Return the setups of all segments, at the size of the first."""
    setups: list[Setup] = []
    each = zip(job.segments, models, pairwise(read), strict=True)
    for i, (segment, model, pair) in enumerate(each):
        wanted = replace(segment, encoding=replace(segment.encoding, alpha=alpha))
        if setups:
            wanted = replace(wanted, width=setups[0].shape[1], height=setups[0].shape[0])
        with naming(f"segment {i + 1}"):
            try:
                setups.append(setup(wanted, model, pair[0].size, stills.opaque(pair)))
            except UsageError as error:
                if setups and error.subject in ("--width", "--height") and segment.width is None:
                    height, width, _ = setups[0].shape
                    error.message += f" ({width}x{height} is segment 1's)"
                raise
    return setups
