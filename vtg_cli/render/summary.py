"""A plan for people, one fact a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vtg_cli.job.times import exact
from vtg_cli.plan import memory
from vtg_cli.plan.plan import Plan
from vtg_cli.plan.segments import TimelinePlan
from vtg_cli.plan.setup import Setup


def summary(plan: Plan | TimelinePlan, place: Path | None) -> Iterator[str]:
    """Describe the plan, one fact a line."""
    job, schedule, (height, width, channels) = plan.job, plan.schedule, plan.shape
    yield (
        f"clip      {job.output}: {schedule.total} frames at {exact(schedule.fps)} a second, "
        f"{float(schedule.duration):.4g} s, {width}x{height}{' with alpha' * (channels == 4)}"
    )
    places = zip(plan.stills, schedule.positions, strict=True)
    yield "keyframes " + ", ".join(f"{still.name} at frame {at}" for still, at in places)
    if isinstance(plan, Plan):
        yield from _drawing(plan)
    else:
        yield from _table(plan)
    yield f"report    {place or 'none'}"


def _drawing(plan: Plan) -> Iterator[str]:
    job = plan.job
    if plan.model.source is None:
        yield f"model     {plan.model.name}"
        return
    precision = f" in {job.dtype}" if job.dtype != "auto" else ""
    yield f"model     {plan.model.name} on {plan.model.device}{precision}"
    if plan.model.spec is not None:
        yield from where(plan)
        yield (
            f"sampling  {job.sampling.method} from {job.sampling.init}, {job.sampling.steps} "
            f"steps{_how(plan)}, seed {job.sampling.seed}: {_cost(plan)}"
        )
        if job.lora != "off":
            yield f"lora      {_lora(plan)}"
        if job.prompts:
            yield f"text      {'; '.join(job.prompts)} ({job.text_curve})"


def where(setup: Setup) -> Iterator[str]:
    """Yield the rungs of the memory ladder, if the plan's model has one."""
    if rungs := memory.told(setup):
        yield f"memory    {rungs}"


def _cost(plan: Plan) -> str:
    single = f", {plan.inversions} of them of single frames" if plan.inversions else ""
    whole = f", {plan.whole} of them whole" if plan.job.sampling.reuse > 1 else ""
    return f"{plan.evaluations} evaluations of the network{single}{whole}"


def _how(plan: Plan) -> str:
    """Say what is other than usual about the steps."""
    job, s = plan.job, plan.job.sampling
    own = plan.model.spec.schedules[:1] if plan.model.spec else ()
    words = [word for word in ("fast", "quality") if getattr(job, word)]
    words += [s.schedule] if s.schedule is not None and (s.schedule,) != own else []
    if s.guidance_span != (0, 1):
        words.append("guidance in {:g} to {:g} of them".format(*s.guidance_span))
    return f" ({', '.join(words)})" if words else ""


def _lora(plan: Plan) -> str:
    if plan.job.lora != "fit":
        return f"of {plan.job.lora}"
    each = plan.fit_steps // len(plan.stills)
    return f"fit: {len(plan.stills)} keyframes, {each} training steps each; those kept take none"


def _table(plan: TimelinePlan) -> Iterator[str]:
    """Describe the segments of a timeline, each with its frames, its time and how it is drawn."""
    fps, at = plan.schedule.fps, plan.schedule.positions
    for i, part in enumerate(plan.parts):
        seconds = f"{exact(at[i] / fps)} to {exact(at[i + 1] / fps)} s"
        through = ", carried on" * plan.through[i]
        yield f"segment {i + 1}: frames {at[i]} to {at[i + 1]}, {seconds}, {part.job.ease}{through}"
        yield from (f"  {line}" for line in _drawing(part))
