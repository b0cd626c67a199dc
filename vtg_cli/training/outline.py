"""What a training command would do, and what it takes: told before a weight is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vtg_cli.backbones import footprint
from vtg_cli.backbones.base import model_of
from vtg_cli.ground.units import size_text, time_text
from vtg_cli.machine import hardware
from vtg_cli.machine.training_cost import TrainingWork, training_cost

if TYPE_CHECKING:
    from vtg_cli.training.train import Prepared


def outline(task: Prepared) -> dict[str, Any]:
    """Return the plan of a command: what is trained on what, memory, time. Loads nothing."""
    settings, spec, window = task.settings, task.spec, task.window
    device = hardware.device_name(settings.device)
    half = settings.dtype in ("fp16", "bf16") or (settings.dtype == "auto" and device != "cpu")
    folder = task.model.folder
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    work = TrainingWork(
        rates=model_of(folder).rates,
        model=footprint.in_memory(folder, 2 if half else 4, spec.factor),
        size=window.size,
        frames=window.frames,
        item=2 if half else 4,
        steps=settings.steps,
        clips=-(-settings.batch // processes),
        checkpointing=settings.checkpointing,
        device=device,
    )
    cost = training_cost(work, hardware.cores())
    room = hardware.memory() if device == "cpu" else hardware.gpu_memory(device)
    return {
        "objective": settings.kind,
        "model": task.model.name,
        "data": settings.data,
        "output": settings.out,
        "frames": window.frames,
        "stride": window.stride,
        "size": f"{window.size[1]}x{window.size[0]}",
        "steps": settings.steps,
        "batch": settings.batch,
        "processes": processes,
        "device": device,
        "precision": "half" if half else "single",
        "memory": cost.memory,
        "room": room.total if room else None,
        "seconds_a_step": cost.seconds_a_step,
        "seconds": cost.seconds_a_step * settings.steps,
        "basis": cost.basis,
    }


def lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield a plan for people, one fact a line."""
    yield f"train     {plan['objective']} of {plan['model']} on {plan['data']}"
    yield (
        f"clips     {plan['frames']} frames, every {plan['stride']}. of a clip's, {plan['size']}; "
        f"{plan['batch']} a step, {plan['processes']} process(es)"
    )
    has = f" of {size_text(plan['room'])}" if plan["room"] else ""
    yield f"memory    about {size_text(plan['memory'])}{has} on {plan['device']} ({plan['basis']})"
    yield (
        f"time      about {time_text(plan['seconds_a_step'])} a step, "
        f"{time_text(plan['seconds'])} for {plan['steps']} steps ({plan['basis']})"
    )
    yield f"output    {plan['output']}"


def warnings(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what should be known before a long run."""
    if plan["room"] and plan["memory"] > plan["room"]:
        yield (
            f"training may take {size_text(plan['memory'])} and {plan['device']} has "
            f"{size_text(plan['room'])}: --gradient-checkpointing, a smaller --size, fewer --frames"
        )


def summary(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a report for people."""
    yield str(report["output"])
    held = report["held_out"]
    if "before" in held and "after" in held:
        for name, unit in (("loss", ""), ("disagreement", ""), ("psnr", " dB")):
            before, after = held["before"][name], held["after"][name]
            yield f"{name:12} {before:.5g} -> {after:.5g}{unit} on clips held out"
