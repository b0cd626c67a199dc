"""One training loop: accumulate, step, average, log, keep; it goes on bit for bit where it stopped.

Everything random depends on the seed and the number of the step, so the state is the step, the
parameters, their average and the optimizer's moments (training.checkpoint). Where torch.distributed
runs, as under `accelerate launch`, the processes share the parts of every step among them.

A step whose gradient is no number changes nothing and is counted; ROW of them in a row end the run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.distributed as processes
from torch import Generator, Tensor, nn

from vtg_cli.errors import QualityError
from vtg_cli.training import checkpoint
from vtg_cli.training.log import Log
from vtg_cli.training.muon import Muon

if TYPE_CHECKING:
    from accelerate import Accelerator

Losses = Callable[[int, Generator], Sequence[Callable[[], Tensor]]]
"""Function losses(step, generator) -> the step's parts, each a function that computes a scalar
loss, whose mean the step follows. The generator is seeded for this step and used before the parts
are called."""
OnStep = Callable[[int, float], None]
"""Callback on_step(steps done, loss)."""
OnNote = Callable[[str], None]
Fall = Literal["linear", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a training run.

    steps: in all; the rate warms up over `warmup` steps, holds, and falls to zero over the last
        `cooldown` share, along a `fall` of this shape
    parts: losses a step consists of; average: of the parameters, per step
    clip: largest norm of the gradient; keep: steps between two checkpoints
    kept: checkpoints that are left, the newest
    optimizer: AdamW is PyTorch's, its decay on all that is trained
    """

    steps: int
    rate: float = 2e-3
    warmup: int = 100
    cooldown: float = 0.3
    fall: Fall = "linear"
    decay: float = 0.01
    parts: int = 4
    average: float = 0.999
    clip: float = 1.0
    keep: int = 500
    kept: int = 1
    seed: int = 0
    optimizer: Literal["muon", "adamw"] = "muon"

    def rate_at(self, step: int) -> float:
        """Return the learning rate of step 0, 1, .. steps - 1."""
        left = (self.steps - step) / max(1.0, self.cooldown * self.steps)
        if self.fall == "cosine":
            left = (1 - math.cos(math.pi * min(left, 1.0))) / 2
        return self.rate * min(1.0, (step + 1) / max(1, self.warmup), left)


class Run:
    """The training of a network, in a folder: its log and its last checkpoints.

    overflowed, row: steps whose gradient was no number, in all and in a row up to now
    """

    def __init__(
        self,
        network: nn.Module,
        plan: Plan,
        folder: Path,
        on_note: OnNote | None = None,
        *,
        accelerator: Accelerator | None = None,
        tensorboard: bool = False,
    ) -> None:
        """Prepare a run.

        on_note: called with notes for the user, a sentence each
        accelerator: device, precision and processes; None: those of the network, as they are
        """
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
        self._accelerator = accelerator
        self._scaler: Any = accelerator.scaler if accelerator is not None else None
        shared = processes.is_available() and processes.is_initialized()
        self.rank, self.world = (
            (processes.get_rank(), processes.get_world_size()) if shared else (0, 1)
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._log = Log(folder, tensorboard and self.rank == 0)

    def go(
        self,
        losses: Losses,
        until: int | None = None,
        minutes: float = math.inf,
        on_step: OnStep | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train to step `until`, by default the plan's end, or for this long; keep the state.

        stop: asked before every step; one process that says yes stops all
        """
        end = min(self.plan.steps, until or self.plan.steps)
        began, before = time.monotonic(), self.overflowed
        while self.step < end and not self._any(time.monotonic() - began >= 60 * minutes or stop()):
            loss, norm = self._one(losses)
            if self.rank == 0:
                self._log.add(
                    self.step,
                    {
                        "loss": loss,
                        "rate": self.plan.rate_at(self.step - 1),
                        "norm": norm,
                        "seconds": time.monotonic() - began,
                        "overflowed": self.overflowed,
                    },
                )
                if on_step is not None:
                    on_step(self.step, loss)
                if self.step % self.plan.keep == 0:
                    self.save()
        if self.rank == 0:
            self.save()
            self._log.close()
        if self.overflowed > before:
            self._tell(
                f"the gradients of {self.overflowed} of {self.step} steps were not numbers: these "
                "steps were left out"
            )

    def _one(self, losses: Losses) -> tuple[float, float]:
        """Make one step; return its loss and the norm of its gradient."""
        plan, total = self.plan, torch.zeros(())
        generator = Generator().manual_seed(plan.seed * 2**32 + self.step)
        for part in losses(self.step, generator)[self.rank :: self.world]:
            with self._precision():
                loss = part() / plan.parts
            scaled = loss if self._scaler is None else self._scaler.scale(loss)
            scaled.backward()
            total = total.to(loss.device) + loss.detach()
        grads = [_grad(p) for p in self.trained.values()]
        total = total.to(grads[0].device, torch.float32)
        self._summed([total, *grads])
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)
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
        if self._scaler is not None:
            self._scaler.update()
        self.optimizer.zero_grad()
        self.step += 1
        if self.row == 0:
            keep = min(plan.average, self.step / (self.step + 10))
            with torch.no_grad():
                for name, parameter in self.trained.items():
                    self.mean[name].lerp_(parameter, 1 - keep)
        return float(total), float(norm)

    def _precision(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._accelerator is None else self._accelerator.autocast()

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
        votes = torch.tensor([float(own)], device=next(iter(self.mean.values())).device)
        self._summed([votes])
        return bool(votes > 0)

    def save(self) -> Path:
        """Write the state as a checkpoint, which one rename makes valid, and return its place.

        The oldest are removed; at any moment there is a whole one.
        """
        target = checkpoint.place_of(self.folder, self.step)
        if target != self._kept:
            self._kept = checkpoint.write(self.folder, self._state())
        checkpoint.prune(self.folder, target, self.plan.kept)
        return target

    def resume(self) -> bool:
        """Resume the newest whole checkpoint, noting torn ones; return False if there is none.
        Raise WeightsError if all are torn.
        """
        found = checkpoint.newest(self.folder)
        if found is None:
            return False
        state, self._kept, torn = found
        self._take(state)
        if self.rank == 0:
            self._log.forget_after(self.step)
        for each in torn:
            self._tell(f"{each} is damaged and passed over")
        self._tell(f"goes on from step {self.step} of {self.plan.steps}")
        return True

    def _take(self, state: checkpoint.State) -> None:
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
        if self._scaler is not None and state.scaler:
            self._scaler.load_state_dict(dict(state.scaler))

    def _tell(self, note: str) -> None:
        if self.rank == 0 and self._on_note is not None:
            self._on_note(note)

    def _state(self) -> checkpoint.State:
        def moments(kind: str) -> dict[str, Tensor]:  # zero until a step has moved something
            states = {name: self.optimizer.state.get(p, {}) for name, p in self.trained.items()}
            return {n: s.get(kind, torch.zeros_like(self.mean[n])) for n, s in states.items()}

        tensors = {
            "network": {n: p.detach() for n, p in self.trained.items()},
            "mean": self.mean,
            "moment1": moments("exp_avg"),
            "moment2": moments("exp_avg_sq"),
        }
        scaler = {} if self._scaler is None else self._scaler.state_dict()
        return checkpoint.State(self.step, self.overflowed, self.row, tensors, scaler)


def _grad(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:  # of a process that had no part in this step
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


ROW = 10
"""Steps in a row without a finite gradient that end a run."""
