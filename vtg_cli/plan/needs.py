"""The plan before the work: what drawing it needs, held against what this machine has.

Nothing heavy is loaded: weights are counted from their headers, memory and time predicted from
counts (machine/cost.py). What cannot end well is refused here, with exit code 4 for memory and 7
for the disk; what may not is said.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vtg_cli.errors import MediaError, MemoryLadderError
from vtg_cli.ground.units import size_text
from vtg_cli.machine import hardware
from vtg_cli.machine.cost import Cost, predict, verdict
from vtg_cli.machine.hardware import Memory
from vtg_cli.machine.rungs import RUNGS
from vtg_cli.media import encoding
from vtg_cli.plan import memory
from vtg_cli.plan.segments import TimelinePlan
from vtg_cli.plan.setup import Setup
from vtg_cli.plan.takes import variants
from vtg_cli.weights import layout
from vtg_cli.weights.catalog import CATALOG, EMBEDDED_FOLDER, EMBEDDED_LICENCE, LEARNED

VOLUME = {
    "mp4": (0.12, 8.0),
    "webm": (0.1, 8.0),
    "webp": (0.15, 8.0),
    "gif": (0.5, 4.0),
    "apng": (1.7, 2.0),
    "mov": (0.6, 2.0),
    "mkv": (1.3, 2.0),
    "png": (1.7, 2.0),
}
"""Bytes of a pixel in each file format, and the factor that lies within: what photographs come to;
smooth pictures take far less, noise more."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The files of a model. licence: where it is known."""

    name: str
    folder: str
    files: int
    bytes: int
    licence: str | None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The resources of a machine: bytes of memory, of the GPU's, free in the folder of the output;
    cores. None: not known, or not there.
    """

    memory: Memory | None
    gpu: Memory | None
    disk: int | None
    cores: int


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """The needs of a job, known before the work.

    whole: whether all frames are counted; else the time is that of one segment
    rungs: of the memory ladder at which its parts begin, for which memory is predicted
    takes: how often a segment may be drawn at most; the time is that of one take
    volume: bytes of the output, None for a stream
    notes: what the user should know, a sentence each
    """

    cost: Cost
    rungs: tuple[str, ...]
    whole: bool
    takes: int
    machine: Machine
    weights: tuple[Weights, ...]
    volume: int | None
    volume_within: float
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """Seconds of the whole work; None where the length of the input is unknown."""
        return self.cost.seconds if self.whole else None


def checked(plan: Setup | TimelinePlan, machine: Machine | None = None) -> Preflight:
    """Predict a plan's needs and check that the machine has them. machine: stands in for this one.

    Raises MemoryLadderError for a plan that needs more memory than there is, beyond the
    prediction's margin of error, MediaError for a clip the disk cannot hold, WeightsError for
    damaged weights.
    """
    return _predicted(plan, None, plan.schedule.total, machine)


def of_clip(
    setup: Setup, segments: tuple[int, ...], frames: int | None, machine: Machine | None = None
) -> Preflight:
    """Predict as `checked` does, for other segments, drawn as the plan's are.

    frames: of the clip, None where that is unknown
    """
    return _predicted(setup, segments, frames, machine)


def _predicted(
    plan: Setup | TimelinePlan,
    segments: tuple[int, ...] | None,
    frames: int | None,
    machine: Machine | None,
) -> Preflight:
    output = plan.job.output
    resources = machine or this_machine(plan.parts[0].model.device, output)
    rungs = [memory.first(part, _room(part, resources)) for part in plan.parts]
    works = [memory.work_of(*each, segments) for each in zip(plan.parts, rungs, strict=True)]
    cost = predict(works, resources.cores)
    volume, within = _volume(plan, frames)
    notes = [*_memory(plan, cost, resources), *_disk(volume, within, resources.disk, output)]
    weights = {each.name: each for part in plan.parts for each in weights_of(part)}
    begin = zip(plan.parts, rungs, strict=True)
    return Preflight(
        cost=cost,
        rungs=(*dict.fromkeys(rung.name for part, rung in begin if memory.has_ladder(part)),),
        whole=frames is not None,
        takes=max(len(variants(part.job, part.model.name)) for part in plan.parts),
        machine=resources,
        weights=tuple(weights.values()),
        volume=volume,
        volume_within=within,
        notes=tuple(notes),
    )


def _room(part: Setup, machine: Machine) -> Memory | None:
    return machine.memory if part.model.device == "cpu" else machine.gpu


def this_machine(device: str, output: str | None) -> Machine:
    """Measure this machine; `output` selects the disk."""
    disk = None
    if output not in (None, "-"):
        places = (Path(str(output)).absolute(), *Path(str(output)).absolute().parents)
        disk = shutil.disk_usage(next(place for place in places if place.is_dir())).free
    return Machine(
        memory=hardware.memory(),
        gpu=None if device == "cpu" else hardware.gpu_memory(device),
        disk=disk,
        cores=hardware.cores(),
    )


def weights_of(setup: Setup) -> tuple[Weights, ...]:
    """List the files of a plan's model, of its guide and its reverse motion; none for flow."""
    weights = []
    source = setup.model.source
    if source is not None:
        files = [*layout.used_files(source.folder)]
        licence = source.entry.licence if source.entry else _own(source.folder)
        weights.append(_weights(source.name, source.folder, files, licence))
    if setup.model.motion is not None:
        files = [*layout.used_files(setup.model.motion)]
        weights.append(_weights(LEARNED, setup.model.motion, files, CATALOG[LEARNED].licence))
    if setup.model.reverse is not None:
        place = setup.model.reverse.path
        files = [place] if place.is_file() else [*layout.used_files(place)]
        weights.append(_weights(setup.job.reverse or "reverse", place, files, _own(place)))
    return tuple(weights)


