"""Paths against published tables and closed forms; re-injection written out by hand."""

from __future__ import annotations

import math
from pathlib import Path as FilePath

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vtg_cli.machine.device import seeded_noise
from vtg_cli.sampling.level import (
    Level,
    edm_level,
    flow_level,
    scaled_linear_betas,
    vp_level,
    zero_terminal_snr,
)
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import ascending, edm_path, karras_sigmas, resample, trailing_timesteps
from vtg_cli.sampling.solvers import dpmpp_2m, renoise, transition_std

TABLES = FilePath(__file__).parents[1] / "data" / "parity" / "dc_tables.safetensors"


def test_zero_terminal_snr_is_the_recorded_table() -> None:
    tables = load_file(TABLES)
    betas = zero_terminal_snr(scaled_linear_betas(0.00085, 0.012))
    assert float(betas[-1]) == 1.0
    # the table was computed in float32
    assert torch.allclose(betas.float(), tables["betas"], atol=1e-6, rtol=1e-5)
    bars = torch.cumprod(1 - betas, 0)
    assert torch.allclose(bars.float(), tables["alphas_cumprod"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("steps", [4, 10, 25, 30, 50])
def test_trailing_timesteps_are_the_recorded_ones(steps: int) -> None:
    tables = load_file(TABLES)
    name = next(k for k in tables if f"uniform_trailing.S{steps}." in k and k.endswith("timesteps"))
    assert sorted(trailing_timesteps(steps)) == tables[name].tolist()


@pytest.mark.parametrize("steps", range(1, 201))
def test_trailing_timesteps_for_every_count(steps: int) -> None:
    times = trailing_timesteps(steps)
    assert len(times) == steps and times[0] == 999 and min(times) >= 0
    assert times == sorted(times, reverse=True)


def test_karras_ends_and_even_spacing_in_the_seventh_root() -> None:
    sigmas = karras_sigmas(25, 0.002, 700.0)
    assert sigmas[0] == pytest.approx(700, rel=1e-12)
    assert sigmas[-1] == pytest.approx(0.002, rel=1e-12)
    gaps = torch.tensor(sigmas, dtype=torch.float64).pow(1 / 7).diff()
    assert float(gaps.std() / gaps.mean().abs()) < 1e-12
    assert karras_sigmas(1, 0.002, 700.0) == pytest.approx([700.0])


def test_reinjection_is_a_path_with_up_moves() -> None:
    """Against Generative Inbetweening's loop, written out: step, then (add noise, step again)
    `times` times.
    """
    times, until = 3, 4
    sigmas = [80.0, 30.0, 10.0, 3.0, 1.0, 0.2]
    path = edm_path(sigmas)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, dtype=torch.float64, generator=generator)
    draws = [
        torch.randn(2, 3, dtype=torch.float64, generator=generator) for _ in range(times * until)
    ]

    def predict(x: Tensor, level: Level) -> Tensor:
        return torch.tanh(x / level.scale + level.t)

    supply = iter(draws)
    y = sample(predict, x, resample(path, times, until), noise=lambda _: next(supply))
    assert next(supply, None) is None

    supply = iter(draws)
    ends = [*sigmas, 0.0]
    for i, level in enumerate(path[:-1]):
        high, low = ends[i], ends[i + 1]

        def step(x: Tensor, level: Level = level, high: float = high, low: float = low) -> Tensor:
            return x + (low - high) * (x - predict(x, level)) / high

        x = step(x)
        for _ in range(times if i < until else 0):
            x = step(x + next(supply) * math.sqrt(high**2 - low**2))
    assert float((x - y).abs().max()) < 1e-12


def test_up_moves_clear_the_multistep_history() -> None:
    path = resample(edm_path(karras_sigmas(6, 0.1, 10.0)), 1, 3)
    lengths: list[int] = []

    def solver(predict, x, a, b, history, noise):  # type: ignore[no-untyped-def]
        lengths.append(len(history))
        return dpmpp_2m(predict, x, a, b, history, noise)

    sample(lambda x, level: 0.5 * x, torch.ones(1, 1), path, solver, noise=seeded_noise(0))
    # after each of the first three moves the next down-move starts anew
    assert lengths == [0, 0, 1, 0, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("family", [edm_level, flow_level, lambda t: vp_level((1 - t) ** 2, t)])
def test_renoise_reaches_the_marginal_of_the_noisier_level(family) -> None:  # type: ignore[no-untyped-def]
    """x at level a has variance s_a^2 + sigma_a^2 for unit data; after an up-move it has level
    b's.
    """
    a, b = family(0.3), family(0.7)
    variance = (b.signal / a.signal) ** 2 * a.scale**2 + transition_std(b, a) ** 2
    assert variance == pytest.approx(b.scale**2, rel=1e-12)
    x = torch.full((1,), 2.0, dtype=torch.float64)
    ones = renoise(lambda x, level: x, x, a, b, [], torch.ones_like)
    assert float(ones) == pytest.approx(2 * b.signal / a.signal + transition_std(b, a), rel=1e-12)


def test_noisier_orders_levels_also_at_the_ends() -> None:
    pure, some, data = Level(0.0, 1.0, 999), Level(0.6, 0.8, 500), Level(1.0, 0.0, 0)
    assert pure.noisier(some) and some.noisier(data) and pure.noisier(data)
    assert not some.noisier(pure) and not some.noisier(some) and not data.noisier(some)


def test_ascending_starts_above_data() -> None:
    path = edm_path([10.0, 1.0])
    assert [level.sigma for level in ascending(path)] == [1.0, 10.0]


def test_x0_from_eps_refuses_pure_noise() -> None:
    x = torch.ones(1)
    level = Level(0.6, 0.8, 0.0, 0.5)
    assert float(level.x0_from_eps(level.noise(3 * x, 2 * x), 2 * x)) == pytest.approx(3)
    with pytest.raises(ValueError, match="alpha = 0"):
        Level(0.0, 1.0, 0.0).x0_from_eps(x, x)


def test_v_round_trip_in_every_family() -> None:
    x, x0 = torch.tensor([0.7], dtype=torch.float64), torch.tensor([-0.2], dtype=torch.float64)
    for level in (Level(0.6, 0.8, 0, 0.7), Level(1.0, 5.0, 0), Level(0.3, 0.7, 0)):
        v = level.v_from_x0(x, x0)
        assert float(level.x0_from_v(x, v)) == pytest.approx(-0.2, rel=1e-12)
        # v = (alpha eps - sigma gain x0) / scale
        eps = level.eps(x, x0)
        assert float(v) == pytest.approx(
            float((level.alpha * eps - level.sigma * level.gain * x0) / level.scale), rel=1e-12
        )
