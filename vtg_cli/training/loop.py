"""One training loop: accumulate, step, average, log, keep; it goes on bit for bit where it stopped.

Everything random depends on the seed and the number of the step, so the state is the step, the
parameters, their average and the optimizer's moments: a folder of four safetensors files and a JSON
file, named by its step. It is written aside, on the disk before anything else is, and becomes valid
by one rename; only then older ones go. So at any moment there is a whole one, and resuming takes
the newest. Where torch.distributed runs, the processes share the parts of every step among them.

A step whose gradient is no number changes nothing and is counted; ROW of them in a row end the run.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as processes
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from vtg_cli.errors import QualityError, WeightsError
from vtg_cli.ground import documents, temporary
from vtg_cli.ground.tensor import is_finite
from vtg_cli.training.muon import Muon

Losses = Callable[[int, Generator], Sequence[Callable[[], Tensor]]]
"""Function losses(step, generator) -> the step's parts, each a function that computes a scalar
loss, whose mean the step follows. The generator is seeded for this step and used before the parts
are called."""
OnStep = Callable[[int, float], None]
"""Callback on_step(steps done, loss)."""
OnNote = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a training run.

    steps: in all; the rate warms up over `warmup` steps, holds, and falls to zero over the last
        `cooldown` share
    parts: losses a step consists of; average: of the parameters, per step
    clip: largest norm of the gradient; keep: steps between two checkpoints
    optimizer: AdamW is PyTorch's, its decay on all that is trained
    """

    steps: int
    rate: float = 2e-3
    warmup: int = 100
    cooldown: float = 0.3
    decay: float = 0.01
    parts: int = 4
    average: float = 0.999
    clip: float = 1.0
    keep: int = 500
    seed: int = 0
    optimizer: Literal["muon", "adamw"] = "muon"

    def rate_at(self, step: int) -> float:
        """Return the learning rate of step 0, 1, .. steps - 1."""
        left = (self.steps - step) / max(1.0, self.cooldown * self.steps)
        return self.rate * min(1.0, (step + 1) / self.warmup, left)


