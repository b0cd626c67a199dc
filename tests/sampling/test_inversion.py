"""Inversion against Gaussian data, whose denoiser and whose flow are closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from vtg_cli.machine.device import seeded_noise
from vtg_cli.sampling.inversion import inverted
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import Path, dynamicrafter_path, edm_path, karras_sigmas
from vtg_cli.sampling.solvers import Predictor

SHAPE = (1, 4, 4, 16, 24)
STD = 0.5


def gaussian(std: float = STD) -> Predictor:
    """The exact denoiser of data N(0, std^2)."""

    def denoise(x: Tensor, level: Level) -> Tensor:
        return level.signal * std**2 * x / (level.signal**2 * std**2 + level.sigma**2)

    return denoise


def deviation(level: Level, std: float = STD) -> float:
    """Standard deviation of x at a level, for such data; the flow keeps every quantile."""
    return math.hypot(level.signal * std, level.sigma)


def at_the_end(path: Path, seed: int = 0) -> Tensor:
    """Data as sampling leaves them: at the last level with noise in it."""
    draw = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * deviation([level for level in path if level.sigma > 0][-1])


def test_gaussian_data_end_near_the_gaussian_shell() -> None:
    """The norm of n unit normals is sqrt(n) give or take 0.7; the rest is the first-order error of
    the moves, which halves with the step.
    """
    errors = []
    for steps in (50, 100, 200):
        path = dynamicrafter_path(steps, 0.7)
        z = at_the_end(path)
        noise = inverted(gaussian(), z, path)
        assert noise.shape == SHAPE
        # the flow keeps every quantile: where these data would end after infinitely many moves
        exact = z / deviation(path[-1])
        errors.append(float(noise.norm() / exact.norm()) - 1)
        assert abs(float(noise.norm()) / math.sqrt(noise.numel()) - 1 - errors[-1]) < 0.02
    assert [abs(e) for e in errors] == sorted((abs(e) for e in errors), reverse=True)
    assert abs(errors[0]) < 0.07
    assert errors[0] / errors[2] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("family", ["vp", "edm"])
def test_sampling_from_the_inverse_returns_the_start(family: str) -> None:
    """Both ways are first order; their errors do not cancel, and halve as the steps double: 11 %,
    5.7 %, 2.9 %, 1.5 % at 50, 100, 200, 400 steps.
    """
    errors = []
    for steps in (50, 100, 200, 400):
        if family == "vp":
            path: Path = dynamicrafter_path(steps, 0.7)
        else:
            path = edm_path(karras_sigmas(steps, 0.002, 80.0))
        z = at_the_end(path)
        back = sample(gaussian(), inverted(gaussian(), z, path), path, noise=seeded_noise(0))
        errors.append(float((back - z).norm() / z.norm()))
    assert errors[0] < 0.12
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2, abs=0.4), errors


def test_it_is_deterministic_and_reports_its_moves() -> None:
    path = dynamicrafter_path(7, 0.3)
    z = at_the_end(path)
    moves: list[tuple[int, int]] = []
    one = inverted(gaussian(), z, path, lambda i, n, x: moves.append((i, n)))
    assert torch.equal(one, inverted(gaussian(), z, path))
    assert moves == [(i, 7) for i in range(1, 8)]


def test_the_level_without_noise_is_left_out() -> None:
    """An EDM path ends on data; the walk up begins one level before."""
    asked: list[float] = []

    def predict(x: Tensor, level: Level) -> Tensor:
        asked.append(level.sigma)
        return gaussian()(x, level)

    inverted(predict, torch.ones(1, 1, 1, 1, 1), edm_path([10.0, 1.0, 0.1]))
    assert asked == [0.1, 1.0]