def _own(place: Path) -> str | None:
    """Return the licence of what comes with vtg, None for anything else."""
    return EMBEDDED_LICENCE if EMBEDDED_FOLDER in (place, *place.parents) else None


def document(preflight: Preflight) -> dict[str, Any]:
    """Return the prediction as `--dry-run --json` prints it: bytes and seconds, rounded to what
    they are worth.
    """
    cost, machine = preflight.cost, preflight.machine
    return {
        "memory_bytes": rounded(cost.memory),
        "gpu_memory_bytes": None if cost.gpu is None else rounded(cost.gpu),
        "memory_within": cost.memory_within,
        "rungs": list(preflight.rungs),
        "seconds": rounded(cost.seconds) if preflight.whole else None,
        "seconds_within": cost.seconds_within,
        "takes_at_most": preflight.takes,
        "basis": cost.basis,
        "output_bytes": None if preflight.volume is None else rounded(preflight.volume),
        "output_within": None if preflight.volume is None else preflight.volume_within,
        "machine": {
            "memory_bytes": machine.memory and machine.memory.total,
            "memory_free_bytes": machine.memory and machine.memory.free,
            "gpu_memory_bytes": machine.gpu and machine.gpu.total,
            "disk_free_bytes": machine.disk,
            "cores": machine.cores,
        },
        "weights": [asdict(each) for each in preflight.weights],
        "notes": list(preflight.notes),
    }


def rounded(value: float) -> float:
    """Round to two figures; whole numbers stay whole."""
    if value >= 10:
        unit: int = 10 ** (len(str(int(value))) - 2)
        return round(value / unit) * unit
    return float(f"{value:.2g}")


def _weights(name: str, folder: Path, files: Sequence[Path], licence: str | None) -> Weights:
    total = sum(file.stat().st_size for file in files)
    return Weights(name=name, folder=str(folder), files=len(files), bytes=total, licence=licence)


def _volume(plan: Setup | TimelinePlan, frames: int | None) -> tuple[int | None, float]:
    output = plan.job.output
    if output in (None, "-") or frames is None:
        return None, 1.0
    form = encoding.format_of(str(output), plan.job.encoding)
    height, width, channels = plan.shape
    share, within = VOLUME[form.name]
    return round(frames * height * width * share * (4 / 3 if channels == 4 else 1)), within


def _memory(plan: Setup | TimelinePlan, cost: Cost, machine: Machine) -> list[str]:
    height, width, _ = plan.shape
    what = f"{' and '.join(model.name for model in plan.models)} at {width}x{height}"
    places = [("this machine", cost.memory, machine.memory)]
    if cost.gpu is not None:
        places.append(("the GPU", cost.gpu, machine.gpu))
    notes = []
    for where, needed, room in places:
        if room is None:
            continue
        if verdict(needed, cost.memory_within, room.total) == "too much":
            raise MemoryLadderError(
                f"{what} needs about {size_text(needed)} of memory, and {where} has "
                f"{size_text(room.total)}",
                _less(plan),
                subject="memory",
            )
        if verdict(needed, cost.memory_within, room.free) != "fits":
            notes.append(
                f"note: {what} needs about {size_text(needed)} of memory, and "
                f"{size_text(room.free)} are free on {where}: it may not fit"
            )
    return notes


def _less(plan: Setup | TimelinePlan) -> str:
    """Say what to do about too little memory."""
    less = "ask for a smaller --width, or fewer --frames from one keyframe to the next"
    if any(part.job.decode_chunk for part in plan.parts):  # which no rung changes
        less += ", or a smaller --decode-chunk"
    named = {part.job.memory for part in plan.parts if memory.has_ladder(part)} - {"auto"}
    if named and named != {RUNGS[-1].name}:
        return f"{less}, or --memory auto; --model tiny and flow need little"
    laddered = any(memory.has_ladder(part) for part in plan.parts)
    return less + ("; --model tiny and flow need little" if laddered else "")


def _disk(volume: int | None, within: float, free: int | None, output: str | None) -> list[str]:
    if volume is None or free is None:
        return []
    if volume / within > free:
        raise MediaError(
            f"{output} will take about {size_text(volume)}, "
            f"and its disk has {size_text(free)} free",
            "free some space, or write it to another disk",
            subject=str(output),
        )
    if volume > free:
        return [
            f"note: {output} may take {size_text(volume)}, and its disk has {size_text(free)} free"
        ]
    return []
