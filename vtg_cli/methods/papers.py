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
    tei            text embedding interpolation (a baseline of AID): dynamicrafter, told captions
                   on the straight line
    attention      attention interpolation (AID, He et al. 2024): dynamicrafter, every frame looking
                   at both ends
    di             denoising interpolation: stills between the inverted keyframes, denoised under
                   both conditions
    tvg            TVG (Zhang et al. 2024): both directions side by side, coupled in every block

All noise comes from one source in a fixed order: the conditioning picture's, the initial latents,
the detours and what a step draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vtg_cli.backbones.base import STANDARD_MOTION, Backbone, Motion
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.noise import slerped
from vtg_cli.conditioning.text import held_text, per_frame_text, straight_text
from vtg_cli.errors import Interrupted
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import FRAMES, check_finite, framewise, to_uint8
from vtg_cli.job.sampling import Sampling, fusion_weights
from vtg_cli.lowmem.compile import compiling
from vtg_cli.lowmem.deepcache import reusing
from vtg_cli.machine.device import Noise, seeded_noise
from vtg_cli.methods.captions import Captions as Captions
from vtg_cli.methods.captions import captioned as captioned
from vtg_cli.methods.captions import pictured
from vtg_cli.sampling.attention import beta_shares, between_captions, between_ends
from vtg_cli.sampling.coupling import couple_pairs, select_frames
from vtg_cli.sampling.fusion import bidirectional, rotate_pairs
from vtg_cli.sampling.guidance import bind, cfg, within
from vtg_cli.sampling.inversion import inverted
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.loop import OnStep, sample
from vtg_cli.sampling.path import Path, resample
from vtg_cli.sampling.settings import (
    detoured,
    guided_steps,
    resolved,
    walked,
)
from vtg_cli.sampling.solvers import SOLVERS, Predictor, Solver, ancestral, injecting

Method = Callable[[Backbone, Keyframes, Sampling, Noise, OnStep | None], Tensor]


