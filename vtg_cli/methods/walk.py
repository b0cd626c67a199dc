"""The steps that methods share: what a direction is told, its guidance, its start and its walk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vtg_cli.backbones.base import STANDARD_MOTION, Backbone, Motion
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.noise import slerped
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import FRAMES, framewise
from vtg_cli.job.methods import METHODS
from vtg_cli.job.sampling import Sampling, fusion_weights
from vtg_cli.machine.device import Noise
from vtg_cli.methods.registry import overridden
from vtg_cli.sampling.guidance import bind, cfg, within
from vtg_cli.sampling.inversion import inverted
from vtg_cli.sampling.loop import OnStep, sample
from vtg_cli.sampling.path import Path, resample
from vtg_cli.sampling.settings import detoured, guided_steps, walked
from vtg_cli.sampling.solvers import SOLVERS, Predictor, Solver, ancestral, injecting


def told(m: Backbone, keys: Keyframes) -> Keyframes:
    """Return the keyframes one direction is conditioned on."""
    return keys if m.spec.both_ends else keys.only(0)


def _solver(s: Sampling) -> Solver:
    """Return the method's solver, else the one asked for."""
    facts = METHODS[s.method or ""]
    if facts.eta:  # fresh noise would undo the inverted one within a few steps
        return ancestral(0.0 if s.init == "slerp" else facts.eta)
    return SOLVERS[s.solver or "euler"]


def alone(keys: Keyframes) -> list[Keyframes]:
    """Return the keyframes of both ends, each as a clip of one frame."""
    return [keys.alone(keys.positions[0]), keys.alone(keys.positions[-1])]


def each(cond: Cond, clips: int) -> Cond:
    """Repeat one clip's condition for many."""
    return cond.map(lambda v: v.expand(clips, *v.shape[1:]))


def sampled(
    m: Backbone,
    keys: Keyframes,
    s: Sampling,
    predict: Predictor,
    noise: Noise,
    on_step: OnStep | None,
    *,
    directions: int = 1,
) -> Tensor:
    """Sample [directions, F, C, h, w]; the second direction is in its own time."""
    path = _path(m, s)
    size = m.latent_size(*keys.pixels.shape[-2:])
    shape = (directions, keys.length, m.spec.channels, *size)

    def in_each(x: Tensor) -> Tensor:
        return torch.cat([x, x.flip(FRAMES)][:directions])

    assert s.temperature is not None
    if s.init == "slerp":
        ahead, on_step = _in_turn(
            on_step, m.spec.inversions(s), m.spec.evaluations(s) * keys.length
        )
        drawn = in_each(between_inverted(m, keys, s, ahead))
    else:
        drawn = noise(torch.empty(shape, device=m.device))
    eps = s.temperature * drawn
    whole = s.init != "flow"
    start = path[0].scale * eps if whole else path[0].noise(in_each(m.guess(keys)).to(eps), eps)
    solver = _solver(s)
    if s.init == "slerp":
        own = own_path(m, s)
        solver = injecting(eps, own[int((len(own) - 1) * (s.init_until or 0) + 1e-9)], solver)
    return sample(predict, start, path, solver, noise=noise, on_step=on_step)


