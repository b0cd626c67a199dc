"""Which rungs of the memory ladder a plan's model may use, and where `--memory auto` begins: at the
first that the cost model (machine/cost.py) expects to fit. What it gets wrong costs a step down,
which is seen in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from vtg_cli.machine import cost, hardware
from vtg_cli.machine.cost import Work
from vtg_cli.machine.hardware import Memory
from vtg_cli.machine.rungs import NAMED, Rung, allowed, ran_out
from vtg_cli.plan.setup import Setup
from vtg_cli.sampling.settings import ONE_WAY
from vtg_cli.weights import sizes
from vtg_cli.weights.catalog import FLOW, LEARNED

if TYPE_CHECKING:
    from vtg_cli.backbones.base import Backbone
    from vtg_cli.lowmem.ladder import Movable


def has_ladder(made: Setup) -> bool:
    """Whether rungs mean anything to the plan's model."""
    return made.model.spec is not None and "--memory" not in made.model.spec.unused


def ladder(made: Setup, room: Memory | None) -> tuple[Rung, ...]:
    """The rungs that may be used, the one to begin with first. room: of the model's device, None:
    it does not tell.

    On a CPU terms one by one cost nothing.
    """
    rungs = allowed(made.job.memory, made.job.lora)
    if made.job.memory != "auto":
        return rungs
    rungs = rungs[1:] if made.model.device == "cpu" else rungs
    fitting = (i for i, rung in enumerate(rungs) if fits(rung, made, room))
    return rungs[next(fitting, len(rungs) - 1) :]


def fits(rung: Rung, made: Setup, room: Memory | None) -> bool:
    """Whether a rung is expected to do on the plan's device."""
    return room is None or cost.fits(work_of(made, rung), room.total, room.free)


def room_of(made: Setup) -> Memory | None:
    """What the plan's device has, and has to give; None: it does not say, or nothing depends on
    it.
    """
    if made.job.memory != "auto":
        return None
    device = made.model.device
    return hardware.memory() if device == "cpu" else hardware.gpu_memory(device)


def work_of(made: Setup, rung: Rung, segments: tuple[int, ...] | None = None) -> Work:
    """What a plan asks of this machine at a rung. segments: in place of the plan's, drawn alike."""
    lengths = made.schedule.segments if segments is None else segments
    height, width = made.shape[:2]
    if made.model.spec is None or made.model.source is None:
        return Work(  # of a GPU that draws learned motion nothing was measured: as on the CPU
            kind=LEARNED if made.model.source else FLOW,
            device="cpu",
            segments=lengths,
            drawn=lengths,
            size=(height, width),
            canvas=(height, width),
        )
    job, share = made.job, len(lengths) / len(made.schedule.segments)
    item = sizes.ITEM.get(job.dtype, 4)
    kind, model = sizes.in_memory(made.model.source.folder, item, made.model.spec.factor)
    guided = max(job.sampling.guidance or (1.0, 1.0)) > 1 and made.model.device != "cpu"
    return Work(
        kind=kind,
        device=made.model.device,
        segments=lengths,
        drawn=tuple(made.model.spec.drawn(n) for n in lengths),
        size=(height, width),
        canvas=made.drawn,
        model=model,
        evaluations=round((made.evaluations - made.inversions) * share),
        singles=round(made.inversions * share),
        fits=made.fit_steps,
        batch=1 if job.sampling.method in ONE_WAY else 2,
        terms=2 if guided else 1,
        item=item,
        chunk=job.decode_chunk,
        rung=rung,
    )


def first(made: Setup, room: Memory | None) -> Rung:
    """The rung to begin with; of a model without a ladder, one that changes nothing."""
    return ladder(made, room)[0] if has_ladder(made) else NAMED["chunked"]


def loaded(made: Setup, load: Callable[[str], Backbone]) -> Backbone:
    """The plan's model on its ladder. load: brings it, its weights on the device named.

    Where the weights alone are too much for the device, they stay on the host.
    """
    if not has_ladder(made):
        return load(made.model.device)
    import torch

    from vtg_cli.lowmem.ladder import Ladder

    device, rungs = made.model.device, ladder(made, room_of(made))
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
            decode_chunk=made.job.decode_chunk,
            tried=tried,
        ),
    )


def told(made: Setup) -> str:
    """For people, before it runs; empty where the model has no ladder."""
    if not has_ladder(made):
        return ""
    rungs = ladder(made, room_of(made))
    begin, *rest = dict.fromkeys(rung.name for rung in rungs)
    if made.job.memory != "auto":
        return begin
    return f"auto: {begin}" + (f"; {', '.join(rest)} if memory runs out" if rest else "")


def report(rungs: Sequence[str]) -> str:
    """For people, after it ran; empty where no model had a ladder."""
    if not rungs:
        return ""
    *before, last = rungs
    return f"memory: {last}" + (f", after {', '.join(before)} ran out" if before else "")
