"""A plan for people, one fact a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vtg_cli.job.times import exact
from vtg_cli.plan import memory
from vtg_cli.plan.plan import Plan
from vtg_cli.plan.segments import TimelinePlan
from vtg_cli.plan.setup import Setup


def summary(made: Plan | TimelinePlan, place: Path | None) -> Iterator[str]:
    """The plan for people, one fact a line."""
    job, schedule, (height, width, channels) = made.job, made.schedule, made.shape
    yield (
        f"clip      {job.output}: {schedule.total} frames at {exact(schedule.fps)} a second, "
        f"{float(schedule.duration):.4g} s, {width}x{height}{' with alpha' * (channels == 4)}"
    )
    places = zip(made.stills, schedule.positions, strict=True)
    yield "keyframes " + ", ".join(f"{still.name} at frame {at}" for still, at in places)
    if isinstance(made, Plan):
        yield from _drawing(made)
    else:
        yield from _table(made)
    yield f"report    {place or 'none'}"


def _drawing(made: Plan) -> Iterator[str]:
    job = made.job
    if made.model.source is None:
        yield f"model     {made.model.name}"
        return
    precision = f" in {job.dtype}" if job.dtype != "auto" else ""
    yield f"model     {made.model.name} on {made.model.device}{precision}"
    if made.model.spec is not None:
        yield from where(made)
        yield (
            f"sampling  {job.sampling.method} from {job.sampling.init}, {job.sampling.steps} "
            f"steps{_how(made)}, seed {job.sampling.seed}: {_cost(made)}"
        )
        if job.lora != "off":
            yield f"lora      {_lora(made)}"
        if job.prompts:
            yield f"text      {'; '.join(job.prompts)} ({job.text_curve})"


def where(made: Setup) -> Iterator[str]:
    """The rungs of the memory ladder, where the plan's model has one."""
    if told := memory.told(made):
        yield f"memory    {told}"


def _cost(made: Plan) -> str:
    single = f", {made.inversions} of them of single frames" if made.inversions else ""
    whole = f", {made.whole} of them whole" if made.job.sampling.reuse > 1 else ""
    return f"{made.evaluations} evaluations of the network{single}{whole}"


def _how(made: Plan) -> str:
    """What is other than usual about the steps."""
    job, s = made.job, made.job.sampling
    own = made.model.spec.schedules[:1] if made.model.spec else ()
    said = [word for word in ("fast", "quality") if getattr(job, word)]
    said += [s.schedule] if s.schedule is not None and (s.schedule,) != own else []
    if s.guidance_span != (0, 1):
        said.append("guidance in {:g} to {:g} of them".format(*s.guidance_span))
    return f" ({', '.join(said)})" if said else ""


def _lora(made: Plan) -> str:
    if made.job.lora != "fit":
        return f"of {made.job.lora}"
    each = made.fit_steps // len(made.stills)
    return f"fit: {len(made.stills)} keyframes, {each} training steps each; those kept take none"


def _table(made: TimelinePlan) -> Iterator[str]:
    """The segments of a timeline, each with its frames, its time and how it is drawn."""
    fps, at = made.schedule.fps, made.schedule.positions
    for i, part in enumerate(made.parts):
        seconds = f"{exact(at[i] / fps)} to {exact(at[i + 1] / fps)} s"
        through = ", carried on" * made.through[i]
        yield f"segment {i + 1}: frames {at[i]} to {at[i + 1]}, {seconds}, {part.job.ease}{through}"
        yield from (f"  {line}" for line in _drawing(part))