def _in_turn(
    on_step: OnStep | None, first: int, second: int
) -> tuple[OnStep | None, OnStep | None]:
    """Return callbacks that count once over two walks, in frames that the network looks at."""
    if on_step is None:
        return None, None
    report, both = on_step, first + second
    return (
        lambda done, moves, x: report(first * done // moves, both, x),
        lambda done, moves, x: report(first + second * done // moves, both, x),
    )


def between_inverted(
    m: Backbone, keys: Keyframes, s: Sampling, on_step: OnStep | None = None
) -> Tensor:
    """Return unit noise [1, F, C, h, w] between that of both end keyframes, each inverted without
    guidance as a clip of one frame under its own condition (VTG; DiffMorpher). One network call per
    step.

    Inverted noise is brought to the length unit noise has, which few steps miss; on the way between
    the ends that length stays.
    """
    ends = alone(keys)
    cond = Cond.stack([m.condition(end, motion=motion(s)) for end in ends])
    z = m.encode(torch.stack([end.pixels for end in ends]).to(m.device))
    with ExitStack() as stack:  # two clips of one frame, not two directions of many
        for kind in overridden():
            stack.enter_context(overriding(m.modules(kind), _as_built))
        ahead, back = torch.split(inverted(bind(m, cond), z, own_path(m, s), on_step), 1)
    return slerped(_unit(ahead), _unit(back), keys.length)


def _as_built(module: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
    """Undo the overrides opened before this one."""
    return type(module).forward(module, *args, **kwargs)


def _unit(noise: Tensor) -> Tensor:
    """Scale noise to the length that unit normal noise of its size has."""
    scaled: Tensor = noise * (math.sqrt(noise.numel()) / noise.norm())
    return scaled


def own_path(m: Backbone, s: Sampling) -> Path:
    """Return the whole path, without detours."""
    assert s.steps is not None
    return m.path(s.steps, s.schedule)


def _path(m: Backbone, s: Sampling) -> Path:
    return resample(own_path(m, s)[-walked(s) - 1 :], s.renoise or 0, detoured(s))


def guided(
    m: Backbone,
    cond: Cond,
    s: Sampling,
    scale: Tensor,
    sequential: bool | None = None,
) -> Predictor:
    """Apply guidance, left out where nothing asks for it. sequential: None: where it is free."""
    if max(_guidance(s)) <= 1:
        return bind(m, cond)
    one_by_one = term_by_term(m) if sequential is None else sequential
    rescale = METHODS[s.method or ""].rescale
    both = cfg(m, cond, m.null(cond), scale, rescale, sequential=one_by_one)
    if s.guidance_span == (0, 1):
        return both
    path, (first, end) = own_path(m, s)[-walked(s) - 1 :], guided_steps(s)
    asked = bind(m, replace(cond))  # a condition of its own, for those that count its evaluations
    return within(both, asked, path[first], path[end] if end < len(path) else None)


def term_by_term(m: Backbone) -> bool:
    """Return whether guidance terms run one after another: less memory, and on a CPU no more than 3
    % more time, at larger sizes less (benchmarks/results).
    """
    return m.device.type == "cpu"


def schedules(s: Sampling, frames: int) -> tuple[Tensor, Tensor]:
    """Return guidance scale and forward weight per frame, [F] each (the reference's
    `weighted_average` on or off).
    """
    low, high = _guidance(s)
    if s.fusion == "linear":
        return torch.linspace(low, high, frames), torch.linspace(1, 0, frames)
    weight = spread_evenly(fusion_weights(s.fusion), frames)
    return torch.full((frames,), (low + high) / 2), weight


def spread_evenly(values: Sequence[float], frames: int) -> Tensor:
    """Interpolate two or more numbers, as moments of the clip, linearly to [F]."""
    at = torch.linspace(0, len(values) - 1, frames)
    before = at.long().clamp(max=len(values) - 2)
    moments = torch.tensor(values)
    return torch.lerp(moments[before], moments[before + 1], at - before)


def ramp(m: Backbone, s: Sampling, frames: int) -> Tensor:
    """Return the guidance scale of every frame, from the near to the far end, [1, F, 1, 1, 1]."""
    return framewise(torch.linspace(*_guidance(s), frames)).to(m.device)


def _guidance(s: Sampling) -> tuple[float, float]:
    assert s.guidance is not None, "settings must be resolved"
    return s.guidance


def motion(s: Sampling) -> Motion:
    """Return what a model is told about the whole clip."""
    fps = STANDARD_MOTION.fps if s.motion_fps is None else s.motion_fps
    return Motion(fps=fps, bucket=s.motion_bucket, noise_aug=s.noise_aug, fs=s.motion_fps)
