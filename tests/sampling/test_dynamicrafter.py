"""DynamiCrafter's schedule, guidance and DDIM steps against what its official code recorded.

Facts about the recordings: tests/data/parity/README.md, sections 1 and 9 to 11.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vtg_cli.conditioning.cond import Cond
from vtg_cli.machine.device import seeded_noise
from vtg_cli.sampling.guidance import cfg, multi_cfg, rescaled
from vtg_cli.sampling.level import (
    Level,
    alphas_cumprod,
    dynamic_rescale,
    scaled_linear_betas,
    zero_terminal_snr,
)
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import (
    SPACINGS,
    dynamicrafter_path,
    trailing_timesteps,
    uniform_timesteps,
)
from vtg_cli.sampling.solvers import ancestral, euler, fresh_std

PARITY = FilePath(__file__).parents[1] / "data" / "parity"
TABLES = load_file(PARITY / "dc_tables.safetensors")
MODELS = {"512": 0.7, "1024": 0.3}
RECORDED = sorted({k.rsplit(".", 1)[0] for k in TABLES if k.startswith("ddim.")})
ALL_STEPS = range(1, 1001)


def numbers(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def worst(got: Tensor, expected: Tensor) -> float:
    assert got.shape == expected.shape
    return float((got.double() - expected.double()).abs().max())


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- tables


def test_the_noise_schedule_is_bit_equal_to_the_recorded_one() -> None:
    betas = zero_terminal_snr(scaled_linear_betas(0.00085, 0.012))
    assert torch.equal(betas.float(), TABLES["betas"])
    assert torch.equal(alphas_cumprod(betas).float(), TABLES["alphas_cumprod"])
    assert float(alphas_cumprod(betas)[-1]) == 0


@pytest.mark.parametrize("model", MODELS)
def test_dynamic_rescale_is_bit_equal_to_the_recorded_array(model: str) -> None:
    # the recorded array has 400 entries that no timestep reaches
    recorded = TABLES[f"{model}.scale_arr"][:1000]
    assert torch.equal(dynamic_rescale(MODELS[model]).float(), recorded)


def test_without_rescale_every_gain_is_one() -> None:
    assert bool((dynamic_rescale(1.0) == 1).all())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", RECORDED)
def test_paths_are_the_recorded_ddim_tables(name: str, model: str) -> None:
    _, spacing, rest = name.split(".", 2)
    steps, eta = int(rest.split(".")[0][1:]), float(rest.partition("eta")[2])
    path = dynamicrafter_path(steps, MODELS[model], spacing)
    up = path[::-1]  # as the tables lie: [terminal level, cleanest timestep, ..]

    def recorded(key: str, prefix: str = "") -> Tensor:
        # uniform with 7 steps has an eighth entry in the official code; ours ends after the seventh
        return TABLES[f"{prefix}{name}.{key}"][:steps]

    bars = numbers([level.alpha**2 for level in up])
    gains = numbers([level.gain for level in up])
    stds = [fresh_std(a, b, eta) for b, a in pairwise(up)]
    assert [level.t for level in up[1:]] == recorded("timesteps").tolist()
    # squaring the square root of a float64 is off by an ulp or two
    assert worst(bars[1:], recorded("alphas")) < 1e-15
    assert worst(bars[:-1], recorded("alphas_prev")) < 1e-15
    assert bars[0] == pytest.approx(0.99915, abs=1e-7)
    # part of the recorded product is float32; 2.7e-8 at worst
    assert worst(numbers(stds), recorded("sigmas")) < 1e-7
    assert torch.equal(gains[1:].float(), recorded("scale", f"{model}."))
    assert torch.equal(gains[:-1].float(), recorded("scale_prev", f"{model}."))


# --- every number of steps


def test_trailing_is_the_published_arange_without_its_extra_entries() -> None:
    extra = []
    for steps in ALL_STEPS:
        published = np.round(np.arange(1000, 0, -1000 / steps)).astype(int) - 1
        assert trailing_timesteps(steps) == published[:steps].tolist(), steps
        if len(published) > steps:
            extra.append(steps)
            assert published[steps] == -1
    assert extra[:4] == [61, 103, 121, 122]  # where the official code crashes


def test_uniform_is_the_published_range_without_its_extra_entries() -> None:
    for steps in ALL_STEPS:
        published = [t + 1 for t in range(0, 1000, 1000 // steps)][:steps]
        if published[-1] == 1000:  # past the table
            assert steps == 1000
            published = [t - 1 for t in published]
        assert uniform_timesteps(steps) == published[::-1], steps


@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_step_count_has_its_timesteps_within_the_table(spacing: str) -> None:
    for steps in ALL_STEPS:
        times = SPACINGS[spacing](steps)
        assert len(times) == steps
        assert times[-1] >= 0 and times[0] <= 999
        assert all(a > b for a, b in pairwise(times)), steps


@pytest.mark.parametrize("steps", [0, -1, 1001])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_other_step_counts_are_refused(spacing: str, steps: int) -> None:
    with pytest.raises(ValueError, match=f"{steps} steps; a schedule of 1000 timesteps"):
        dynamicrafter_path(steps, 0.7, spacing)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_step_count_stays_finite(spacing: str, eta: float) -> None:
    """The official sampler's own radicand is NaN at 7, 11, 14, 15, 20, 25 .. trailing steps."""
    start = randn(0, 1, 1, 1, 1, 2).float()
    for steps in [*range(1, 201), 999, 1000]:
        path = dynamicrafter_path(steps, 0.7, spacing)
        assert len(path) == steps + 1
        y = sample(lambda x, level: 0.1 * x, start, path, ancestral(eta), noise=seeded_noise(steps))
        assert bool(y.isfinite().all()), steps


