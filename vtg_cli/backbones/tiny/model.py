"""The embedded model as a Backbone: EDM around the motion-guided blend of both keyframes.

    x0 = g + c_skip (x - g) + c_out (network + choice),  c_skip = r^2 / (sigma^2 + r^2),
    c_out = sigma r / sqrt(sigma^2 + r^2)

g blends the carried keyframes, r is the deviation of clean latents from g, place by place
(prior.py). So at high noise an untrained network already predicts the flow result, and it learns
what flow gets wrong. `choice` moves the blend towards either carried keyframe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vtg_cli.backbones.base import STANDARD_MOTION, Motion, OnFrames
from vtg_cli.backbones.deltas import layer_deltas
from vtg_cli.backbones.tiny.guide import Carried, Learned, carry, enlarged
from vtg_cli.backbones.tiny.network import Block, Network
from vtg_cli.backbones.tiny.prior import CONCAT, PARTS, STILL_TRUST, believed, guide, spread
from vtg_cli.backbones.tiny.spec import LATENTS, SPEC
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.flow.anchored import anchored, shrink
from vtg_cli.flow.filters import Field
from vtg_cli.ground.tensor import to_uint8
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.path import Path, edm_path, karras_sigmas

FINEST = 4.0
"""Fewest pixels along the side of a latent."""
SIGMAS = (0.01, 10.0)
APART = 0.17
"""Typical distance of a carried keyframe from the guide: the unit of `choice`."""
TYPICAL = 0.17
"""Root mean square of the spread; certain places weigh less than doubtful ones by r / TYPICAL."""


class Tiny:
    """A Backbone (backbones.base). Latents are small pictures in [-1, 1]; sizes are free."""

    def __init__(
        self,
        network: Network,
        *,
        reverse: Mapping[str, Tensor] | None = None,
        learned: Learned | None = None,
    ) -> None:
        self.network, self.spec, self.learned = network, SPEC, learned
        blocks = [block for block in network.blocks if isinstance(block, Block)]
        self._modules: dict[str, list[nn.Module]] = {
            "temporal_attention": [block.temporal for block in blocks],
            "first_temporal_attention": [block.temporal for block in blocks],
            "spatial_attention": [block.spatial for block in blocks],
            "cross_attention": [],
            "block": [*blocks],
            "block_along_time": [],
            "deep": [],
        }
        self.reverse = layer_deltas(network, self._modules["temporal_attention"], reverse or {})
        self._motion: _Motion | None = None

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        assert cond.concat is not None
        ahead, trust_ahead, back, trust_back = torch.split(cond.concat, PARTS, 2)
        g, r = guide(cond.concat), spread(cond.concat)
        total = (level.sigma**2 + r**2).sqrt()
        inputs = [(x - g) / total, g, r, ahead, back, trust_ahead, trust_back]
        out: Tensor = self.network(torch.cat(inputs, 2), level.t).float()
        change, choose_ahead, choose_back = torch.split(out, [3, 1, 1], 2)
        change = change + (trust_ahead > 0) * choose_ahead * (ahead - g) / APART
        change = change + (trust_back > 0) * choose_back * (back - g) / APART
        x0: Tensor = g + (r / total) ** 2 * (x - g) + (level.sigma * r / total) * change
        return x0

    def path(self, steps: int, schedule: str | None = None) -> Path:
        return edm_path(karras_sigmas(steps, *SIGMAS))

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size for squares of FINEST pixels or, for pictures of more than LATENTS of
        these, larger ones.
        """
        factor = max(FINEST, math.sqrt(height * width / LATENTS))
        return max(1, round(height / factor)), max(1, round(width / factor))

    def encode(self, pixels: Tensor) -> Tensor:
        return shrink(pixels, self.latent_size(pixels.shape[-2], pixels.shape[-1]))

    def decode(
        self, z: Tensor, keyframes: Keyframes | None = None, on_frames: OnFrames | None = None
    ) -> Tensor:
        """Decode, anchored at the keyframes of both ends. Raise ValueError without them: latents do
        not know the picture's size.
        """
        if keyframes is None or keyframes.positions != (0, keyframes.length - 1):
            raise ValueError("tiny decodes with the keyframes of both ends")
        at, frames, grid = self._carried(keyframes), [], (z.shape[-2], z.shape[-1])
        for i, t in enumerate(_times(keyframes.length)):  # full-size frames are large
            carried = at(t)
            ahead, back = (_to_pixels(c).to(z) for c in (carried.ahead, carried.back))
            concat = _told(carried, grid).to(z)
            drawn = believed(z[:, i : i + 1], concat[None], z.new_tensor(t))
            frames.append(torch.stack([anchored(clip, ahead, back) for clip in drawn]))
            if on_frames is not None:
                on_frames(i + 1, keyframes.length)
        return torch.cat(frames, 1)

    def guess(self, keyframes: Keyframes) -> Tensor:
        cond = self.condition(keyframes)
        assert cond.concat is not None
        return guide(cond.concat)

    def condition(
        self,
        keyframes: Keyframes,
        text: Tensor | None = None,
        motion: Motion = STANDARD_MOTION,
        noise: Tensor | None = None,
    ) -> Cond:
        """Carry keyframes at both ends along the flow between them; one at position 0 stands still.

        `motion` and `noise` say nothing to this model. Raises ValueError for any other positions.
        """
        if text is not None:
            raise ValueError("tiny takes no text")
        frames = keyframes.length
        if keyframes.positions == (0,):
            return Cond(concat=still(self.encode(keyframes.pixels), frames)[None].to(self.device))
        if keyframes.positions != (0, frames - 1):
            raise ValueError(
                "tiny is conditioned on keyframes at both ends, or on one at position 0"
            )
        at = self._carried(keyframes)
        size = self.latent_size(*keyframes.pixels.shape[-2:])
        concat = torch.cat([_told(at(t), size) for t in _times(frames)])
        return Cond(concat=concat[None].to(self.device))

    def _carried(self, keyframes: Keyframes) -> Callable[[float], Carried]:
        """Return the motion between two keyframes, kept for decoding and for the reverse."""
        first, last = to_uint8(keyframes.pixels)
        motion = self._motion
        if motion is not None and motion.between(first, last):
            return motion.at
        if motion is not None and motion.between(last, first):
            ahead = motion.at
            return lambda t: _swapped(ahead(1 - t))
        self._motion = _Motion(first, last, carry(first, last, self.learned))
        return self._motion.at

    def training_weight(self, level: Level, cond: Cond) -> Tensor:
        """Return the weight of the loss, which makes the network's own output the target: (sigma^2
        + r^2) / (sigma r)^2 (Karras et al. 2022, table 1), less where places are certain.
        """
        assert cond.concat is not None
        r = spread(cond.concat)
        weight: Tensor = (level.sigma**2 + r**2) / (level.sigma**2 * r * TYPICAL)
        return weight

    def null(self, cond: Cond, drop: Collection[str] = ("text", "image")) -> Cond:
        """Return conditions with nothing carried, confidence 0 everywhere."""
        if "image" not in drop or cond.concat is None:
            return cond
        return replace(cond, concat=torch.zeros_like(cond.concat))

    def modules(self, kind: str) -> Sequence[nn.Module]:
        return self._modules[kind]


