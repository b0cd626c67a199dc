"""The network of the embedded model: a factorised spatio-temporal transformer between convolutions.

Convolutions work on single latents and on squares of two by two, what is local; tokens are squares
of four by four. Every block of the transformer attends over the places of a frame, then over the
frames of a place, then mixes channels; all three are told the level by one shared modulation
(PixArt's adaLN-single). No place has an address: depthwise convolutions tell neighbours apart, so
any picture size will do. Frames are told their time in [0, 1], so any number of them will do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    gelu,
    layer_norm,
    pad,
    pixel_shuffle,
    pixel_unshuffle,
    scaled_dot_product_attention,
    silu,
)


@dataclass(frozen=True)
class Shape:
    """The sizes of the network.

    width: channels of a token, a multiple of `head`
    fine, middle: channels of the convolutions on single latents and on squares of two by two
    near: residual blocks of the latter, on the way down and again on the way up
    """

    inputs: int = 15
    outputs: int = 5
    width: int = 128
    depth: int = 4
    head: int = 32
    fine: int = 32
    middle: int = 64
    near: int = 2
    widening: int = 3


PATCH = 4
"""Latents per token along one side."""
SHORT = 64
"""Most tokens for which attention is three plain products: in bf16 on a CPU the fused kernel takes
up to five times as long there."""


class Attention(nn.Module):
    """Self-attention [rows, n, D] with the field's usual parts, for fusion.rotate_pairs."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, h: Tensor) -> Tensor:
        parts = (self.to_q(h), self.to_k(h), self.to_v(h))
        q, k, v = (torch.unflatten(p, -1, (self.heads, -1)).transpose(1, 2) for p in parts)
        if h.shape[1] <= SHORT:
            mixed = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1).to(v.dtype) @ v
        else:
            mixed = scaled_dot_product_attention(q, k, v)
        out: Tensor = self.to_out[0](mixed.transpose(1, 2).flatten(-2))
        return out


class Block(nn.Module):
    """A transformer block over places, frames and channels; h is [B, F, h, w, D]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, heads = shape.width, shape.width // shape.head
        self.near = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.spatial = Attention(width, heads)
        self.temporal = Attention(width, heads)
        self.widen = nn.Linear(width, shape.widening * width)
        self.narrow = nn.Linear(shape.widening * width, width)
        self.table = nn.Parameter(torch.zeros(9, width))
        nn.init.zeros_(self.near.weight)
        nn.init.zeros_(self.near.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor, level: Tensor, time: Tensor) -> Tensor:
        """Transform h. level: [B, 9, D] modulation; time: [F, D]."""
        b, f, rows, columns, d = h.shape
        m = (level + self.table)[:, :, None, None, None].unbind(1)  # 9 of [B, 1, 1, 1, D]
        flat = h.flatten(0, 1).permute(0, 3, 1, 2)
        h = h + self.near(flat).permute(0, 2, 3, 1).view_as(h)

        x = _modulated(h, m[0], m[1]).flatten(0, 1).flatten(1, 2)
        h = h + m[2] * self.spatial(x).view_as(h)

        x = _modulated(h, m[3], m[4]) + time[:, None, None]
        x = x.permute(0, 2, 3, 1, 4).reshape(b * rows * columns, f, d)
        x = self.temporal(x).view(b, rows, columns, f, d)
        h = h + m[5] * x.permute(0, 3, 1, 2, 4)

        h = h + m[8] * self.narrow(gelu(self.widen(_modulated(h, m[6], m[7]))))
        return h


def _modulated(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    out: Tensor = layer_norm(h, h.shape[-1:]) * (1 + scale) + shift
    return out


class Near(nn.Module):
    """A residual block of two convolutions; h is [B F, D, h, w]."""

    def __init__(self, width: int, level_width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.scale = nn.Linear(level_width, 2 * width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor, level: Tensor) -> Tensor:
        """Convolve h. level: [B, D']."""
        scale, shift = self.scale(level)[..., None, None].chunk(2, 1)
        x = h * (h.square().mean(1, keepdim=True) + 1e-6).rsqrt() * (1 + scale) + shift
        out: Tensor = h + self.second(silu(self.first(silu(x))))
        return out


class Network(nn.Module):
    """The network from [B, F, inputs, H, W] and a level's number to [B, F, outputs, H, W].

    Sizes that are no multiple of the patch are continued beyond the border. At first it returns
    zero.
    """

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = s = shape or Shape()
        self.stem = nn.Conv2d(s.inputs, s.fine, 3, padding=1)
        self.down = nn.Conv2d(4 * s.fine, s.middle, 1)
        self.before = nn.ModuleList(Near(s.middle, s.width) for _ in range(s.near))
        self.patch_in = nn.Linear(4 * s.middle, s.width)
        self.blocks = nn.ModuleList(Block(s) for _ in range(s.depth))
        self.patch_out = nn.Linear(s.width, 4 * s.middle)
        self.after = nn.ModuleList(Near(s.middle, s.width) for _ in range(s.near))
        self.up = nn.Conv2d(s.middle, 4 * s.fine, 1)
        self.mix = nn.Conv2d(2 * s.fine, 2 * s.fine, 3, padding=1)
        self.last = nn.Conv2d(2 * s.fine, s.outputs, 3, padding=1)
        self.level = nn.Sequential(nn.Linear(s.width, s.width), nn.SiLU())
        self.modulation = nn.Linear(s.width, 9 * s.width)
        self.time = nn.Sequential(
            nn.Linear(s.width, s.width), nn.SiLU(), nn.Linear(s.width, s.width)
        )
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, t: float) -> Tensor:
        b, f, _, height, width = x.shape
        level = self.level(waves(torch.tensor([t], device=x.device), self.shape.width))
        beyond = (0, -width % PATCH, 0, -height % PATCH)
        fine = gelu(self.stem(pad(x.flatten(0, 1), beyond, mode="replicate")))
        middle = self.down(pixel_unshuffle(fine, 2))
        for near in self.before:
            middle = near(middle, level)
        h = self.patch_in(pixel_unshuffle(middle, 2).permute(0, 2, 3, 1))
        h = self._tokens(torch.unflatten(h, 0, (b, f)), level)
        h = self.patch_out(layer_norm(h, h.shape[-1:])).flatten(0, 1).permute(0, 3, 1, 2)
        middle = middle + pixel_shuffle(h, 2)
        for near in self.after:
            middle = near(middle, level)
        both = torch.cat([fine, gelu(pixel_shuffle(self.up(middle), 2))], 1)
        out: Tensor = self.last(gelu(self.mix(both)))
        return torch.unflatten(out[..., :height, :width], 0, (b, f))

    def _tokens(self, h: Tensor, level: Tensor) -> Tensor:
        """Run the transformer; h: [B, F, h, w, D]."""
        modulation = torch.unflatten(self.modulation(level), -1, (9, -1))
        times = torch.linspace(0, 1, h.shape[1], device=h.device)
        time = self.time(waves(math.pi * times, self.shape.width, octaves=3))
        for block in self.blocks:
            h = block(h, modulation, time)
        return h


def waves(values: Tensor, width: int, octaves: float = 6) -> Tensor:
    """Return sines and cosines [n, width] of numbers [n] of unit size, frequencies 1 to 2^octaves.

    Few octaves where values in between must mean something in between.
    """
    steps = torch.arange(width // 2, device=values.device) * (octaves / (width // 2))
    angle = values[:, None] * torch.exp(steps * math.log(2))
    return torch.cat([angle.sin(), angle.cos()], -1)
