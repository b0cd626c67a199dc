"""Interpolations of captions, attention and answers, to compare with (AID, He et al. 2024).

tei        text embedding interpolation: dynamicrafter, told captions on the straight line
attention  attention interpolation: dynamicrafter, every frame looking at both ends
di         denoising interpolation: stills between the inverted keyframes, denoised under both
           conditions
"""

from __future__ import annotations

import torch
from torch import Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.text import straight_text
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import FRAMES
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.device import Noise
from vtg_cli.methods import walk
from vtg_cli.methods.dynamicrafter import dynamicrafter
from vtg_cli.methods.registry import method
from vtg_cli.sampling.attention import beta_shares, between_captions, between_ends
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.loop import OnStep


@method("tei", between=straight_text)
def tei(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample with text embedding interpolation: `dynamicrafter`, with the captions of the frames
    between on the straight line, where others go along the circle.
    """
    return dynamicrafter(m, keys, s, noise, on_step)


@method("attention", overrides=("spatial_attention", "cross_attention"))
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


@method("di")
def di(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample with denoising interpolation: stills, no video.

    Every frame walks from its place between both inverted keyframes, denoised under either
    keyframe's condition, the answers interpolated.
    """
    scale = walk.ramp(m, s, keys.length).transpose(0, FRAMES)
    ends = [
        walk.guided(m, walk.each(m.condition(end, motion=walk.motion(s)), keys.length), s, scale)
        for end in walk.alone(keys)
    ]
    share = torch.linspace(0, 1, keys.length).view(-1, 1, 1, 1, 1).to(m.device)

    def predict(x: Tensor, level: Level) -> Tensor:
        stills = x.transpose(0, FRAMES)  # [F, 1, C, h, w]
        first, last = (end(stills, level) for end in ends)
        return torch.lerp(first, last, share).transpose(0, FRAMES)

    return walk.sampled(m, keys, s, predict, noise, on_step)
