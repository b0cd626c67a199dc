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

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vtg_cli.backbones.base import STANDARD_MOTION, Backbone, Motion, Reader
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.noise import slerped
from vtg_cli.conditioning.text import per_frame_text, text_curve
from vtg_cli.device import Noise, seeded_noise
from vtg_cli.errors import Interrupted
from vtg_cli.hooks import overriding
from vtg_cli.sampling.fusion import bidirectional, rotate_pairs
from vtg_cli.sampling.guidance import bind, cfg
from vtg_cli.sampling.inversion import inverted
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.loop import OnStep, sample
from vtg_cli.sampling.path import Path, resample
from vtg_cli.sampling.settings import (
    Sampling,
    evaluations,
    fusion_weights,
    inversions,
    resolved,
    walked,
)
from vtg_cli.sampling.solvers import SOLVERS, Predictor, Solver, ancestral, injecting
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
    kind = "first_temporal_attention" if s.rotate == "first" else "temporal_attention"
    with overriding(m.modules(kind), rotate_pairs(m.reverse)):
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
    # fresh noise would undo the inverted one within a few steps
    eta = 0.0 if s.init == "slerp" else 1.0
    return _walk(m, keys, s, predict, noise, on_step, ancestral(eta))


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
    if s.init == "slerp":
        ahead, on_step = _in_turn(
            on_step, inversions(s, m.spec.clean_end), evaluations(s) * keys.length
        )
        drawn = between_inverted(m, keys, s, ahead)
    else:
        drawn = noise(torch.empty(shape, device=_device(m)))
    eps = s.temperature * drawn
    whole = s.init != "flow"
    start = path[0].scale * eps if whole else path[0].noise(m.guess(keys).to(eps), eps)
    solver = solver or SOLVERS[s.solver]
    if s.init == "slerp":
        own = m.path(s.steps or 1)  # without detours
        solver = injecting(eps, own[int((len(own) - 1) * (s.init_until or 0) + 1e-9)], solver)
    return sample(predict, start, path, solver, noise=noise, on_step=on_step)


