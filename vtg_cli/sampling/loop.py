"""The only denoising loop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from vtg_cli.ground.tensor import check_finite
from vtg_cli.machine.device import Noise
from vtg_cli.sampling.path import Path
from vtg_cli.sampling.solvers import History, Predictor, Solver, euler, renoise

OnStep = Callable[[int, int, Tensor], None]
"""Callback on_step(moves made, moves in all, latents); raising from it stops the run."""


def sample(
    predict: Predictor,
    x: Tensor,
    path: Path,
    solver: Solver = euler,
    *,
    noise: Noise,
    up: Solver = renoise,
    on_step: OnStep | None = None,
    name: str = "step",
) -> Tensor:
    """Walk `path` from x, which is at path[0], to path[-1].

    solver: takes the down-moves
    up: takes the up-moves: `renoise` (TRF, RePaint, Generative Inbetweening) or `euler` (DDIM
        inversion)

    Up-moves clear the multistep history, which belongs to another trajectory. Raises QualityError,
    in which a move is called `name`, if one ends in NaN or infinity.
    """
    history: History = []
    moves = len(path) - 1
    for i, (a, b) in enumerate(pairwise(path)):
        if b.noisier(a):
            x, history = up(predict, x, a, b, history, noise), []
        else:
            x = solver(predict, x, a, b, history, noise)
        check_finite(x, f"{name} {i + 1} of {moves} gave latents that are not numbers")
        if on_step is not None:
            on_step(i + 1, moves, x)
    return x
