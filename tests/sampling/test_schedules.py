"""Noise levels for few steps, guidance in an interval, and what solvers make of ten steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vtg_cli.machine.device import seeded_noise
from vtg_cli.sampling.guidance import within
from vtg_cli.sampling.level import Level, edm_level
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import AYS_SVD, ays_sigmas, edm_path, karras_sigmas
from vtg_cli.sampling.solvers import SOLVERS


def test_ten_steps_of_align_your_steps_are_the_published_ones() -> None:
    """All but the last, which is taken for data: as in the tools its authors point to."""
    path = edm_path(ays_sigmas(10))
    assert [round(level.sigma, 12) for level in path] == [*AYS_SVD[:-1], 0.0]


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 10, 25, 100])
def test_other_step_counts_lie_on_straight_lines_through_logarithms(steps: int) -> None:
    places = np.linspace(0, 1, steps + 1)
    expected = np.exp(np.interp(places, np.linspace(0, 1, 11), np.log(AYS_SVD)))[:-1]
    assert ays_sigmas(steps) == pytest.approx(list(expected), rel=1e-12)
    assert all(a > b for a, b in zip(ays_sigmas(steps), ays_sigmas(steps)[1:], strict=False))


def test_guidance_within_an_interval() -> None:
    asked: list[str] = []

    def told(name: str) -> object:
        return lambda x, level: asked.append(name)

    levels = edm_path(karras_sigmas(5, 0.01, 10))
    for first, end, expected in (
        (levels[1], levels[3], "aggaaa"),
        (levels[0], None, "gggggg"),
        (levels[2], None, "aagggg"),
    ):
        asked.clear()
        predict = within(told("g"), told("a"), first, end)  # type: ignore[arg-type]
        for level in levels:
            predict(torch.zeros(1), level)
        assert "".join(asked) == expected


def gaussian_error(solver: str, sigmas: list[float], spread: float) -> float:
    """Of a walk for data of mean 0 and deviation `spread`, whose exact answer is known: every x
    shrinks by spread / sqrt(spread^2 + sigma^2).
    """

    def predict(x: Tensor, level: Level) -> Tensor:
        return x * (spread**2 / (spread**2 + level.sigma**2))

    x = sigmas[0] * torch.ones(1, dtype=torch.float64)
    end = sample(predict, x, edm_path(sigmas), SOLVERS[solver], noise=seeded_noise(0))
    exact = x * spread / (spread**2 + edm_level(sigmas[0]).sigma ** 2) ** 0.5
    return float((end / exact - 1).abs())


@pytest.mark.parametrize("spread", [0.3, 0.5, 1.0])
def test_ten_steps_of_ays_and_2m_beat_25_of_euler_on_an_analytic_denoiser(spread: float) -> None:
    """With room: half its error. 2M alone, on the usual schedule, does not always beat it."""
    few, many = ays_sigmas(10), karras_sigmas(25, 0.002, 700)
    assert 1.9 * gaussian_error("dpmpp_2m", few, spread) < gaussian_error("euler", many, spread)
    assert gaussian_error("euler", few, spread) < gaussian_error(
        "euler", karras_sigmas(10, 0.002, 700), spread
    )
