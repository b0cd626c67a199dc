"""The rungs of the memory ladder that a plan's model may use, and the one where `--memory auto`
begins: the first that the cost model (machine/cost.py) expects to fit. What it gets wrong costs a
step down, which is seen in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from vtg_cli.backbones import footprint
from vtg_cli.backbones.base import model_of
from vtg_cli.flow import rates
from vtg_cli.job.methods import METHODS
from vtg_cli.machine import cost, hardware
from vtg_cli.machine.cost import Work
from vtg_cli.machine.hardware import Memory
from vtg_cli.machine.rungs import NAMED, Rung, allowed, ran_out
from vtg_cli.plan.setup import Setup

if TYPE_CHECKING:
    from vtg_cli.backbones.base import Backbone
    from vtg_cli.lowmem.ladder import Movable


def has_ladder(setup: Setup) -> bool:
    """Return whether rungs mean anything to the plan's model."""
    return setup.model.spec is not None and "--memory" not in setup.model.spec.unused


def ladder(setup: Setup, room: Memory | None) -> tuple[Rung, ...]:
    """Return the rungs that may be used, the one to begin with first.

    room: of the model's device, None: unknown

    On a CPU running terms one by one costs nothing.
    """
    rungs = allowed(setup.job.memory, setup.job.lora)
    if setup.job.memory != "auto":
        return rungs
    rungs = rungs[1:] if setup.model.device == "cpu" else rungs
    fitting = (i for i, rung in enumerate(rungs) if fits(rung, setup, room))
    return rungs[next(fitting, len(rungs) - 1) :]


def fits(rung: Rung, setup: Setup, room: Memory | None) -> bool:
    """Return whether a rung is expected to fit on the plan's device."""
    return room is None or cost.fits(work_of(setup, rung), room.total, room.free)


def room_of(setup: Setup) -> Memory | None:
    """Return the memory of the plan's device; None if it does not say, or nothing depends on it."""
    if setup.job.memory != "auto":
        return None
    device = setup.model.device
    return hardware.memory() if device == "cpu" else hardware.gpu_memory(device)


def work_of(setup: Setup, rung: Rung, segments: tuple[int, ...] | None = None) -> Work:
    """Return a plan's work on this machine at a rung. segments: in place of the plan's."""
    lengths = setup.schedule.segments if segments is None else segments
    height, width = setup.shape[:2]
    if setup.model.spec is None or setup.model.source is None:
        return Work(  # of a GPU that draws learned motion nothing was measured: as on the CPU
            rates=rates.RIFE if setup.model.source else rates.FLOW,
            device="cpu",
            segments=lengths,
            drawn=lengths,
            size=(height, width),
            canvas=(height, width),
        )
    job, share = setup.job, len(lengths) / len(setup.schedule.segments)
    item = footprint.ITEM.get(job.dtype, 4)
    folder = setup.model.source.folder
    guided = max(job.sampling.guidance or (1.0, 1.0)) > 1 and setup.model.device != "cpu"
    return Work(
        rates=rates.guided(model_of(folder).rates)
        if setup.model.motion
        else model_of(folder).rates,
        device=setup.model.device,
        segments=lengths,
        drawn=tuple(setup.model.spec.drawn(n) for n in lengths),
        size=(height, width),
        canvas=setup.drawn,
        model=footprint.in_memory(folder, item, setup.model.spec.factor),
        evaluations=round((setup.evaluations - setup.inversions) * share),
        singles=round(setup.inversions * share),
        fits=setup.fit_steps,
        batch=METHODS[job.sampling.method or ""].directions,
        terms=2 if guided else 1,
        item=item,
        chunk=job.decode_chunk,
        rung=rung,
    )


def first(setup: Setup, room: Memory | None) -> Rung:
    """Return the rung to begin with; for a model without a ladder, one that changes nothing."""
    return ladder(setup, room)[0] if has_ladder(setup) else NAMED["chunked"]


def loaded(setup: Setup, load: Callable[[str], Backbone]) -> Backbone:
    """Load the plan's model on its ladder. load: loads it with its weights on the device named.

    Where the weights alone are too much for the device, they stay on the host.
    """
    if not has_ladder(setup):
        return load(setup.model.device)
    import torch

    from vtg_cli.lowmem.ladder import Ladder

    device, rungs = setup.model.device, ladder(setup, room_of(setup))
    tried: tuple[str, ...] = ()
    while True:
        try:
            model = load(device if rungs[0].weights == "here" else "cpu")
            break
        except Exception as error:
            lower = tuple(rung for rung in rungs if rung.weights != "here")
            if not ran_out(error) or rungs[0].weights != "here" or not lower:
                raise
        tried, rungs = tuple(rung.name for rung in rungs if rung.weights == "here"), lower
    return cast(
        "Backbone",
        Ladder(
            cast("Movable", model),
            rungs,
            torch.device(device),
            decode_chunk=setup.job.decode_chunk,
            tried=tried,
        ),
    )


def told(setup: Setup) -> str:
    """Describe the rungs before the run; "" if the model has no ladder."""
    if not has_ladder(setup):
        return ""
    rungs = ladder(setup, room_of(setup))
    begin, *rest = dict.fromkeys(rung.name for rung in rungs)
    if setup.job.memory != "auto":
        return begin
    return f"auto: {begin}" + (f"; {', '.join(rest)} if memory runs out" if rest else "")


def report(rungs: Sequence[str]) -> str:
    """Describe the rungs after the run; "" if no model had a ladder."""
    if not rungs:
        return ""
    *before, last = rungs
    return f"memory: {last}" + (f", after {', '.join(before)} ran out" if before else "")