def still(first: Tensor, frames: int) -> Tensor:
    """Repeat one keyframe's latents [1, 3, h, w] at every time: [F, CONCAT, h, w]."""
    concat = first.new_zeros(frames, CONCAT, *first.shape[-2:])
    concat[:, :3] = first
    concat[:, 3] = STILL_TRUST
    concat[0, 3] = 1
    return concat


@dataclass(frozen=True)
class _Motion:
    first: NDArray[np.uint8]
    last: NDArray[np.uint8]
    at: Callable[[float], Carried]

    def between(self, first: NDArray[np.uint8], last: NDArray[np.uint8]) -> bool:
        return np.array_equal(first, self.first) and np.array_equal(last, self.last)


def _swapped(carried: Carried) -> Carried:
    return Carried(carried.back, carried.ahead, carried.trust_back, carried.trust_ahead)


def _told(carried: Carried, size: tuple[int, int]) -> Tensor:
    """Return one frame of Cond.concat, [1, CONCAT, h, w]."""
    height, width = carried.ahead.shape[:2]
    parts = []
    for picture, trust in (
        (carried.ahead, carried.trust_ahead),
        (carried.back, carried.trust_back),
    ):
        wide = torch.from_numpy(enlarged(trust, height, width))
        parts += [_to_pixels(picture), wide[None, None]]
    return shrink(torch.cat(parts, 1), size)


def _times(frames: int) -> list[float]:
    return [i / (frames - 1) for i in range(frames)]


def _to_pixels(picture: Field) -> Tensor:
    """Convert [H, W, 3], 0 to 1, to [1, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(picture).clamp(0, 1).movedim(-1, 0)[None] * 2 - 1