# --- the steps of the recorded trajectories, without a network


@pytest.fixture(params=["dc_p1", "dc_p2"])
def recording(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    """[1, C, T, h, w] in the files; [B, F, C, h, w] here."""
    stored = load_file(PARITY / f"{request.param}.safetensors")
    return {k: v.transpose(1, 2) if v.ndim == 5 else v for k, v in stored.items()}


def recorded_path() -> list[Level]:
    return dynamicrafter_path(4, 0.7, "uniform_trailing")


@pytest.mark.parity
def test_the_path_is_that_of_the_trajectories(recording: dict[str, Tensor]) -> None:
    up = recorded_path()[::-1]
    bars, gains = (numbers(v) for v in zip(*((a.alpha**2, a.gain) for a in up), strict=True))
    assert worst(bars[1:], recording["ddim.alphas"]) < 1e-15
    assert worst(bars[:-1], recording["ddim.alphas_prev"]) < 1e-15
    assert worst(gains[1:], recording["ddim.scale"]) == 0
    assert worst(gains[:-1], recording["ddim.scale_prev"]) == 0
    stds = [fresh_std(a, b, 1.0) for b, a in pairwise(up)]
    assert worst(numbers(stds), recording["ddim.sigmas"]) < 1e-7


@pytest.mark.parity
@pytest.mark.parametrize("sequential", [False, True])
def test_the_first_step_from_the_recorded_network_outputs(
    recording: dict[str, Tensor], sequential: bool
) -> None:
    """Guidance 7.5, image guidance 4 where recorded, rescale 0.7, dynamic rescale, eta 1.

    The suggested gate for samples is 3e-3; the same formulas in float64 lie 9e-7 from the official
    float32. Measured: x0 1.4e-6, x_prev 3e-7.
    """
    outputs = {
        0.0: recording["step00.v_cond"],
        1.0: recording["step00.v_uncond"],
        2.0: recording.get("step00.v_uncond_img", torch.empty(0)),
    }
    cond, null, image = (Cond(image=torch.full((1, 1, 1, 1), key)) for key in outputs)

    def network(x: Tensor, level: Level, told: Cond) -> Tensor:
        assert told.image is not None
        rows = told.image.flatten().tolist()
        return level.x0_from_v(x, torch.cat([outputs[row] for row in rows]))

    if outputs[2.0].numel():
        predict = multi_cfg(network, cond, image, null, 7.5, 4.0, 0.7, sequential)
    else:
        predict = cfg(network, cond, null, 7.5, 0.7, sequential)
    a, b = recorded_path()[:2]
    x = recording["noise.x_T"]
    x0 = predict(x, a) * b.gain
    assert worst(x0, recording["step00.pred_x0"]) < 1e-5
    got = ancestral(1.0)(predict, x, a, b, [], lambda _: recording["noise.step00"])
    assert worst(got, recording["step00.x_prev"]) < 1e-5


@pytest.mark.parity
def test_the_last_step_from_the_recorded_x0(recording: dict[str, Tensor]) -> None:
    """It ends on alpha_bar[0]: taking that as 1 errs by 0.11 or more. Measured 5e-7."""
    a, b = recorded_path()[-2:]
    clean = recording["step03.pred_x0"] / b.gain
    got = ancestral(1.0)(
        lambda x, level: clean,
        recording["step02.x_prev"],
        a,
        b,
        [],
        lambda _: recording["noise.step03"],
    )
    assert worst(got, recording["out.samples"]) < 1e-5


# --- guidance where the official code crashes


LEVEL = Level(0.6, 0.8, 300.0, 0.7)
X = randn(9, 2, 3, 4, 5, 6)
COND, IMAGE, NULL = (Cond(image=randn(i, 2, 1, 1, 4)) for i in range(3))


def v_of(x: Tensor, cond: Cond) -> Tensor:
    assert cond.image is not None
    return torch.tanh(1.3 * (x + cond.image[:, :, 0, :, None, None]))


def denoise(x: Tensor, level: Level, cond: Cond) -> Tensor:
    return level.x0_from_v(x, v_of(x, cond))


@pytest.mark.parametrize("rescale", [0.0, 0.7])
@pytest.mark.parametrize("scale", [1.0, 7.5])
@pytest.mark.parametrize("image_scale", [0.0, 1.0, 4.0])
def test_multi_condition_guidance_at_every_scale(
    scale: float, image_scale: float, rescale: float
) -> None:
    """In v, as published, per sample of the batch; also at the scales 1 that crash there."""
    c, i, n = (v_of(X, cond) for cond in (COND, IMAGE, NULL))
    v = n + image_scale * (i - n) + scale * (c - i)
    if rescale:
        ratio = torch.stack([row.std() for row in c]) / torch.stack([row.std() for row in v])
        v = rescale * v * ratio.view(-1, 1, 1, 1, 1) + (1 - rescale) * v
    got = multi_cfg(denoise, COND, IMAGE, NULL, scale, image_scale, rescale)(X, LEVEL)
    assert worst(LEVEL.v_from_x0(X, got), v) < 1e-12


def test_multi_condition_guidance_at_one_and_one_is_the_condition() -> None:
    got = multi_cfg(denoise, COND, IMAGE, NULL, 1.0, 1.0, 0.7)(X, LEVEL)
    assert worst(got, denoise(X, LEVEL, COND)) < 1e-12


def test_rescale_of_nothing_or_to_itself_changes_nothing() -> None:
    x0, reference = denoise(X, LEVEL, COND), denoise(X, LEVEL, NULL)
    assert worst(rescaled(X, LEVEL, x0, reference, 0.0), x0) < 1e-12
    assert worst(rescaled(X, LEVEL, x0, x0, 0.7), x0) < 1e-12


# --- the solver


def test_eta_zero_is_euler_and_draws_nothing() -> None:
    path = dynamicrafter_path(10, 0.7)
    start = randn(3, 1, 2, 4, 3, 3)

    def predict(x: Tensor, level: Level) -> Tensor:
        return torch.tanh(x + level.t)

    def refuse(x: Tensor) -> Tensor:
        raise AssertionError("a draw")

    one = sample(predict, start, path, ancestral(0.0), noise=refuse)
    other = sample(predict, start, path, euler, noise=refuse)
    assert worst(one, other) < 1e-12


def test_eta_draws_once_per_move() -> None:
    """Also onto the level it stands on, the last move of 1000 steps."""
    draws = 0

    def noise(x: Tensor) -> Tensor:
        nonlocal draws
        draws += 1
        return torch.ones_like(x)

    for steps in (1, 4, 1000):
        draws, path = 0, dynamicrafter_path(steps, 0.7)
        sample(lambda x, level: 0.1 * x, torch.ones(1), path, ancestral(0.5), noise=noise)
        assert draws == steps


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_unit_data_keep_their_variance_whatever_eta_is(eta: float) -> None:
    """Gaussian data have a linear denoiser: the solver multiplies x and adds fresh_std of noise, so
    the variance is a recursion. As the steps grow it tends to the data's own, 1.
    """

    def once(x: float, draw: float, a: Level, b: Level) -> float:
        solver, value = ancestral(eta), torch.tensor(x, dtype=torch.float64)
        # x0 = alpha x is exact for unit data
        moved = solver(lambda x, a: a.alpha * x, value, a, b, [], lambda x: x.new_tensor(draw))
        return float(moved)

    gaps = []
    for steps in (50, 100, 200):
        variance = 1.0
        for a, b in pairwise(dynamicrafter_path(steps, 1.0)):
            variance = once(1, 0, a, b) ** 2 * variance + once(0, 1, a, b) ** 2
        gaps.append(abs(1 - variance))
    # measured 0.058, 0.069 and 0.111 for eta 0, 0.5 and 1
    assert gaps[0] < 0.12
    # first order: each doubling of the steps halves the gap
    assert gaps[0] / gaps[1] == pytest.approx(2, abs=0.3)
    assert gaps[1] / gaps[2] == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [10, 40])