def i2v(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample in one direction only, from the first keyframe on. The last one is looked at by models
    that always take both.
    """
    first = _told(m, keys)
    cond = m.condition(first, motion=_motion(s), noise=noise(first.pixels[:1]))
    ramp = torch.linspace(*_guidance(s), keys.length)
    predict = _guided(m, cond, s, framewise(ramp).to(_device(m)))
    return _walk(m, keys, s, predict, noise, on_step)


def trf(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample forward from the first keyframe and backward from the last, fused at every step."""
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
    """Apply time-reversal fusion under rotated temporal attention, with the reverse-motion delta
    the backbone carries.
    """
    kind = "first_temporal_attention" if s.rotate == "first" else "temporal_attention"
    with overriding(m.modules(kind), rotate_pairs(m.reverse)):
        return trf(m, keys, s, noise, on_step)


def dynamicrafter(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample as DynamiCrafter itself interpolates, the plain baseline: guidance rescaled by 0.7 and
    DDIM with eta 1, one pass in one direction.

    Under a model that takes one keyframe it is image to video.
    """
    told = _told(m, keys)
    cond = m.condition(told, motion=_motion(s), noise=noise(told.pixels[:1]))
    ramp = torch.linspace(*_guidance(s), keys.length)
    predict = _guided(m, cond, s, framewise(ramp).to(_device(m)), RESCALE)
    return _walk(m, keys, s, predict, noise, on_step, ancestral(_eta(s)))


def tei(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample with text embedding interpolation: `dynamicrafter`, with the captions of the frames
    between on the straight line (TELLING), where others go along the circle.
    """
    return dynamicrafter(m, keys, s, noise, on_step)


def attention(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample `dynamicrafter` under AID's outer attention interpolation, fused: every frame looks at
    the first frame, at the last and at itself, and at their captions.
    """
    assert s.steps is not None
    shares = beta_shares(keys.length, s.steps, s.steps)
    reading = m.modules("cross_attention") if m.spec.text else ()
    with (
        overriding(m.modules("spatial_attention"), between_ends(shares)),
        overriding(reading, between_captions(shares)),
    ):
        return dynamicrafter(m, keys, s, noise, on_step)


def di(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample with denoising interpolation: stills, no video.

    Every frame walks from its place between both inverted keyframes, denoised under either
    keyframe's condition, the answers interpolated.
    """
    scale = torch.linspace(*_guidance(s), keys.length).view(-1, 1, 1, 1, 1).to(_device(m))
    ends = [
        _guided(m, _each(m.condition(end, motion=_motion(s)), keys.length), s, scale)
        for end in _alone(keys)
    ]
    share = torch.linspace(0, 1, keys.length).view(-1, 1, 1, 1, 1).to(_device(m))

    def predict(x: Tensor, level: Level) -> Tensor:
        stills = x.transpose(0, FRAMES)  # [F, 1, C, h, w]
        first, last = (end(stills, level) for end in ends)
        return torch.lerp(first, last, share).transpose(0, FRAMES)

    return _walk(m, keys, s, predict, noise, on_step)


def tvg(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample both directions as trajectories of their own, coupled in every block of the network;
    of each frame the better one stays.

    Their image tokens are those of both keyframes laid over each other.
    """
    told, motion = (_told(m, keys), _told(m, keys.reversed())), replace(_motion(s), fs=TVG_FS)
    shared = noise(keys.pixels[:1])
    pair = Cond.stack([m.condition(k, motion=motion, noise=shared) for k in told])
    over = replace(keys.only(0), pixels=keys.pixels.mean(0, keepdim=True))
    if pair.image is not None and (both := m.condition(over, motion=motion).image) is not None:
        pair = replace(pair, image=both.expand_as(pair.image))
    ramp = torch.linspace(*_guidance(s), keys.length)
    predict = _guided(m, pair, s, framewise(ramp).to(_device(m)), RESCALE, sequential=True)
    along = m.modules("block_along_time")
    blocks = [block for block in m.modules("block") if block not in along]
    with (
        overriding(blocks, couple_pairs(keys.length)),
        overriding(along, couple_pairs(keys.length, along=True)),
    ):
        z = _walk(m, keys, s, predict, noise, on_step, ancestral(_eta(s)), directions=2)
    ahead, back = torch.split(z, 1)
    return select_frames(ahead, back.flip(FRAMES))


METHODS: dict[str, Method] = {
    "gi": gi,
    "trf": trf,
    "i2v": i2v,
    "dynamicrafter": dynamicrafter,
    "tei": tei,
    "attention": attention,
    "di": di,
    "tvg": tvg,
}
TELLING = {"tei": straight_text, "tvg": held_text}
"""Interpolation of the text of frames between two captions, where it is not per_frame_text."""
TVG_FS = 16
"""DynamiCrafter's fs under tvg (Motion.fs)."""
OVERRIDDEN = ("temporal_attention", "spatial_attention", "cross_attention", "block")
"""Kinds of modules that methods override."""
RESCALE = 0.7
"""Rescaling of DynamiCrafter's guidance, as its released scripts sample (but for the 256 model)."""


def _told(m: Backbone, keys: Keyframes) -> Keyframes:
    """Return the keyframes one direction is conditioned on."""
    return keys if m.spec.both_ends else keys.only(0)


def _eta(s: Sampling) -> float:
    """Return DynamiCrafter's eta; fresh noise would undo the inverted one within a few steps."""
    return 0.0 if s.init == "slerp" else 1.0


def _alone(keys: Keyframes) -> list[Keyframes]:
    """Return the keyframes of both ends, each as a clip of one frame."""
    return [keys.alone(keys.positions[0]), keys.alone(keys.positions[-1])]


def _each(cond: Cond, clips: int) -> Cond:
    """Repeat one clip's condition for many."""
    return cond.map(lambda v: v.expand(clips, *v.shape[1:]))


def _walk(
    m: Backbone,
    keys: Keyframes,
    s: Sampling,
    predict: Predictor,
    noise: Noise,
    on_step: OnStep | None,
    solver: Solver | None = None,
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
        drawn = noise(torch.empty(shape, device=_device(m)))
    eps = s.temperature * drawn
    whole = s.init != "flow"
    start = path[0].scale * eps if whole else path[0].noise(in_each(m.guess(keys)).to(eps), eps)
    solver = solver or SOLVERS[s.solver or "euler"]
    if s.init == "slerp":
        own = _own_path(m, s)
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
    ends = _alone(keys)
    cond = Cond.stack([m.condition(end, motion=_motion(s)) for end in ends])
    z = m.encode(torch.stack([end.pixels for end in ends]).to(_device(m)))
    with ExitStack() as stack:  # two clips of one frame, not two directions of many
        for kind in OVERRIDDEN:
            stack.enter_context(overriding(m.modules(kind), _as_built))
        ahead, back = torch.split(inverted(bind(m, cond), z, _own_path(m, s), on_step), 1)
    return slerped(_unit(ahead), _unit(back), keys.length)


def _as_built(module: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
    """Undo the overrides opened before this one."""
    return type(module).forward(module, *args, **kwargs)


def _unit(noise: Tensor) -> Tensor:
    """Scale noise to the length that unit normal noise of its size has."""
    scaled: Tensor = noise * (math.sqrt(noise.numel()) / noise.norm())
    return scaled


def _own_path(m: Backbone, s: Sampling) -> Path:
    """Return the whole path, without detours."""
    assert s.steps is not None
    return m.path(s.steps, s.schedule)


def _path(m: Backbone, s: Sampling) -> Path:
    return resample(_own_path(m, s)[-walked(s) - 1 :], s.renoise or 0, detoured(s))


def _guided(
    m: Backbone,
    cond: Cond,
    s: Sampling,
    scale: Tensor,
    rescale: float = 0.0,
    sequential: bool | None = None,
) -> Predictor:
    """Apply guidance, left out where nothing asks for it. sequential: None: where it is free."""
    if max(_guidance(s)) <= 1:
        return bind(m, cond)
    one_by_one = term_by_term(m) if sequential is None else sequential
    guided = cfg(m, cond, m.null(cond), scale, rescale, sequential=one_by_one)
    if s.guidance_span == (0, 1):
        return guided
    path, (first, end) = _own_path(m, s)[-walked(s) - 1 :], guided_steps(s)
    alone = bind(m, replace(cond))  # a condition of its own, for those that count its evaluations
    return within(guided, alone, path[first], path[end] if end < len(path) else None)


def term_by_term(m: Backbone) -> bool:
    """Return whether guidance terms run one after another: less memory, and on a CPU no more than 3
    % more time, at larger sizes less (benchmarks/results).
    """
    return _device(m).type == "cpu"


def _schedules(s: Sampling, frames: int) -> tuple[Tensor, Tensor]:
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


def _guidance(s: Sampling) -> tuple[float, float]:
    assert s.guidance is not None, "settings must be resolved"
    return s.guidance


def _motion(s: Sampling) -> Motion:
    fps = STANDARD_MOTION.fps if s.motion_fps is None else s.motion_fps
    return Motion(fps=fps, bucket=s.motion_bucket, noise_aug=s.noise_aug, fs=s.motion_fps)


def _device(m: Backbone) -> torch.device:
    return next(m.network.parameters()).device


@torch.inference_mode()
def render(
    m: Backbone,
    keys: Keyframes,
    sampling: Sampling,
    *,
    captions: Captions | None = None,
    compiled: bool = False,
    progress: Callable[[float, str], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> NDArray[np.uint8]:
    """Draw the frames between keyframes: uint8 [F, H, W, 3].

    captions: for models that read
    compiled: compile the network's transformer blocks first

    Raises Interrupted if `cancel` says so between two steps.
    """
    s = resolved(sampling, has_reverse=bool(m.reverse), defaults_of=m.spec.defaults)
    assert s.method is not None
    share_sampling = 0.9  # of the time; decoding takes the rest

    def report(done: float, phase: str) -> None:
        if cancel is not None and cancel():
            raise Interrupted("interrupted")
        if progress is not None:
            progress(done, phase)

    inverting = m.spec.inversions(s)

    def on_step(done: int, moves: int, x: Tensor) -> None:
        report(share_sampling * done / moves, "inverting" if done <= inverting else "sampling")

    def on_frames(done: int, frames: int) -> None:
        report(share_sampling + (1 - share_sampling) * done / frames, "decoding")

    report(0.0, "sampling")
    with compiling(m) if compiled else nullcontext(), reusing(m, s.reuse) as m:
        task = m, keys
        if captions is not None:
            task = captioned(*task, captions, TELLING.get(s.method, per_frame_text))
        if s.image_curve != "off":
            task = pictured(*task, s.image_curve)
        z = METHODS[s.method](*task, s, seeded_noise(s.seed), on_step)
    pixels = m.decode(z, keys, on_frames)[0]
    check_finite(pixels, "the decoded pictures are not numbers")
    return to_uint8(pixels)
