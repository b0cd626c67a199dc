"""One training loop: accumulate, step, average, log, keep; it goes on bit for bit where it stopped.

Everything random depends on the seed and the number of the step, so the state is the step, the
parameters, their average and the optimizer's moments: a folder of four safetensors files and a JSON
file. Where torch.distributed runs, the processes share the parts of every step among them.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as processes
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from vtg_cli.errors import QualityError, WeightsError
from vtg_cli.ground import documents
from vtg_cli.training.muon import Muon

Losses = Callable[[int, Generator], Sequence[Callable[[], Tensor]]]
"""losses(step, generator) -> the step's parts, each a function that computes a scalar loss, whose
mean the step follows. The generator is seeded for this step and used before the parts are called.
"""
OnStep = Callable[[int, float], None]
"""on_step(steps done, loss)"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """steps: in all; the rate warms up over `warmup` steps, holds, and falls to zero over the last
    `cooldown` share of them; parts: losses a step consists of; average: of the parameters, per
    step; clip: largest norm of the gradient; keep: steps between two checkpoints; optimizer: AdamW
    is PyTorch's, its decay on all that is trained.
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
        """Learning rate of step 0, 1, .. steps - 1."""
        left = (self.steps - step) / max(1.0, self.cooldown * self.steps)
        return self.rate * min(1.0, (step + 1) / self.warmup, left)


class Run:
    """Training of a network, in a folder: loss.csv and the last checkpoint."""

    def __init__(self, network: nn.Module, plan: Plan, folder: Path) -> None:
        self.network, self.plan, self.folder = network, plan, folder
        self.trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.mean = {n: p.detach().clone() for n, p in self.trained.items()}
        self.optimizer: torch.optim.Optimizer = (
            Muon(self.trained, plan.rate, plan.decay)
            if plan.optimizer == "muon"
            else torch.optim.AdamW(self.trained.values(), plan.rate, weight_decay=plan.decay)
        )
        self.step = 0
        self.overflowed, self.row = 0, 0  # steps without a finite gradient: in all, in a row
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
        """Train to step `until` (the plan's end) or for this long, and keep the state there."""
        end = min(self.plan.steps, until or self.plan.steps)
        began = time.monotonic()
        while self.step < end and not self._any(time.monotonic() - began >= 60 * minutes):
            loss = self._one(losses)
            if self.rank == 0:
                with (self.folder / "loss.csv").open("a") as log:
                    log.write(
                        f"{self.step},{loss:.6g},{time.monotonic() - began:.1f},{self.overflowed}\n"
                    )
                if on_step is not None:
                    on_step(self.step, loss)
                if self.step % self.plan.keep == 0:
                    self.save()
        if self.rank == 0:
            self.save()

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
        else:  # one bad batch must not end a long run, many must
            self.overflowed, self.row = self.overflowed + 1, self.row + 1
            if self.row == ROW:
                raise QualityError(
                    f"the gradients of {ROW} steps in a row, up to step {self.step + 1}, "
                    "are no numbers",
                    "a smaller rate, or single precision; the last checkpoint is kept",
                )
            for parameter in self.trained.values():
                parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        keep = min(plan.average, self.step / (self.step + 10))
        with torch.no_grad():
            for name, parameter in self.trained.items():
                self.mean[name].lerp_(parameter, 1 - keep)
        return float(total)

    def _summed(self, tensors: list[Tensor]) -> None:
        """Each tensor becomes its sum over the processes."""
        if self.world == 1:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        processes.all_reduce(flat)
        for tensor, total in zip(
            tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True
        ):
            tensor.copy_(total.view_as(tensor))

    def _any(self, here: bool) -> bool:
        """Whether it is so in any process: they go on, and stop, together."""
        votes = torch.tensor([float(here)])
        self._summed([votes])
        return bool(votes > 0)

    def save(self) -> Path:
        """Write the state as folder/checkpoint. At any moment one of PLACES holds a whole one."""
        new, last = self.folder / "checkpoint.partial", self.folder / "checkpoint"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for name, tensors in self._state().items():
            save_file(
                {n: t.contiguous().cpu() for n, t in tensors.items()}, new / f"{name}.safetensors"
            )
        (new / "state.json").write_text(json.dumps({"step": self.step}))
        for file in (*new.iterdir(), new):
            _flush(file)
        old = self.folder / "checkpoint.old"
        if last.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(last, old)
        os.replace(new, last)
        _flush(self.folder)
        shutil.rmtree(old, ignore_errors=True)
        return last

    def resume(self) -> bool:
        """Take up the newest whole state of PLACES; False where there is none. WeightsError where
        there are some and none is whole.
        """
        places = [place for name in PLACES if (place := self.folder / name).exists()]
        states = [whole for place in places if (whole := _loaded(place)) is not None]
        if not states and (self.folder / PLACES[0]).exists():
            raise WeightsError(
                f"{self.folder / PLACES[0]} is damaged",
                "remove it to begin again",
                subject=PLACES[0],
            )
        if not states:
            return False
        self.step, state = max(states, key=lambda each: each[0])
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(state["network"][name])
                self.mean[name].copy_(state["mean"][name])
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": state["moment1"][name].to(parameter.device),
                    "exp_avg_sq": state["moment2"][name].to(parameter.device),
                }
        self._forget_later_losses()
        return True

    def _state(self) -> dict[str, dict[str, Tensor]]:
        moments: dict[str, Any] = {n: self.optimizer.state[p] for n, p in self.trained.items()}
        return {
            "network": {n: p.detach() for n, p in self.trained.items()},
            "mean": self.mean,
            "moment1": {n: m["exp_avg"] for n, m in moments.items()},
            "moment2": {n: m["exp_avg_sq"] for n, m in moments.items()},
        }

    def _forget_later_losses(self) -> None:
        log = self.folder / "loss.csv"
        lines = log.read_text().splitlines() if log.exists() else []
        kept = [line for line in lines if int(line.split(",")[0]) <= self.step]
        log.write_text("".join(f"{line}\n" for line in kept))


def _loaded(place: Path) -> tuple[int, dict[str, dict[str, Tensor]]] | None:
    """The step and the tensors of a checkpoint; None where it is not whole."""
    try:
        step = int(documents.json_file(place / "state.json")["step"])
        return step, {name: load_file(place / f"{name}.safetensors") for name in NAMES}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _flush(path: Path) -> None:
    """Have what was written of a file or folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _grad(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:  # of a process that had no part in this step
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


ROW = 10
"""Steps in a row without a finite gradient that end a run."""
NAMES = ("network", "mean", "moment1", "moment2")
PLACES = ("checkpoint", "checkpoint.partial", "checkpoint.old")
"""Where a checkpoint may stand after a kill."""