def test_against_diffusers_ddim_with_zero_terminal_snr(steps: int, eta: float) -> None:
    """diffusers' steps in float64, on its own table made in float64 and rounded as the published
    ones are: the one it makes in float32 differs from processor to processor.

    With eta 1 its first radicand, 1 - bar_b - std^2, is the rounding of an exact 0: now and then
    below it and NaN, in any precision. That step keeps nothing of the noise in x and is written
    out; those behind it have radicands of (1 - bar_b)(1 - std^2 / (1 - bar_b)), far from 0.
    """
    from diffusers import DDIMScheduler
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    scheduler = DDIMScheduler(
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    bars = (1 - rescale_zero_terminal_snr(betas)).cumprod(0).float().double()
    scheduler.alphas_cumprod, scheduler.final_alpha_cumprod = bars, bars[0]
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == trailing_timesteps(steps)
    draws = [randn(20 + i, 1, 2, 4, 3, 3) for i in range(steps)]

    def net(x: Tensor, t: float) -> Tensor:
        return torch.tanh(1.3 * x + 0.1 * math.sin(t)) + 0.2 * x.roll(1, 1)

    x = start = randn(4, 1, 2, 4, 3, 3)
    for i, (t, draw) in enumerate(zip(scheduler.timesteps.tolist(), draws, strict=True)):
        if eta and i == 0:  # bar is 0 there, so x0 = -v
            bar = bars[scheduler.timesteps[1]]
            x = -bar.sqrt() * net(x, t) + (1 - bar).sqrt() * draw
            continue
        out = scheduler.step(net(x, t), t, x, eta=eta, variance_noise=draw if eta else None)
        x = out.prev_sample
    supply = iter(draws)
    y = sample(
        lambda x, level: level.x0_from_v(x, net(x, level.t)),
        start,
        dynamicrafter_path(steps, 1.0),
        ancestral(eta),
        noise=lambda _: next(supply),
    )
    # some 20 roundings a step; on the circle x moves by v = net per radian, whose slope is at most
    # 1.3 + 0.2, so what is off grows by exp(1.5 * pi / 2) at most
    rounding = 20 * steps * torch.finfo(torch.float64).eps * math.exp(1.5 * math.pi / 2)
    assert worst(y, x) < rounding * float(x.abs().max())


@pytest.mark.parametrize("steps", [7, 10, 30, 50, 200])
def test_uniform_spacing_is_diffusers_leading_with_an_offset_of_one(steps: int) -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(timestep_spacing="leading", steps_offset=1)
    scheduler.set_timesteps(steps)
    assert uniform_timesteps(steps) == scheduler.timesteps.tolist()
