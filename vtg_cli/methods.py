"""The papers, as compositions. Each takes (backbone, keyframes, settings, noise) and returns
latents [1, F, C, h, w].

    i2v            image to video with per-frame guidance (Blattmann et al. 2023): what one keyframe
                   alone would do
    trf            time-reversal fusion (Feng et al. 2024): both directions denoised in lockstep,
                   predictions fused
    gi             Generative Inbetweening (Wang et al. 2024): trf with the reversed half's temporal
                   attention rotated
    dynamicrafter  its own sampling (Xing et al. 2024): one direction, guidance rescaled, fresh
                   noise at every step

All noise comes from one source in a fixed order: the conditioning picture's, the initial latents,
the detours or what a step draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vtg_cli.backbones.base import Backbone, Motion
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.device import Noise, seeded_noise
from vtg_cli.errors import Interrupted
from vtg_cli.hooks import overriding
from vtg_cli.sampling.fusion import bidirectional, rotate_pairs
from vtg_cli.sampling.guidance import bind, cfg
from vtg_cli.sampling.loop import OnStep, sample
from vtg_cli.sampling.path import Path, resample
from vtg_cli.sampling.settings import Sampling, resolved, walked
from vtg_cli.sampling.solvers import SOLVERS, Predictor, Solver, ancestral
from vtg_cli.tensor import framewise, to_uint8

Method = Callable[[Backbone, Keyframes, Sampling, Noise, OnStep | None], Tensor]


def i2v(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """In one direction only: from the first keyframe on. The last one is looked at by models that
    are always told both.
    """
    first = _told(m, keys)
    cond = m.condition(first, motion=_motion(s), noise=noise(first.pixels[:1]))
    ramp = torch.linspace(*_guidance(s), keys.length)
    predict = _guided(m, cond, s, framewise(ramp).to(_device(m)))
    return _walk(m, keys, s, predict, noise, on_step)


def trf(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Forward from the first keyframe and backward from the last, fused at every step."""
    first, last = _told(m, keys), _told(m, keys.reversed())
    shared = noise(first.pixels[:1])
    pair = Cond.stack([m.condition(k, motion=_motion(s), noise=shared) for k in (first, last)])
    ramp, weight = _schedules(s, keys.length)
    scale, weight = (framewise(v).to(_device(m)) for v in (ramp, weight))
    predict = bidirectional(_guided(m, pair, s, scale), weight)
    return _walk(m, keys, s, predict, noise, on_step)


def gi(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Time-reversal fusion under rotated temporal attention, with the reverse-motion delta the
    backbone carries.
    """
    with overriding(m.modules("temporal_attention"), rotate_pairs(m.reverse)):
        return trf(m, keys, s, noise, on_step)


def dynamicrafter(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """DynamiCrafter's own interpolation, the plain baseline: guidance rescaled by 0.7 and DDIM with
    eta 1, one pass in one direction. Under a model that is told one keyframe it is image to video.
    """
    told = _told(m, keys)
    cond = m.condition(told, motion=_motion(s), noise=noise(told.pixels[:1]))
    ramp = torch.linspace(*_guidance(s), keys.length)
    predict = _guided(m, cond, s, framewise(ramp).to(_device(m)), RESCALE)
    return _walk(m, keys, s, predict, noise, on_step, ancestral(eta=1.0))


METHODS: dict[str, Method] = {"gi": gi, "trf": trf, "i2v": i2v, "dynamicrafter": dynamicrafter}
RESCALE = 0.7
"""Of DynamiCrafter's guidance, as its released scripts sample (but for the 256 model)."""


def _told(m: Backbone, keys: Keyframes) -> Keyframes:
    """What one direction is conditioned on."""
    return keys if m.spec.both_ends else keys.only(0)


def _walk(
    m: Backbone,
    keys: Keyframes,
    s: Sampling,
    predict: Predictor,
    noise: Noise,
    on_step: OnStep | None,
    solver: Solver | None = None,
) -> Tensor:
    path = _path(m, s)
    size = m.latent_size(*keys.pixels.shape[-2:])
    shape = (1, keys.length, m.spec.channels, *size)
    assert s.temperature is not None
    eps = s.temperature * noise(torch.empty(shape, device=_device(m)))
    whole = s.strength == 1
    start = path[0].scale * eps if whole else path[0].noise(m.guess(keys).to(eps), eps)
    solver = solver or SOLVERS[s.solver]
    return sample(predict, start, path, solver, noise=noise, on_step=on_step)


def _path(m: Backbone, s: Sampling) -> Path:
    assert s.steps is not None
    steps = walked(s)
    detoured = int(steps * (s.renoise_until or 0.0))
    return resample(m.path(s.steps)[-steps - 1 :], s.renoise or 0, detoured)


def _guided(m: Backbone, cond: Cond, s: Sampling, scale: Tensor, rescale: float = 0.0) -> Predictor:
    """Guidance, left out where no frame asks for any."""
    if max(_guidance(s)) <= 1:
        return bind(m, cond)
    return cfg(m, cond, m.null(cond), scale, rescale, sequential=term_by_term(m))


def term_by_term(m: Backbone) -> bool:
    """Whether guidance terms run one after another: less memory, and on a CPU no more than 3 %
    more time, at larger sizes less (benchmarks/results).
    """
    return _device(m).type == "cpu"


def _schedules(s: Sampling, frames: int) -> tuple[Tensor, Tensor]:
    """Guidance scale and forward weight per frame, [F] each (the reference's `weighted_average` on
    or off).
    """
    low, high = _guidance(s)
    if s.fusion == "linear":
        return torch.linspace(low, high, frames), torch.linspace(1, 0, frames)
    return torch.full((frames,), (low + high) / 2), torch.full((frames,), 0.5)


def _guidance(s: Sampling) -> tuple[float, float]:
    assert s.guidance is not None, "settings must be resolved"
    return s.guidance


def _motion(s: Sampling) -> Motion:
    return Motion(bucket=s.motion_bucket, noise_aug=s.noise_aug)


def _device(m: Backbone) -> torch.device:
    return next(m.network.parameters()).device


@torch.inference_mode()
def render(
    m: Backbone,
    keys: Keyframes,
    sampling: Sampling,
    *,
    progress: Callable[[float, str], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> NDArray[np.uint8]:
    """Keyframes in, frames out: uint8 [F, H, W, 3]. Interrupted where `cancel` says so between two
    steps.
    """
    s = resolved(sampling, has_reverse=bool(m.reverse), defaults_of=m.spec.defaults)
    assert s.method is not None
    share_sampling = 0.9  # of the time; decoding takes the rest

    def report(done: float, phase: str) -> None:
        if cancel is not None and cancel():
            raise Interrupted("interrupted")
        if progress is not None:
            progress(done, phase)

    def on_step(done: int, moves: int, x: Tensor) -> None:
        report(share_sampling * done / moves, "sampling")

    def on_frames(done: int, frames: int) -> None:
        report(share_sampling + (1 - share_sampling) * done / frames, "decoding")

    report(0.0, "sampling")
    z = METHODS[s.method](m, keys, s, seeded_noise(s.seed), on_step)
    pixels = m.decode(z, keys, on_frames)[0]
    return to_uint8(pixels)
