"""The embedded model as a Backbone: EDM around the motion-guided blend of both keyframes.

    x0 = g + c_skip (x - g) + c_out (network + choice),  c_skip = r^2 / (sigma^2 + r^2),
    c_out = sigma r / sqrt(sigma^2 + r^2)

g blends the carried keyframes, r is the deviation of clean latents from g, place by place
(prior.py). So at high noise an untrained network already predicts the flow result, and it learns
what flow gets wrong. `choice` moves the blend towards either carried keyframe.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vtg_cli.backbones.base import STANDARD_MOTION, Motion, OnFrames, Spec
from vtg_cli.backbones.tiny.codec import anchored, enlarge, shrink
from vtg_cli.backbones.tiny.guide import carry
from vtg_cli.backbones.tiny.network import Block, Network
from vtg_cli.backbones.tiny.prior import CONCAT, PARTS, STILL_TRUST, guide, spread
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.sampling.fusion import Delta
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.path import Path, edm_path, karras_sigmas

SIGMAS = (0.01, 10.0)
APART = 0.17
"""Typical distance of a carried keyframe from the guide: the unit of `choice`."""


class Tiny:
    """A Backbone (backbones.base). Latents are pictures of 1/factor the size in [-1, 1]."""

    def __init__(
        self,
        network: Network,
        *,
        frames: int = 16,
        factor: int = 4,
        reverse: Mapping[nn.Module, Delta] | None = None,
    ) -> None:
        self.network, self.factor = network, factor
        self.reverse = dict(reverse or {})
        self.spec = Spec(
            name="tiny", frames=frames, fps=Fraction(12), channels=3, factor=factor, area=512 * 288
        )
        blocks = [block for block in network.blocks if isinstance(block, Block)]
        self._modules: dict[str, list[nn.Module]] = {
            "temporal_attention": [block.temporal for block in blocks],
            "spatial_attention": [block.spatial for block in blocks],
            "cross_attention": [],
            "block": [*blocks],
        }

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        assert cond.concat is not None
        ahead, trust_ahead, back, trust_back = torch.split(cond.concat, PARTS, 2)
        g, r = guide(cond.concat), spread(cond.concat)
        total = (level.sigma**2 + r**2).sqrt()
        told = [(x - g) / total, g, r, ahead, back, trust_ahead, trust_back]
        out: Tensor = self.network(torch.cat(told, 2), level.t).float()
        change, choose_ahead, choose_back = torch.split(out, [3, 1, 1], 2)
        change = change + (trust_ahead > 0) * choose_ahead * (ahead - g) / APART
        change = change + (trust_back > 0) * choose_back * (back - g) / APART
        x0: Tensor = g + (r / total) ** 2 * (x - g) + (level.sigma * r / total) * change
        return x0

    def path(self, steps: int) -> Path:
        return edm_path(karras_sigmas(steps, *SIGMAS))

    def encode(self, pixels: Tensor) -> Tensor:
        return shrink(pixels, self.factor)

    def decode(
        self, z: Tensor, keyframes: Keyframes | None = None, on_frames: OnFrames | None = None
    ) -> Tensor:
        """Anchored at both keyframes where they stand at the ends; else merely enlarged."""
        size = (z.shape[-2] * self.factor, z.shape[-1] * self.factor)
        if keyframes is None or keyframes.positions != (0, keyframes.length - 1):
            return torch.stack([enlarge(clip, size) for clip in z])
        first, last = map(_to_uint8, keyframes.pixels)
        carried = carry(first, last, _times(keyframes.length))
        frames = []
        for i in range(keyframes.length):  # one at a time: full-size frames are large
            ahead, back = (_to_pixels(c[i : i + 1]).to(z) for c in (carried.ahead, carried.back))
            clips = [anchored(clip[i : i + 1], ahead, back, self.factor) for clip in z]
            frames.append(torch.stack(clips))
            if on_frames is not None:
                on_frames(i + 1, keyframes.length)
        return torch.cat(frames, 1)

    def condition(
        self,
        keyframes: Keyframes,
        text: Tensor | None = None,
        motion: Motion = STANDARD_MOTION,
        noise: Tensor | None = None,
    ) -> Cond:
        """Keyframes at both ends are carried along the flow between them; one at position 0 stands
        still. `motion` and `noise` say nothing to this model. ValueError for any other positions.
        """
        if text is not None:
            raise ValueError("tiny takes no text")
        device = next(self.network.parameters()).device
        frames = keyframes.length
        if keyframes.positions == (0,):
            return Cond(
                concat=still(shrink(keyframes.pixels, self.factor), frames)[None].to(device)
            )
        if keyframes.positions != (0, frames - 1):
            raise ValueError(
                "tiny is conditioned on keyframes at both ends, or on one at position 0"
            )
        first, last = map(_to_uint8, keyframes.pixels)
        carried = carry(first, last, _times(frames))
        parts = [
            _to_pixels(carried.ahead),
            torch.from_numpy(carried.trust_ahead)[:, None],
            _to_pixels(carried.back),
            torch.from_numpy(carried.trust_back)[:, None],
        ]
        return Cond(concat=shrink(torch.cat(parts, 1), self.factor)[None].to(device))

    def null(self, cond: Cond, drop: Collection[str] = ("text", "image")) -> Cond:
        """Nothing carried, confidence 0 everywhere."""
        if "image" not in drop or cond.concat is None:
            return cond
        return replace(cond, concat=torch.zeros_like(cond.concat))

    def modules(self, kind: str) -> Sequence[nn.Module]:
        return self._modules[kind]


def still(first: Tensor, frames: int) -> Tensor:
    """One keyframe's latents [1, 3, h, w] told at every time: [F, CONCAT, h, w]."""
    concat = first.new_zeros(frames, CONCAT, *first.shape[-2:])
    concat[:, :3] = first
    concat[:, 3] = STILL_TRUST
    concat[0, 3] = 1
    return concat


def _times(frames: int) -> list[float]:
    return [i / (frames - 1) for i in range(frames)]


def _to_uint8(pixels: Tensor) -> NDArray[np.uint8]:
    scaled = (pixels.float() / 2 + 0.5).clamp(0, 1) * 255
    picture: NDArray[np.uint8] = scaled.round().byte().movedim(0, -1).cpu().numpy()
    return np.ascontiguousarray(picture)


def _to_pixels(frames: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(frames).movedim(-1, 1).float() / 127.5 - 1