def _in_turn(
    on_step: OnStep | None, first: int, second: int
) -> tuple[OnStep | None, OnStep | None]:
    """One count over two walks, in the frames that the network looks at in each."""
    if on_step is None:
        return None, None
    told, both = on_step, first + second
    return (
        lambda done, moves, x: told(first * done // moves, both, x),
        lambda done, moves, x: told(first + second * done // moves, both, x),
    )


def between_inverted(
    m: Backbone, keys: Keyframes, s: Sampling, on_step: OnStep | None = None
) -> Tensor:
    """Unit noise [1, F, C, h, w] between that of both end keyframes, each inverted without guidance
    as a clip of one frame that is told itself (VTG; DiffMorpher). One network call per step.

    Inverted noise is brought to the length unit noise has, which few steps miss; on the way between
    the ends that length stays.
    """
    ends = [keys.alone(keys.positions[0]), keys.alone(keys.positions[-1])]
    cond = Cond.stack([m.condition(end, motion=_motion(s)) for end in ends])
    z = m.encode(torch.stack([end.pixels for end in ends]).to(_device(m)))
    assert s.steps is not None
    with overriding(m.modules("temporal_attention"), _as_built):  # two clips, not two directions
        ahead, back = torch.split(inverted(bind(m, cond), z, m.path(s.steps), on_step), 1)
    return slerped(_unit(ahead), _unit(back), keys.length)


def _as_built(module: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
    """The override that undoes those opened before it."""
    return type(module).forward(module, *args, **kwargs)


def _unit(noise: Tensor) -> Tensor:
    """Scaled to the length that unit normal noise of its size has."""
    scaled: Tensor = noise * (math.sqrt(noise.numel()) / noise.norm())
    return scaled


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
    weight = spread_evenly(fusion_weights(s.fusion), frames)
    return torch.full((frames,), (low + high) / 2), weight


def spread_evenly(values: Sequence[float], frames: int) -> Tensor:
    """Two or more numbers as moments of the clip, straight lines between them: [F]."""
    at = torch.linspace(0, len(values) - 1, frames)
    before = at.long().clamp(max=len(values) - 2)
    given = torch.tensor(values)
    return torch.lerp(given[before], given[before + 1], at - before)


def _guidance(s: Sampling) -> tuple[float, float]:
    assert s.guidance is not None, "settings must be resolved"
    return s.guidance


def _motion(s: Sampling) -> Motion:
    fps = STANDARD_MOTION.fps if s.motion_fps is None else s.motion_fps
    return Motion(fps=fps, bucket=s.motion_bucket, noise_aug=s.noise_aug, fs=s.motion_fps)


def _device(m: Backbone) -> torch.device:
    return next(m.network.parameters()).device


@dataclass(frozen=True)
class Captions:
    """What a model is told in words: of the first and the last keyframe, and what to keep away
    from; curve: how the one turns into the other (conditioning.text.text_curve).
    """

    first: str
    last: str
    negative: str = ""
    curve: str = "linear"


class _Told:
    """A backbone that tells its network what keyframes say in words and show in tokens, and in the
    null condition the negative caption [1, L, D] in place of none. Else it is the one it was made
    of.
    """

    def __init__(self, m: Backbone, negative: Tensor | None = None) -> None:
        self._m, self._negative = m, negative

    def __getattr__(self, name: str) -> Any:
        return getattr(self._m, name)

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        return self._m(x, level, cond)

    def condition(
        self,
        keyframes: Keyframes,
        text: Tensor | None = None,
        motion: Motion = STANDARD_MOTION,
        noise: Tensor | None = None,
    ) -> Cond:
        if text is None and keyframes.text is not None:
            text = keyframes.text[None]
        cond = self._m.condition(keyframes, text, motion, noise)
        return cond if keyframes.image is None else replace(cond, image=keyframes.image[None])

    def null(self, cond: Cond, drop: Collection[str] = ("text", "image")) -> Cond:
        null = self._m.null(cond, drop)
        if "text" not in drop or cond.text is None or self._negative is None:
            return null
        return replace(null, text=self._negative[:, None].expand_as(cond.text))


def captioned(m: Backbone, keys: Keyframes, captions: Captions) -> tuple[Backbone, Keyframes]:
    """A backbone that reads (Spec.text) and its task, with captions."""
    said = [captions.first, captions.last, captions.negative]
    first, last, negative = torch.split(cast(Reader, m).text_embedding(said), 1)
    text = first
    if captions.first != captions.last:
        text = per_frame_text(first, last, text_curve(captions.curve, keys.length))[0]
    return cast(Backbone, _Told(m, negative)), replace(keys, text=text)


def pictured(m: Backbone, keys: Keyframes, curve: str) -> tuple[Backbone, Keyframes]:
    """A backbone that shows every frame one picture's tokens, and its task with those of both ends,
    between which they turn (per_frame_text) as captions do: VTG's per-frame condition for models
    that read nothing.
    """
    ends = [m.condition(keys.alone(keys.positions[k])).image for k in (0, -1)]
    first, last = (end[:, 0] for end in ends if end is not None)
    shown = per_frame_text(first, last, text_curve(curve, keys.length))[0]
    return cast(Backbone, _Told(m)), replace(keys, image=shown)


@torch.inference_mode()
def render(
    m: Backbone,
    keys: Keyframes,
    sampling: Sampling,
    *,
    captions: Captions | None = None,
    progress: Callable[[float, str], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> NDArray[np.uint8]:
    """Keyframes in, frames out: uint8 [F, H, W, 3]. captions: for models that read. Interrupted
    where `cancel` says so between two steps.
    """
    s = resolved(sampling, has_reverse=bool(m.reverse), defaults_of=m.spec.defaults)
    assert s.method is not None
    share_sampling = 0.9  # of the time; decoding takes the rest

    def report(done: float, phase: str) -> None:
        if cancel is not None and cancel():
            raise Interrupted("interrupted")
        if progress is not None:
            progress(done, phase)

    inverting = inversions(s, m.spec.clean_end)

    def on_step(done: int, moves: int, x: Tensor) -> None:
        report(share_sampling * done / moves, "inverting" if done <= inverting else "sampling")

    def on_frames(done: int, frames: int) -> None:
        report(share_sampling + (1 - share_sampling) * done / frames, "decoding")

    report(0.0, "sampling")
    if captions is not None:
        m, keys = captioned(m, keys, captions)
    if s.image_curve != "off":
        m, keys = pictured(m, keys, s.image_curve)
    z = METHODS[s.method](m, keys, s, seeded_noise(s.seed), on_step)
    pixels = m.decode(z, keys, on_frames)[0]
    return to_uint8(pixels)
