"""The denoising loss against data whose best denoiser is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator, Tensor

from vtg_cli.conditioning.cond import Cond
from vtg_cli.sampling.level import Level, edm_level
from vtg_cli.training.losses import denoising_loss, log_normal_levels


@pytest.mark.parametrize("sigma", [0.1, 1.0, 5.0])
def test_best_denoiser_of_gaussian_data_has_its_posterior_variance(sigma: float) -> None:
    generator = Generator().manual_seed(0)
    x0, eps = torch.randn(2, 4, 4, 3, 32, 32, generator=generator)

    def best(x: Tensor, level: Level, cond: Cond) -> Tensor:
        return x / (1 + level.sigma**2)

    loss = denoising_loss(best, x0, eps, edm_level(sigma), Cond(), 1.0)
    # 49 thousand squares of a normal: deviation of their mean is 0.64 %
    assert float(loss) == pytest.approx(sigma**2 / (1 + sigma**2), rel=0.02)


def test_levels_follow_the_log_normal_one_from_each_part() -> None:
    levels = log_normal_levels(400, -1.6, 1.6, Generator().manual_seed(1))
    logs = torch.tensor([math.log(level.sigma) for level in levels])
    assert bool((logs.diff() > 0).all())
    # stratified: far closer than the 0.08 of independent draws
    assert float(logs.mean()) == pytest.approx(-1.6, abs=0.01)
    assert float(logs.std()) == pytest.approx(1.6, abs=0.02)
    assert float(logs[200]) == pytest.approx(-1.6, abs=0.02)
