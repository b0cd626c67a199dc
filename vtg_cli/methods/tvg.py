"""TVG (Zhang et al. 2024): both directions of time side by side, coupled in every block."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.text import held_text
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import FRAMES
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.device import Noise
from vtg_cli.methods import walk
from vtg_cli.methods.registry import method
from vtg_cli.sampling.coupling import couple_pairs, select_frames
from vtg_cli.sampling.loop import OnStep

FS = 16
"""DynamiCrafter's fs under tvg (Motion.fs)."""


@method("tvg", between=held_text, overrides=("block",))
def tvg(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample both directions as trajectories of their own, coupled in every block of the network;
    of each frame the better one stays.

    Their image tokens are those of both keyframes laid over each other.
    """
    told, motion = [walk.told(m, k) for k in (keys, keys.reversed())], walk.motion(s)
    motion = replace(motion, fs=FS)
    shared = noise(keys.pixels[:1])
    pair = Cond.stack([m.condition(k, motion=motion, noise=shared) for k in told])
    over = replace(keys.only(0), pixels=keys.pixels.mean(0, keepdim=True))
    if pair.image is not None and (both := m.condition(over, motion=motion).image) is not None:
        pair = replace(pair, image=both.expand_as(pair.image))
    predict = walk.guided(m, pair, s, walk.ramp(m, s, keys.length), sequential=True)
    along = m.modules("block_along_time")
    blocks = [block for block in m.modules("block") if block not in along]
    with (
        overriding(blocks, couple_pairs(keys.length)),
        overriding(along, couple_pairs(keys.length, along=True)),
    ):
        z = walk.sampled(m, keys, s, predict, noise, on_step, directions=2)
    ahead, back = torch.split(z, 1)
    return select_frames(ahead, back.flip(FRAMES))
