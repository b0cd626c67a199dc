"""One step is EDM-Euler, DDIM and rectified-flow Euler; oracles: diffusers' schedulers and closed
forms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from vtg_cli.conditioning.cond import Cond
from vtg_cli.machine.device import seeded_noise
from vtg_cli.sampling.guidance import bind, cfg
from vtg_cli.sampling.level import (
    Level,
    edm_level,
    flow_level,
    scaled_linear_betas,
    vp_level,
    zero_terminal_snr,
)
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import (
    ascending,
    edm_path,
    karras_sigmas,
    lcm_sigmas,
    trailing_timesteps,
)
from vtg_cli.sampling.solvers import SOLVERS, ancestral, dpmpp_2m, euler, heun, injecting, lcm

SHAPE = (1, 6, 4, 5, 7)


def randn(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def net(x: Tensor, t: float) -> Tensor:
    """Any smooth function of latents and time will do: the algebra must hold for every network."""
    return torch.tanh(x * 1.3 + 0.1 * math.sin(t)) + 0.2 * x.roll(1, 1)


def rel(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def v_model(x: Tensor, level: Level) -> Tensor:
    return level.x0_from_v(x, net(x / level.scale, level.t))


def gaussian(std: float) -> Callable[[Tensor, Level], Tensor]:
    """The exact denoiser of data N(0, std^2): x0 = s * std^2 * x / (s^2 std^2 + sigma^2)."""

    def denoise(x: Tensor, level: Level) -> Tensor:
        return level.signal * std**2 * x / (level.signal**2 * std**2 + level.sigma**2)

    return denoise


def gaussian_flow(x: Tensor, std: float, start: Level) -> Tensor:
    """Where the probability-flow ODE ends for such data: the quantile keeps its place."""
    return x * std / math.sqrt(start.signal**2 * std**2 + start.sigma**2)


def test_euler_is_diffusers_edm_euler_on_svd_settings() -> None:
    from diffusers import EulerDiscreteScheduler

    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        interpolation_type="linear",
        prediction_type="v_prediction",
        sigma_max=700.0,
        sigma_min=0.002,
        steps_offset=1,
        timestep_spacing="leading",
        timestep_type="continuous",
        use_karras_sigmas=True,
    )
    scheduler.set_timesteps(25)
    path = edm_path(karras_sigmas(25, 0.002, 700.0))
    start = randn(0)
    x = start * float(scheduler.init_noise_sigma)
    for t in scheduler.timesteps:
        v = net(scheduler.scale_model_input(x, t).double(), float(t))
        x = scheduler.step(v, t, x).prev_sample.double()
    y = sample(v_model, start * path[0].scale, path, noise=seeded_noise(0))
    assert rel(y, x) < 1e-5  # their sigmas and sums are float32


def test_euler_is_rectified_flow_euler() -> None:
    times = torch.linspace(1, 0, 11, dtype=torch.float64).tolist()
    x = randn(1)
    path = [flow_level(t) for t in times]
    y = sample(lambda z, a: z - a.sigma * net(z, a.t), x, path, noise=seeded_noise(0))
    for t, u in pairwise(times):
        x = x + (u - t) * net(x, t)
    assert rel(y, x) < 1e-12


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ancestral_is_diffusers_ddim(eta: float) -> None:
    from diffusers import DDIMScheduler

    steps = 20
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    bars = scheduler.alphas_cumprod.double()
    times = trailing_timesteps(steps)
    assert times == scheduler.timesteps.tolist()
    path = [vp_level(float(bars[t]), t) for t in times]
    # diffusers ends on the first alpha_bar, one spacing below the last timestep
    path.append(vp_level(float(bars[0]), 0))
    draws = [randn(100 + i) for i in range(steps)]
    x = randn(2)
    supply = iter(draws)
    y = sample(v_model, x, path, ancestral(eta), noise=lambda _: next(supply))
    for t, draw in zip(times, draws, strict=True):
        out = scheduler.step(net(x, t), t, x, eta=eta, variance_noise=draw if eta else None)
        x = out.prev_sample.double()
    assert rel(y, x) < 1e-5  # their alpha_bar products are float32


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_dynamicrafter_ddim(eta: float, rescale: float) -> None:
    """Zero terminal SNR, v-prediction, dynamic rescale as a gain, guidance rescale, terminal level
    = data.
    """
    steps, scale = 10, 7.5
    bars = torch.cumprod(1 - zero_terminal_snr(scaled_linear_betas(0.00085, 0.012)), 0)
    gains = torch.cat([torch.linspace(1, 0.7, 400), torch.full((600,), 0.7)]).double()
    times = trailing_timesteps(steps)
    path = [vp_level(float(bars[t]), t, float(gains[t])) for t in times]
    path.append(vp_level(float(bars[0]), 0, float(gains[times[-1]])))
    told, nothing = randn(3, (1, 1, 1, 4)), torch.zeros(1, 1, 1, 4, dtype=torch.float64)

    def shift(c: Tensor) -> Tensor:
        return c[:, :, 0, :, None, None]

    def denoise(x: Tensor, level: Level, cond: Cond) -> Tensor:
        assert cond.image is not None
        return level.x0_from_v(x, net(x + shift(cond.image), level.t))

    draws = [randn(50 + i) for i in range(steps)]
    supply = iter(draws)
    start = randn(4)
    predict = cfg(denoise, Cond(image=told), Cond(image=nothing), scale, rescale)
    y = sample(predict, start, path, ancestral(eta), noise=lambda _: next(supply))

    x = start  # the published DDIM step, written out
    for k, t in enumerate(times):
        prev = times[k + 1] if k + 1 < steps else 0
        a, ap = bars[t], bars[prev]
        gain, gain_prev = gains[t], gains[times[k + 1]] if k + 1 < steps else gains[times[-1]]
        vc, vn = net(x + shift(told), t), net(x + shift(nothing), t)
        v = vn + scale * (vc - vn)
        if rescale:
            axes = (1, 2, 3, 4)
            v = (
                rescale * v * vc.std(axes, keepdim=True) / v.std(axes, keepdim=True)
                + (1 - rescale) * v
            )
        eps = a.sqrt() * v + (1 - a).sqrt() * x
        x0 = (a.sqrt() * x - (1 - a).sqrt() * v) * gain_prev / gain
        s = eta * ((1 - ap) / (1 - a) * (1 - a / ap)).sqrt()
        x = ap.sqrt() * x0 + (1 - ap - s**2).clamp(min=0).sqrt() * eps + s * draws[k]
    assert rel(y, x) < 1e-9


def test_solvers_converge_at_their_order_to_the_exact_flow() -> None:
    """Gaussian data: the ODE has a closed form. Halving the step divides the error by 2 or by 4."""
    start, std = randn(5), 0.5
    orders = {"euler": 1, "heun": 2, "dpmpp_2m": 2}
    assert {*orders, "lcm"} == set(SOLVERS)  # which follows no flow
    for name, order in orders.items():
        errors = []
        for steps in (40, 80, 160):
            path = [edm_level(s) for s in karras_sigmas(steps, 0.02, 80.0)]
            x = start * path[0].scale
            got = sample(gaussian(std), x, path, SOLVERS[name], noise=seeded_noise(0))
            end = path[-1]
            exact = gaussian_flow(x, std, path[0]) * math.sqrt(std**2 + end.sigma**2) / std
            errors.append(rel(got, exact))
        measured = math.log2(errors[0] / errors[2]) / 2
        assert measured == pytest.approx(order, abs=0.35), (name, errors)


@pytest.mark.parametrize("solver", [heun, dpmpp_2m])
def test_second_order_solvers_stay_finite_from_alpha_zero(
    solver: Callable[..., Tensor],
) -> None:
    """Even steps in half-log-SNR behind a first level of pure noise, whose own is -inf."""
    std, start = 0.5, randn(6)
    for steps in (10, 20, 40):
        snrs = torch.linspace(-3, 3, steps, dtype=torch.float64).mul(2).sigmoid().tolist()
        path = [Level(0.0, 1.0, 999.0), *(vp_level(bar, 0.0) for bar in snrs)]
        exact = start * math.hypot(path[-1].alpha * std, path[-1].sigma)
        error, first_order = (
            rel(sample(gaussian(std), start, path, s, noise=seeded_noise(0)), exact)
            for s in (solver, euler)
        )
        assert error < 0.5 * first_order, (steps, error, first_order)


def test_dpmpp_2m_is_diffusers_multistep_solver() -> None:
    from diffusers import DPMSolverMultistepScheduler

    steps = 20
    scheduler = DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        solver_order=2,
        lower_order_final=False,
        euler_at_final=False,
        final_sigmas_type="sigma_min",
    )
    scheduler.set_timesteps(steps)
    bars = scheduler.alphas_cumprod.double()
    times = scheduler.timesteps.tolist()
    path = [vp_level(float(bars[t]), t) for t in times] + [vp_level(float(bars[0]), 0)]
    x = start = randn(7)
    for t in times:
        x = scheduler.step(net(x, t), t, x).prev_sample.double()
    y = sample(v_model, start, path, dpmpp_2m, noise=seeded_noise(0))
    assert rel(y, x) < 1e-4  # their half-log-SNRs are float32


@pytest.mark.parametrize("steps", [1, 4, 6, 8, 20])
def test_lcm_is_diffusers_consistency_sampler_at_animatelcm_s_levels(steps: int) -> None:
    """Theirs adds noise up to sqrt(sigma^2 - sigma_min^2), AnimateLCM's up to sigma: ours is handed
    draws that are smaller by that. Theirs ends on sigma_min, onto which it adds none.
    """
    from diffusers import CMStochasticIterativeScheduler

    low, high, seed = 0.002, 700.0, 12
    theirs = CMStochasticIterativeScheduler(
        num_train_timesteps=40,
        sigma_min=low,
        sigma_max=high,
        sigma_data=1.0,
        rho=7.0,
        clip_denoised=False,
    )
    theirs.set_timesteps(steps)
    path = edm_path(lcm_sigmas(steps, low, high))
    known = theirs.sigmas.double().tolist()[:-1]
    assert [level.sigma for level in path] == [*(pytest.approx(s, rel=1e-6) for s in known), 0.0]
    assert [1000 * level.t for level in path[:-1]] == pytest.approx(theirs.timesteps.tolist())

    x = start = randn(9) * path[0].scale
    generator = torch.Generator().manual_seed(seed)
    draws = [
        torch.randn(x.shape, generator=generator, dtype=x.dtype)
        * (math.sqrt(1 - (low / level.sigma) ** 2) if level.sigma else 1.0)
        for level in path[1:]
    ]
    supply = iter(draws)
    y = sample(v_model, start, path, lcm, noise=lambda _: next(supply))
    generator.manual_seed(seed)
    for level, t in zip(path, theirs.timesteps, strict=False):
        skip, out = theirs.get_scalings_for_boundary_condition(level.sigma)
        asked = (v_model(x, level) - skip * x) / out  # of which theirs makes this x0 again
        theirs.scale_model_input(x, t)  # which it wants to be asked for
        x = theirs.step(asked, t, x, generator=generator).prev_sample
    assert rel(y, x) < 1e-5  # their sigmas are float32
    assert next(supply, None) is None  # one draw a move


def test_lcm_keeps_nothing_of_the_noise_it_came_with() -> None:
    """Data N(0, 0.25): behind a move the variance is that of x0 and of fresh noise, no covariance
    with the latents before; within 4 standard errors of 40,000 numbers.
    """
    a, b, std = edm_level(3.0), edm_level(1.0), 0.5
    x = torch.randn(40_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = x * math.hypot(std, a.sigma)
    y = lcm(gaussian(std), x, a, b, [], seeded_noise(2))
    fresh = y - gaussian(std)(x, a)
    error = 4 / math.sqrt(x.numel())
    assert float(fresh.var()) == pytest.approx(b.sigma**2, rel=error * math.sqrt(2))
    assert abs(float(torch.corrcoef(torch.stack([x, fresh]))[0, 1])) < error


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_lcm_with_a_perfect_consistency_function_draws_the_data_in_any_number_of_steps(
    steps: int,
) -> None:
    """Data N(0, 0.25): where the flow ends is known, so every clean answer is one of the data. Its
    deviation within 4 standard errors; two seeds of noise agree in nothing behind the first step.
    """
    std, count = 0.5, 40_000
    start = torch.randn(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    path = edm_path(lcm_sigmas(steps, 0.002, 700.0))

    def ends(x: Tensor, level: Level) -> Tensor:
        return gaussian_flow(x, std, level)

    drawn = [
        sample(ends, start * path[0].scale, path, lcm, noise=seeded_noise(seed)) for seed in (0, 1)
    ]
    error = 4 / math.sqrt(count)
    for each in drawn:
        assert float(each.std()) == pytest.approx(std, rel=error / math.sqrt(2))
    alike = float(torch.corrcoef(torch.stack(drawn))[0, 1])
    assert alike == pytest.approx(1.0) if steps == 1 else abs(alike) < error


def test_inversion_is_the_loop_walked_upwards() -> None:
    """DDIM inversion = ascending path with up=euler; down again it comes back (first-order error at
    999 moves).
    """
    bars = torch.cumprod(1 - scaled_linear_betas(0.00085, 0.012), 0)
    path = [vp_level(float(bars[t]), t) for t in range(999, -1, -1)]
    x0 = randn(8)
    up = sample(gaussian(1.0), x0, ascending(path), up=euler, noise=seeded_noise(0))
    # unit data: with alpha = cos(angle) every move multiplies by the cosine of its turn
    angles = torch.tensor(
        [math.atan2(level.sigma, level.alpha) for level in path], dtype=torch.float64
    )
    assert rel(up, x0 * angles.diff().cos().prod()) < 1e-9
    noisy = sample(v_model, x0, ascending(path), up=euler, noise=seeded_noise(0))
    back = sample(v_model, noisy, path, noise=seeded_noise(0))
    assert rel(back, x0) < 1e-2


def test_ancestral_radicand_is_clamped_at_every_step_count() -> None:
    """float32 tables make 1 - a_prev - s^2 slightly negative at 7, 11, 20, 25 .. steps; the
    reference says NaN.
    """
    betas = zero_terminal_snr(scaled_linear_betas(0.00085, 0.012)).float()
    bars = torch.cumprod(1 - betas, 0)
    for steps in range(1, 101):
        path = [vp_level(float(bars[t]), t) for t in trailing_timesteps(steps)]
        path.append(vp_level(float(bars[0]), 0))
        predict = bind(lambda x, level, cond: 0.1 * x, Cond())
        y = sample(
            predict, randn(9, (1, 1, 1, 1, 2)), path, ancestral(1.0), noise=seeded_noise(steps)
        )
        assert bool(y.isfinite().all()), steps


@pytest.mark.parametrize("share", [0, 3, 8])
def test_injected_noise_stays_until_it_is_let_go(share: int) -> None:
    """Up to `until` the latents are the prediction with that very noise; then the solver goes on
    from there, and with no such step it is the solver."""
    path, eps = edm_path(karras_sigmas(8, 0.01, 10)), randn(1)
    seen: list[Tensor] = []
    start = path[0].scale * eps
    solver = injecting(eps, path[share], euler)
    noise = seeded_noise(0)
    end = sample(v_model, start, path, solver, noise=noise, on_step=lambda i, n, x: seen.append(x))
    x = start
    for i in range(share):
        x = path[i + 1].noise(v_model(x, path[i]), eps)
        assert rel(seen[i], x) < 1e-12
    assert rel(end, sample(v_model, x, path[share:], noise=noise)) < 1e-12
