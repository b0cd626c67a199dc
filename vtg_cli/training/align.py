"""Representation alignment: hidden states of the reversed half, led to DINOv2's features.

VTG's objective (Yang et al. 2025) is that of reverse motion plus lambda times an alignment of what
a small network makes of hidden states with features of the clean frames (REPA, Yu et al. 2024):

    cosine      - mean over tokens of cos(projected state, feature), mean or sum over frames
    relational  mean over pairs of tokens of relu(|cos of two states - cos of two features| -
                margin), both interpolated to twice the frames (VideoREPA's TRD, Zhang et al. 2025)

The published figure draws the projector at the noisy latents, where no gradient would reach the
network; here it reads a transformer block. Encoder and projector are dropped after training.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cosine_similarity, interpolate, normalize

from vtg_cli.backbones.base import Backbone
from vtg_cli.errors import UsageError
from vtg_cli.ground.hooks import recording
from vtg_cli.training.encoder import Encoder
from vtg_cli.training.example import Example
from vtg_cli.training.reverse import ReverseMotion
from vtg_cli.training.settings import Alignment

MARGIN = 0.1
PAIRED = 4096
"""Most tokens of a clip whose pairs are compared; more are averaged, place by place."""


class Aligned(nn.Module):
    """Reverse motion and the projector that aligns it; `loss` is that of both."""

    def __init__(
        self, m: Backbone, trained: ReverseMotion, settings: Alignment, encoder: Encoder, seed: int
    ) -> None:
        super().__init__()
        self.trained = trained
        self._settings, self._encoder = settings, encoder
        blocks = list(m.modules("block"))
        layer = len(blocks) // 2 if settings.layer is None else settings.layer
        if layer >= len(blocks):
            raise UsageError(
                f"--layer {layer} is not possible with {m.spec.name}",
                f"from 0 to {len(blocks) - 1}",
                subject="--layer",
            )
        self._block = blocks[layer]
        attention: Any = next(each for each in self._block.modules() if hasattr(each, "to_q"))
        width: int = attention.to_q.in_features
        self.projector = projector(width, settings.hidden, encoder.width, seed)

    def loss(self, given: Example, pixels: Tensor) -> Tensor:
        """Compute the loss. pixels: of the clean clip in forward time, [F, 3, H, W]."""
        with recording([self._block]) as outputs:
            reverse = self.trained.loss(given)
        frames, size = len(pixels), (given.x0.shape[-2], given.x0.shape[-1])
        states, grid = tokens(outputs[-1], frames, size)
        predicted = self.projector(states.flip(0))  # in forward time
        target = self._encoder.features(pixels, grid).to(predicted)
        if self._settings.variant == "relational":
            ours, theirs = (doubled(paired(t, grid, 2 * frames)) for t in (predicted, target))
            aligned = relational_loss(ours[None], theirs[None], MARGIN)
        else:
            aligned = cosine_loss(predicted[None], target[None], self._settings.reduction)
        return reverse + self._settings.weight * aligned


def projector(inputs: int, hidden: int, outputs: int, seed: int) -> nn.Sequential:
    """Return REPA's projector, three linear layers with SiLU between, drawn from a seed."""
    generator = Generator().manual_seed(seed)
    widths = (inputs, hidden, hidden, outputs)
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layer = nn.Linear(narrow, wide)
        nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def tokens(output: Tensor, frames: int, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Return a block's states of the reversed half, [F, N, D], and the grid (h, w) they lie on.

    output: [(2 F), N, D] or [2, F, h, w, D] of one clip in both directions of time
    size: of the latents; the grid has its shape
    """
    if output.ndim == 5:
        return output[1].flatten(1, 2).float(), (output.shape[2], output.shape[3])
    states = torch.unflatten(output, 0, (2, frames))[1].float()
    height = max(1, round(math.sqrt(states.shape[1] * size[0] / size[1])))
    if states.shape[1] % height:
        raise ValueError(f"{states.shape[1]} tokens lie on no grid of {size[0]} to {size[1]}")
    return states, (height, states.shape[1] // height)


def cosine_loss(predicted: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Compute minus the cosine similarity of tokens [B, F, N, D], the mean over tokens and clips.

    reduction: over frames, "mean" or "sum"
    """
    frames = -cosine_similarity(predicted, target, dim=-1).mean(2)
    over = frames.sum(1) if reduction == "sum" else frames.mean(1)
    return over.mean()


def relational_loss(predicted: Tensor, target: Tensor, margin: float = MARGIN) -> Tensor:
    """Compare how all tokens of a clip relate: [B, F, N, C] with [B, F, N, D], C as D or not."""
    ours, theirs = (_gram(t.flatten(1, 2)) for t in (predicted, target))
    return ((ours - theirs).abs() - margin).relu().mean()


def doubled(clip: Tensor) -> Tensor:
    """Interpolate tokens [F, N, D] to twice the frames, [2 F, N, D]."""
    moved = clip.permute(2, 0, 1)[None, ..., None]  # [1, D, F, N, 1]
    out: Tensor = interpolate(moved, scale_factor=(2, 1, 1), mode="trilinear")
    return out[0, ..., 0].permute(1, 2, 0)


def paired(clip: Tensor, grid: tuple[int, int], frames: int) -> Tensor:
    """Average tokens [F, N, D] on a grid over places, so that `frames` of them have PAIRED."""
    share = math.sqrt(PAIRED / (frames * grid[0] * grid[1]))
    if share >= 1:
        return clip
    smaller = max(1, int(grid[0] * share)), max(1, int(grid[1] * share))
    laid = torch.unflatten(clip, 1, grid).permute(0, 3, 1, 2)
    return adaptive_avg_pool2d(laid, smaller).flatten(2).transpose(1, 2)


def _gram(rows: Tensor) -> Tensor:
    unit = normalize(rows, dim=-1)
    return unit @ unit.mT
