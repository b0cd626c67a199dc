"""Muon (Jordan et al. 2024) for matrices, AdamW for everything else.

A matrix moves by its momentum made orthogonal: all directions of the update count alike. The step
has the root mean square of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training"), so both
kinds share one learning rate. The embedded model learned from the same clips in about half the
steps AdamW took (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
BETAS = (0.9, 0.99)
RMS = 0.2
"""Root mean square of an update of rate 1, as AdamW's."""
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration x <- a x + (b x x^T + c (x x^T)^2) x."""


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Return whether Muon moves it: maps of many channels; no tables, no depthwise filters."""
    return parameter.ndim >= 2 and min(parameter.shape[:2]) > 1 and not name.endswith("table")


class Muon(torch.optim.Optimizer):
    """The optimizer. named: parameters by name; decay: decoupled weight decay of the matrices."""

    def __init__(self, named: Mapping[str, nn.Parameter], lr: float, decay: float) -> None:
        matrices = [p for n, p in named.items() if is_matrix(n, p)]
        rest = [p for n, p in named.items() if not is_matrix(n, p)]
        groups: Iterable[dict[str, Any]] = [
            {"params": matrices, "muon": True},
            {"params": rest, "muon": False},
        ]
        super().__init__([g for g in groups if g["params"]], {"lr": lr, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
                state["step"] += 1
                if group["muon"]:
                    p.mul_(1 - group["lr"] * group["decay"])
                    update = _orthogonal_update(p.grad, state["exp_avg"])
                else:
                    update = _adam_update(p.grad, **state)
                p.add_(update, alpha=-group["lr"])


def _orthogonal_update(grad: Tensor, exp_avg: Tensor) -> Tensor:
    exp_avg.lerp_(grad, 1 - MOMENTUM)
    ahead = grad.lerp(exp_avg, MOMENTUM).flatten(1)  # Nesterov
    scale = RMS * max(ahead.shape) ** 0.5
    update: Tensor = (orthogonal(ahead) * scale).view_as(grad)
    return update


def _adam_update(grad: Tensor, step: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor) -> Tensor:
    exp_avg.lerp_(grad, 1 - BETAS[0])
    exp_avg_sq.lerp_(grad.square(), 1 - BETAS[1])
    n = float(step)
    mean, power = exp_avg / (1 - BETAS[0] ** n), exp_avg_sq / (1 - BETAS[1] ** n)
    update: Tensor = mean / (power.sqrt() + 1e-8)
    return update


def orthogonal(x: Tensor, iterations: int = 5) -> Tensor:
    """Return the nearest matrix with singular values of about 1 (0.7 to 1.2), [n, m]."""
    a, b, c = QUINTIC
    tall = x.shape[0] > x.shape[1]
    x = (x.T if tall else x) / (x.norm() + 1e-7)
    for _ in range(iterations):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
