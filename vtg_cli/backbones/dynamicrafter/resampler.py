"""DynamiCrafter's image projector: from the tokens of one picture to the tokens of every frame.

A perceiver (Jaegle et al. 2021): learned queries, a few of them per frame, attend again and again
to the picture's tokens and to themselves. Parameter names are those of the checkpoints; facts of
the network are those of github.com/Doubiiu/DynamiCrafter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vtg_cli.errors import WeightsError


@dataclass(frozen=True, kw_only=True)
class ResamplerConfig:
    """The sizes of a resampler; the defaults are those of every released model.

    tokens: per frame
    in_width: of the picture's tokens
    out_width: of the frames' tokens
    """

    width: int = 1024
    depth: int = 4
    heads: int = 12
    head_width: int = 64
    tokens: int = 16
    frames: int = 16
    in_width: int = 1280
    out_width: int = 1024
    growth: int = 4

    @staticmethod
    def of(params: Mapping[str, Any]) -> ResamplerConfig:
        """Read `image_proj_stage_config.params` of a reference config. Raise WeightsError for a
        projector without tokens per frame.
        """
        if not params.get("video_length"):
            raise WeightsError(
                "this image projector makes no tokens per frame: video_length is missing",
                "only the networks of the released DynamiCrafter models are supported",
            )
        return ResamplerConfig(
            width=params["dim"],
            depth=params["depth"],
            heads=params["heads"],
            head_width=params["dim_head"],
            tokens=params["num_queries"],
            frames=params["video_length"],
            in_width=params["embedding_dim"],
            out_width=params["output_dim"],
            growth=params.get("ff_mult", 4),
        )


class PerceiverAttention(nn.Module):
    """Attention of queries [B, Q, D] to picture tokens [B, N, D] and themselves -> [B, Q, D]."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.heads * config.head_width
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.to_q = nn.Linear(config.width, inner, bias=False)
        self.to_kv = nn.Linear(config.width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, config.width, bias=False)

    def forward(self, tokens: Tensor, queries: Tensor) -> Tensor:
        queries = self.norm2(queries)
        key, value = self.to_kv(torch.cat([self.norm1(tokens), queries], 1)).chunk(2, dim=-1)
        query, key, value = (
            torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)
            for x in (self.to_q(queries), key, value)
        )
        seen = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        out: Tensor = self.to_out(seen)
        return out


class Resampler(nn.Module):
    """The projector of image tokens [B, N, in_width] -> [B, frames, tokens, out_width]."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        self.config = config
        width, inner = config.width, config.growth * config.width
        count = config.frames * config.tokens
        self.latents = nn.Parameter(torch.randn(1, count, width) / width**0.5)
        self.proj_in = nn.Linear(config.in_width, width)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PerceiverAttention(config),
                    nn.Sequential(
                        nn.LayerNorm(width),
                        nn.Linear(width, inner, bias=False),
                        nn.GELU(),
                        nn.Linear(inner, width, bias=False),
                    ),
                ]
            )
            for _ in range(config.depth)
        )
        self.proj_out = nn.Linear(width, config.out_width)
        self.norm_out = nn.LayerNorm(config.out_width)

    def forward(self, image: Tensor) -> Tensor:
        queries = self.latents.expand(len(image), -1, -1)
        tokens = self.proj_in(image)
        layer: Any  # a pair, says the constructor
        for layer in self.layers:
            attend, feed = layer
            queries = queries + attend(tokens, queries)
            queries = queries + feed(queries)
        out: Tensor = self.norm_out(self.proj_out(queries))
        return torch.unflatten(out, 1, (self.config.frames, self.config.tokens))
