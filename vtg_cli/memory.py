"""Which rungs of the memory ladder a plan's model may use, and where `--memory auto` begins.

The estimate is rough: sizes of the files and what the widest layers hold at once, by counting. It
only decides where to begin; what it gets wrong costs a step down, which is seen in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from vtg_cli import hardware
from vtg_cli.plan import Plan
from vtg_cli.rungs import NAMED, RUNGS, Rung, ran_out
from vtg_cli.sampling.settings import ONE_WAY

if TYPE_CHECKING:
    from vtg_cli.backbones.base import Backbone
    from vtg_cli.backbones.ladder import Movable

STEP_VALUES = 4096
"""Numbers per latent pixel and clip that the widest block holds at once: a gated feed-forward of
320 channels widens to 2560, beside its input, its output and the skips. Counted, not measured."""
DECODE_VALUES = 6 * 128
"""Numbers per pixel that the autoencoder's last level holds at once: six times its 128 channels."""
RESIDENT = {"here": 1.0, "blocks": 0.3, "leaves": 0.05}
"""Share of the weights that are on the device at once."""
TILED = 0.25
"""Share of a frame that is decoded at once in tiles of the largest size there is need for."""
SPARE = 0.9
"""Share of the free memory that is counted on."""


def has_ladder(made: Plan) -> bool:
    """Whether rungs mean anything to the plan's model."""
    return made.model.spec is not None and "--memory" not in made.model.spec.unused


def ladder(made: Plan) -> tuple[Rung, ...]:
    """The rungs that may be used, the one to begin with first. A named one stands alone.

    auto decodes as many frames at once as the model does by itself while it can, also with its
    weights away: of Stable Video Diffusion that number shows in the frames, and frames should not
    depend on how much memory is free.
    """
    asked = made.job.memory
    if asked != "auto":
        return (NAMED[asked],)
    full, chunked, offload, sequential, last = RUNGS
    own = (
        *(replace(full, chunk=None), chunked, offload),
        *(replace(sequential, chunk=None), sequential, last),
    )
    if made.job.lora == "fit":
        return _from_where_it_fits(own[:2], made)  # what comes and goes cannot be trained
    return _from_where_it_fits(own, made)


def _from_where_it_fits(rungs: tuple[Rung, ...], made: Plan) -> tuple[Rung, ...]:
    if made.model.device == "cpu":
        return rungs[1:]  # terms one by one cost nothing there
    first = next((i for i, rung in enumerate(rungs) if fits(rung, made)), len(rungs) - 1)
    return rungs[first:]


def fits(rung: Rung, made: Plan, free: int | None = None) -> bool:
    """Whether a rung is expected to do on the plan's device. free: bytes; None: as it is now."""
    free = free_bytes(made.model.device) if free is None else free
    return free is None or needed_bytes(rung, made) <= SPARE * free


def needed_bytes(rung: Rung, made: Plan) -> int:
    """The peak a rung is expected to have on the device."""
    spec, source, job = made.model.spec, made.model.source, made.job
    assert spec is not None and source is not None
    height, width = made.drawn
    number = 4 if job.dtype == "fp32" else 2
    clips = (1 if job.sampling.method in ONE_WAY else 2) * (1 if rung.one_by_one else 2)
    length = spec.drawn(max(made.schedule.segments))
    step = STEP_VALUES * clips * length * (height * width / 64) * number
    chunk = min(job.decode_chunk or rung.chunk or 8, length)
    decode = DECODE_VALUES * chunk * height * width * 4 * (TILED if rung.tiles else 1)
    weights = sum(file.stat().st_size for file in source.folder.rglob("*.safetensors"))
    return int(weights * RESIDENT[rung.weights] * (0.5 if rung.narrow else 1) + max(step, decode))


def free_bytes(device: str) -> int | None:
    """Memory a device has to give; None: it does not say."""
    here = hardware.memory() if device == "cpu" else hardware.gpu_memory(device)
    return here.free if here else None


def loaded(made: Plan, load: Callable[[str], Backbone]) -> Backbone:
    """The plan's model on its ladder. load: brings it, its weights on the device named.

    Where the weights alone are too much for the device, they stay on the host.
    """
    if not has_ladder(made):
        return load(made.model.device)
    import torch

    from vtg_cli.backbones.ladder import Ladder

    device, rungs = made.model.device, ladder(made)
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


def told(made: Plan) -> str:
    """For people, before it runs; empty where the model has no ladder."""
    if not has_ladder(made):
        return ""
    first, *rest = dict.fromkeys(rung.name for rung in ladder(made))
    if made.job.memory != "auto":
        return first
    return f"auto: {first}" + (f"; {', '.join(rest)} if memory runs out" if rest else "")


def report(rungs: Sequence[str]) -> str:
    """For people, after it ran."""
    *before, last = rungs
    return f"memory: {last}" + (f", after {', '.join(before)} ran out" if before else "")
