"""Checkpoints of a training run: a folder of safetensors files and a JSON file, named by its step.

One is written aside, on the disk before anything else is, and becomes valid by one rename; only
then older ones go. So at any moment there is a whole one, and resuming takes the newest.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents, temporary
from vtg_cli.ground.tensor import is_finite

NAMES = ("network", "mean", "moment1", "moment2")
CHECKPOINT, STATE = "checkpoint", "state.json"
UNFINISHED = f"{CHECKPOINT}.partial"
_FORM = re.compile(rf"{CHECKPOINT}(-[0-9]+|\.partial|\.old)?", re.ASCII)
"""Names of checkpoints; those without a step are of before they had one."""


@dataclass(frozen=True)
class State:
    """The content of a checkpoint.

    overflowed, row: steps whose gradient was no number, in all and in a row up to now
    tensors: by file (NAMES) and parameter
    scaler: the state of the gradients' scale in half precision, empty without one
    """

    step: int
    overflowed: int
    row: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    scaler: Mapping[str, Any] = field(default_factory=dict)


def place_of(folder: Path, step: int) -> Path:
    """Return where a run's checkpoint of a step lies."""
    return folder / f"{CHECKPOINT}-{step:09}"


def write(folder: Path, state: State) -> Path:
    """Write a state as a run's newest checkpoint, valid by one rename, and return its place."""
    target = place_of(folder, state.step)
    shutil.rmtree(target, ignore_errors=True)  # a torn one, or of a run that began anew
    draft = temporary.Folder(target)
    try:
        for name, tensors in state.tensors.items():
            plain = {n: t.contiguous().cpu() for n, t in tensors.items()}
            save_file(plain, draft.path / f"{name}.safetensors")
        counts = {"step": state.step, "overflowed": state.overflowed, "row": state.row}
        (draft.path / STATE).write_text(json.dumps(counts | {"scaler": dict(state.scaler)}))
        draft.publish()
    finally:
        draft.close()
    return target


def prune(folder: Path, kept: Path, count: int) -> None:
    """Remove a run's checkpoints but for `kept` and the newest older ones, `count` in all."""
    others = [place for place in places(folder) if place != kept]
    older = [place for place in others if _step_of(place) < _step_of(kept)]
    for place in others:
        if place not in older[: count - 1]:
            shutil.rmtree(place, ignore_errors=True)


def newest(folder: Path) -> tuple[State, Path, list[Path]] | None:
    """Return the newest whole checkpoint, its place and the damaged ones before it; None if there
    is none. Raise WeightsError if all are damaged.
    """
    torn: list[Path] = []
    for place in places(folder):
        state = _loaded(place)
        if state is not None:
            return state, place, torn
        torn.append(place)
    damaged = [place for place in torn if place.name != UNFINISHED]
    if damaged:
        raise WeightsError(
            f"{damaged[0]} is damaged, and there is no other checkpoint",
            "remove it to begin again",
            subject=str(damaged[0]),
        )
    return None


def places(folder: Path) -> list[Path]:
    """Return a run's checkpoints, whole or not, the newest first; those of unknown step lead."""
    found = [place for place in folder.iterdir() if _FORM.fullmatch(place.name)]
    return sorted(found, key=_step_of, reverse=True)


def _step_of(place: Path) -> float:
    number = place.name.removeprefix(f"{CHECKPOINT}-")
    if number.isdecimal():
        return int(number)
    try:
        return int(documents.json_file(place / STATE)["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return math.inf


def _loaded(place: Path) -> State | None:
    """Load a checkpoint; None if it is not whole, or holds parameters that are no numbers."""
    try:
        usual: dict[str, Any] = {"overflowed": 0, "row": 0, "scaler": {}}
        counts = usual | documents.json_file(place / STATE)
        step, overflowed, row = (int(counts[name]) for name in ("step", "overflowed", "row"))
        tensors = {name: load_file(place / f"{name}.safetensors") for name in NAMES}
        scaler = dict(counts["scaler"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
    kept = (*tensors["network"].values(), *tensors["mean"].values())
    if not all(is_finite(tensor) for tensor in kept):
        return None
    return State(step, overflowed, row, tensors, scaler)
