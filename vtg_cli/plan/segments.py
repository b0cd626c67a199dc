"""A timeline's plan: one for each segment, all of one size, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from vtg_cli.errors import UsageError, naming
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import Interpolate, Timeline
from vtg_cli.job.times import Schedule
from vtg_cli.media import encoding
from vtg_cli.media.encoding import Encoding
from vtg_cli.plan import pictures as stills
from vtg_cli.plan import plan as plans
from vtg_cli.plan.model import Choice
from vtg_cli.plan.pictures import Frame, Still
from vtg_cli.plan.plan import Plan, claimed


@dataclass(frozen=True, kw_only=True)
class TimelinePlan:
    """What will be made and how, as Plan says it of one job.

    job: with all that was left open decided; parts: the plans of its segments; notes: of them all
    """

    job: Timeline
    parts: tuple[Plan, ...]
    notes: tuple[str, ...]

    @property
    def schedule(self) -> Schedule:
        return schedule_of(self.job)

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
        """Each once, in the order they come."""
        return tuple({part.model.name: part.model for part in self.parts}.values())

    @property
    def through(self) -> tuple[bool, ...]:
        """Whether motion goes on at the end of each segment: where both sides carry it."""
        carry = [part.job.carry for part in self.parts]
        return (*(before and after for before, after in pairwise(carry)), False)

    @property
    def evaluations(self) -> int:
        return sum(part.evaluations for part in self.parts)


def schedule_of(job: Timeline) -> Schedule:
    """Of a validated timeline."""
    fps = job.segments[0].fps
    assert fps is not None
    return Schedule(tuple(n for each in job.segments for n in each.frames or ()), fps)


def planned(
    job: Interpolate | Timeline, pictures: Sequence[Frame] | None = None
) -> Plan | TimelinePlan:
    """The plan of a job of any kind; arguments and errors as of plan.plan."""
    if isinstance(job, Timeline):
        return _timeline(job, pictures)
    return plans.plan(job, pictures)


def written_to(made: Plan | TimelinePlan, output: str, choices: Encoding) -> Plan | TimelinePlan:
    """The plan with another output and encoding."""
    if isinstance(made, Plan):
        return replace(made, job=replace(made.job, output=output, encoding=choices))
    return replace(made, job=replace(made.job, output=output, encoding=choices))


def _timeline(job: Timeline, pictures: Sequence[Frame] | None) -> TimelinePlan:
    validated(job)
    form = None
    if job.output is not None:
        claimed(job.output, job.encoding, job.keyframes if pictures is None else ())
        form = encoding.format_of(job.output, job.encoding)
    read = (
        stills.from_files(job.keyframes)
        if pictures is None
        else stills.from_arrays(job.keyframes, pictures)
    )
    asked = job.encoding.alpha
    if asked is None and form is not None and form.alpha is None:
        asked = False
    parts = _parts(job.segments, read, asked)
    if len({part.shape for part in parts}) > 1:  # transparent here, opaque there
        parts = _parts(job.segments, read, False)
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


def _parts(
    segments: Sequence[Interpolate], read: Sequence[Still], alpha: bool | None
) -> list[Plan]:
    """The plans of all segments, at the size of the first."""
    parts: list[Plan] = []
    for i, (segment, pair) in enumerate(zip(segments, pairwise(read), strict=True)):
        job = replace(segment, encoding=replace(segment.encoding, alpha=alpha))
        if parts:
            job = replace(job, width=parts[0].shape[1], height=parts[0].shape[0])
        with naming(f"segment {i + 1}"):
            try:
                parts.append(plans.plan(job, read=pair))
            except UsageError as error:
                if parts and error.subject in ("--width", "--height") and segment.width is None:
                    error.message += f" ({parts[0].shape[1]}x{parts[0].shape[0]} is segment 1's)"
                raise
    return parts