class Run:
    """The training of a network, in a folder: loss.csv and the last checkpoint.

    overflowed, row: steps whose gradient was no number, in all and in a row up to now
    """

    def __init__(
        self, network: nn.Module, plan: Plan, folder: Path, on_note: OnNote | None = None
    ) -> None:
        """Prepare a run. on_note: called with notes for the user, a sentence each."""
        self._on_note, self._kept = on_note, Path()  # the checkpoint that holds the state, if any
        self.network, self.plan, self.folder = network, plan, folder
        self.trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.mean = {n: p.detach().clone() for n, p in self.trained.items()}
        self.optimizer: torch.optim.Optimizer = (
            Muon(self.trained, plan.rate, plan.decay)
            if plan.optimizer == "muon"
            else torch.optim.AdamW(self.trained.values(), plan.rate, weight_decay=plan.decay)
        )
        self.step = 0
        self.overflowed, self.row = 0, 0
        shared = processes.is_available() and processes.is_initialized()
        self.rank, self.world = (
            (processes.get_rank(), processes.get_world_size()) if shared else (0, 1)
        )
        folder.mkdir(parents=True, exist_ok=True)

    def go(
        self,
        losses: Losses,
        until: int | None = None,
        minutes: float = math.inf,
        on_step: OnStep | None = None,
    ) -> None:
        """Train to step `until`, by default the plan's end, or for this long; keep the state."""
        end = min(self.plan.steps, until or self.plan.steps)
        began, before = time.monotonic(), self.overflowed
        while self.step < end and not self._any(time.monotonic() - began >= 60 * minutes):
            loss = self._one(losses)
            if self.rank == 0:
                with (self.folder / LOSSES).open("a") as log:
                    log.write(
                        f"{self.step},{loss:.6g},{time.monotonic() - began:.1f},{self.overflowed}\n"
                    )
                if on_step is not None:
                    on_step(self.step, loss)
                if self.step % self.plan.keep == 0:
                    self.save()
        if self.rank == 0:
            self.save()
        if self.overflowed > before:
            self._tell(
                f"the gradients of {self.overflowed} of {self.step} steps were not numbers: these "
                "steps were left out"
            )

    def _one(self, losses: Losses) -> float:
        plan, total = self.plan, torch.zeros(())
        generator = Generator().manual_seed(plan.seed * 2**32 + self.step)
        for part in losses(self.step, generator)[self.rank :: self.world]:
            loss = part() / plan.parts
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach().cpu()
        self._summed([total, *(_grad(p) for p in self.trained.values())])
        norm = nn.utils.clip_grad_norm_(self.trained.values(), plan.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = plan.rate_at(self.step)
        if math.isfinite(float(norm)):
            self.row = 0
            self.optimizer.step()
        else:  # one bad batch must not end a long run, many must
            self.overflowed, self.row = self.overflowed + 1, self.row + 1
            if self.row >= ROW:
                raise QualityError(
                    f"the gradients of {self.row} steps in a row, up to step {self.step + 1}, "
                    "are not numbers",
                    "a smaller rate, or single precision; the last checkpoint is kept",
                )
        self.optimizer.zero_grad()
        self.step += 1
        if self.row == 0:
            keep = min(plan.average, self.step / (self.step + 10))
            with torch.no_grad():
                for name, parameter in self.trained.items():
                    self.mean[name].lerp_(parameter, 1 - keep)
        return float(total)

    def _summed(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.world == 1:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        processes.all_reduce(flat)
        for tensor, total in zip(
            tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True
        ):
            tensor.copy_(total.view_as(tensor))

    def _any(self, own: bool) -> bool:
        """Return whether it is so in any process: they go on, and stop, together."""
        votes = torch.tensor([float(own)])
        self._summed([votes])
        return bool(votes > 0)

    def save(self) -> Path:
        """Write the state as folder/checkpoint-STEP, which one rename makes valid, and return it.

        The others are removed; at any moment there is a whole one.
        """
        target = self.folder / f"{CHECKPOINT}-{self.step:09}"
        if target != self._kept:
            shutil.rmtree(target, ignore_errors=True)  # a torn one, or of a run that began anew
            draft = temporary.Folder(target)
            try:
                self._write(draft.path)
                draft.publish()
            finally:
                draft.close()
            self._kept = target
        for other in _checkpoints(self.folder):
            if other != target:
                shutil.rmtree(other, ignore_errors=True)
        return target

    def _write(self, place: Path) -> None:
        for name, tensors in self._state().items():
            plain = {n: t.contiguous().cpu() for n, t in tensors.items()}
            save_file(plain, place / f"{name}.safetensors")
        counts = {"step": self.step, "overflowed": self.overflowed, "row": self.row}
        (place / STATE).write_text(json.dumps(counts))

    def resume(self) -> bool:
        """Resume the newest whole checkpoint, noting torn ones; return False if there is none.
        Raise WeightsError if all are torn.
        """
        torn: list[Path] = []
        for place in _checkpoints(self.folder):
            state = _loaded(place)
            if state is not None:
                break
            torn.append(place)
        else:
            damaged = [place for place in torn if place.name != UNFINISHED]
            if damaged:
                raise WeightsError(
                    f"{damaged[0]} is damaged, and there is no other checkpoint",
                    "remove it to begin again",
                    subject=str(damaged[0]),
                )
            return False
        self._take(state)
        self._kept = place
        if self.rank == 0:
            self._forget_later_losses()
        for each in torn:
            self._tell(f"{each} is damaged and passed over")
        self._tell(f"goes on from step {self.step} of {self.plan.steps}")
        return True

    def _take(self, state: _State) -> None:
        self.step, self.overflowed, self.row = state.step, state.overflowed, state.row
        moved = self.step - self.overflowed  # steps that the optimizer has made
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(state.tensors["network"][name])
                self.mean[name].copy_(state.tensors["mean"][name])
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(moved)),
                    "exp_avg": state.tensors["moment1"][name].to(parameter.device),
                    "exp_avg_sq": state.tensors["moment2"][name].to(parameter.device),
                }

    def _tell(self, note: str) -> None:
        if self.rank == 0 and self._on_note is not None:
            self._on_note(note)

    def _state(self) -> dict[str, dict[str, Tensor]]:
        def moments(kind: str) -> dict[str, Tensor]:  # zero until a step has moved something
            states = {name: self.optimizer.state.get(p, {}) for name, p in self.trained.items()}
            return {n: s.get(kind, torch.zeros_like(self.mean[n])) for n, s in states.items()}

        return {
            "network": {n: p.detach() for n, p in self.trained.items()},
            "mean": self.mean,
            "moment1": moments("exp_avg"),
            "moment2": moments("exp_avg_sq"),
        }

    def _forget_later_losses(self) -> None:
        log = self.folder / LOSSES
        whole = log.read_text().split("\n")[:-1] if log.exists() else []  # a kill may tear a line
        kept = [line for line in whole if int(line.split(",")[0]) <= self.step]
        temporary.write(log, "".join(f"{line}\n" for line in kept).encode())


@dataclass(frozen=True)
class _State:
    """The content of a checkpoint. tensors: by file (NAMES) and parameter."""

    step: int
    overflowed: int
    row: int
    tensors: dict[str, dict[str, Tensor]]


def _checkpoints(folder: Path) -> list[Path]:
    """Return a run's checkpoints, whole or not, the newest first; those of unknown step lead."""
    places = [place for place in folder.iterdir() if _FORM.fullmatch(place.name)]
    return sorted(places, key=_step_of, reverse=True)


def _step_of(place: Path) -> float:
    number = place.name.removeprefix(f"{CHECKPOINT}-")
    if number.isdecimal():
        return int(number)
    try:
        return int(documents.json_file(place / STATE)["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return math.inf


def _loaded(place: Path) -> _State | None:
    """Load a checkpoint; None if it is not whole, or holds parameters that are no numbers."""
    try:
        counts = {"overflowed": 0, "row": 0} | documents.json_file(place / STATE)
        step, overflowed, row = (int(counts[name]) for name in ("step", "overflowed", "row"))
        tensors = {name: load_file(place / f"{name}.safetensors") for name in NAMES}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
    kept = (*tensors["network"].values(), *tensors["mean"].values())
    if not all(is_finite(tensor) for tensor in kept):
        return None
    return _State(step, overflowed, row, tensors)


def _grad(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:  # of a process that had no part in this step
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


ROW = 10
"""Steps in a row without a finite gradient that end a run."""
NAMES = ("network", "mean", "moment1", "moment2")
CHECKPOINT, STATE, LOSSES = "checkpoint", "state.json", "loss.csv"
UNFINISHED = f"{CHECKPOINT}.partial"
_FORM = re.compile(rf"{CHECKPOINT}(-[0-9]+|\.partial|\.old)?", re.ASCII)
"""Names of checkpoints; those without a step are of before they had one."""
