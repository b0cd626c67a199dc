"""DynamiCrafter's 3D U-Net (Xing et al. 2024), under the parameter names of its checkpoints.

A Stable Diffusion U-Net over every frame. After each of its residual blocks comes a convolution
over time, after each spatial transformer a temporal one whose two attentions both look along time.
Spatial transformers attend to the text and, through keys and values of their own, to the frame's
image tokens:

    out = attend(q, text) + (1 + tanh(alpha)) * attend(q, image)     alpha only in the 256 model

Inside, frames are part of the batch, [(B F), C, h, w], and one position's clip is a row of temporal
attention, [(B h w), F, D]. Facts of the network are those of github.com/Doubiiu/DynamiCrafter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, linear, scaled_dot_product_attention

from vtg_cli.errors import WeightsError
from vtg_cli.ground.tensor import FRAMES

GROUPS = 32  # of every group norm
INIT_HEADS = 8  # of the first temporal transformer, whatever its width
_ONLY = {
    "use_linear": True,
    "temporal_conv": True,
    "temporal_attention": True,
    "temporal_selfatt_only": True,
    "addition_attention": True,
    "image_cross_attention": True,
    "fs_condition": True,
    "use_relative_position": False,
    "use_causal_attention": False,
    "use_scale_shift_norm": False,
    "resblock_updown": False,
    "tempspatial_aware": False,
    "conv_resample": True,
    "dims": 2,
}
"""Switches of the reference that every released model sets the same way."""


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """The sizes of a U-Net; the defaults are the released 512 model's.

    in_channels: noisy latents and the latents beside them
    default_fs: a clip's frame stride or rate if none is given
    learned_scale: whether the image attention has an `alpha`
    """

    in_channels: int = 8
    out_channels: int = 4
    model_channels: int = 320
    num_res_blocks: int = 2
    attention_resolutions: tuple[int, ...] = (4, 2, 1)
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_head_channels: int = 64
    transformer_depth: int = 1
    context_dim: int = 1024
    default_fs: int = 24
    learned_scale: bool = False

    @staticmethod
    def of(params: Mapping[str, Any]) -> UNetConfig:
        """Read `unet_config.params` of a reference config. Raise WeightsError for others."""
        other = [name for name, value in _ONLY.items() if params.get(name, value) != value]
        if params.get("num_head_channels", -1) < 1:
            other.append("num_head_channels")
        if other:
            raise WeightsError(
                f"this U-Net is of another kind: {other[0]} is {params.get(other[0])}",
                "only the networks of the released DynamiCrafter models are supported",
                subject=other[0],
            )
        return UNetConfig(
            in_channels=params["in_channels"],
            out_channels=params["out_channels"],
            model_channels=params["model_channels"],
            num_res_blocks=params["num_res_blocks"],
            attention_resolutions=tuple(params["attention_resolutions"]),
            channel_mult=tuple(params["channel_mult"]),
            num_head_channels=params["num_head_channels"],
            transformer_depth=params.get("transformer_depth", 1),
            context_dim=params["context_dim"],
            default_fs=params.get("default_fs", 4),
            learned_scale=params.get("image_cross_attention_scale_learnable", False),
        )


RELEASED = {
    "256": UNetConfig(default_fs=3, learned_scale=True),
    "512": UNetConfig(),
    "1024": UNetConfig(default_fs=10),
    "tooncrafter": UNetConfig(),
}
"""Configurations by the width in pixels a model was trained on; 512 is image to video and
interpolation alike, and ToonCrafter's network is that one too."""


@dataclass(frozen=True)
class Told:
    """The inputs of a layer beside its hidden states.

    level: [B, 4 * model_channels]
    text, image: [B, F|1, tokens, context_dim]
    frames: F
    """

    level: Tensor
    text: Tensor
    image: Tensor
    frames: int


class SelfAttention(nn.Module):
    """Attention over the tokens of a row: [rows, N, D] -> the same. The parts are those that
    sampling.fusion.rotate_pairs reads.
    """

    def __init__(self, width: int, heads: int, context: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context or width, width, bias=False)
        self.to_v = nn.Linear(context or width, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.to_out(self._attend(self.to_q(h), self.to_k(h), self.to_v(h)))
        return out

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query, key, value = (
            torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2) for x in (query, key, value)
        )
        return scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class CrossAttention(SelfAttention):
    """Attention to the text and to the image tokens, which have keys and values of their own."""

    def __init__(self, width: int, heads: int, context: int, learned_scale: bool) -> None:
        super().__init__(width, heads, context)
        self.to_k_ip = nn.Linear(context, width, bias=False)
        self.to_v_ip = nn.Linear(context, width, bias=False)
        if learned_scale:
            self.alpha = nn.Parameter(torch.zeros(()))
        self.learned_scale = learned_scale

    def forward(self, h: Tensor, context: Told | None = None) -> Tensor:
        """Attend from h: [(B F), N, D]."""
        assert context is not None
        query = self.to_q(h)

        def look(tokens: Tensor, to_k: nn.Module, to_v: nn.Module) -> Tensor:
            # shared tokens are projected once and only then repeated for every frame
            key, value = (
                to(tokens).expand(-1, context.frames, -1, -1).flatten(0, 1) for to in (to_k, to_v)
            )
            return self._attend(query, key, value)

        image = look(context.image, self.to_k_ip, self.to_v_ip)
        if self.learned_scale:
            image = image * (torch.tanh(self.alpha) + 1)
        out: Tensor = self.to_out(look(context.text, self.to_k, self.to_v) + image)
        return out


class GEGLU(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, h: Tensor) -> Tensor:
        value, gate = self.proj(h).chunk(2, dim=-1)
        gated: Tensor = value * gelu(gate)
        return gated


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        # the empty place is the reference's dropout, which holds no weights
        self.net = nn.Sequential(
            GEGLU(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)
        )

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.net(h)
        return out


class TransformerBlock(nn.Module):
    """A block of attn1, attn2 and a feed-forward, each after its norm and beside the rest. attn2
    looks at the context if there is one, else at its own row again.
    """

    def __init__(self, width: int, heads: int, context: int | None, learned_scale: bool) -> None:
        super().__init__()
        self.attn1 = SelfAttention(width, heads)
        self.ff = FeedForward(width)
        self.attn2: SelfAttention = (
            SelfAttention(width, heads)
            if context is None
            else CrossAttention(width, heads, context, learned_scale)
        )
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, h: Tensor, context: Told | None = None) -> Tensor:
        h = h + self.attn1(self.norm1(h))
        seen = self.norm2(h)
        h = h + (self.attn2(seen) if context is None else self.attn2(seen, context))
        out: Tensor = h + self.ff(self.norm3(h))
        return out


class Transformer(nn.Module):
    """The common part of a spatial and a temporal transformer."""

    def __init__(
        self, channels: int, heads: int, config: UNetConfig, context: int | None = None
    ) -> None:
        super().__init__()
        width = heads * config.num_head_channels
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in: nn.Module = nn.Linear(channels, width)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(width, heads, context, config.learned_scale)
            for _ in range(config.transformer_depth)
        )
        self.proj_out: nn.Module = nn.Linear(width, channels)

    def _through(self, h: Tensor, context: Told | None = None) -> Tensor:
        h = self.proj_in(h)
        for block in self.transformer_blocks:
            h = block(h, context)
        out: Tensor = self.proj_out(h)
        return out


class SpatialTransformer(Transformer):
    """A transformer over the positions of a frame. [(B F), C, h, w] -> the same."""

    def __init__(self, channels: int, heads: int, config: UNetConfig) -> None:
        super().__init__(channels, heads, config, config.context_dim)

    def forward(self, x: Tensor, context: Told) -> Tensor:
        h = self._through(self.norm(x).flatten(2).transpose(1, 2), context)
        return x + torch.unflatten(h.transpose(1, 2), 2, x.shape[2:])


class TemporalTransformer(Transformer):
    """A transformer along frames, with norms over whole clips. [(B F), C, h, w] -> the same."""

    def forward(self, x: Tensor, context: Told) -> Tensor:
        size = x.shape[2:]
        h = self.norm(torch.unflatten(x, 0, (-1, context.frames)).transpose(1, 2))
        h = self._through(h.permute(0, 3, 4, 2, 1).flatten(0, 2))  # [(B h w), F, C]
        return x + torch.unflatten(h, 0, (-1, *size)).permute(0, 3, 4, 1, 2).flatten(0, 1)


class Pointwise(nn.Conv1d):
    """A linear layer over the last axis whose weight is stored as a convolution's."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight[..., 0], self.bias)


class InitAttention(TemporalTransformer):
    """The temporal transformer right after the first convolution."""

    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__(channels, INIT_HEADS, config)
        width = INIT_HEADS * config.num_head_channels
        self.proj_in, self.proj_out = Pointwise(channels, width), Pointwise(width, channels)


class TemporalConvolution(nn.Module):
    """Four convolutions over time beside the input. [(B F), C, h, w] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for n in range(1, 5):
            # the first layer has no dropout, and so no empty place, in the checkpoints' numbering
            gap = [] if n == 1 else [nn.Identity()]
            convolution = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
            layer = nn.Sequential(nn.GroupNorm(GROUPS, channels), nn.SiLU(), *gap, convolution)
            self.add_module(f"conv{n}", layer)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        h = torch.unflatten(x, 0, (-1, frames)).transpose(1, 2)
        for layer in self.children():
            h = layer(h)
        return x + h.transpose(1, 2).flatten(0, 1)


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, out: int, level: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(level, out))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, out), nn.SiLU(), nn.Identity(), nn.Conv2d(out, out, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)
        self.temopral_conv = TemporalConvolution(out)  # the checkpoints' spelling

    def forward(self, x: Tensor, context: Told) -> Tensor:
        level = self.emb_layers(context.level).repeat_interleave(context.frames, 0)
        h = self.out_layers(self.in_layers(x) + level[:, :, None, None])
        out: Tensor = self.temopral_conv(self.skip_connection(x) + h, context.frames)
        return out


class Downsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.op(x)
        return out


class Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(interpolate(x, scale_factor=2, mode="nearest"))
        return out


class Stage(nn.Sequential):
    """A row of layers, some of which are given level, context and frames."""

    def forward(self, x: Tensor, context: Told) -> Tensor:  # type: ignore[override]  # one more
        for layer in self:
            x = layer(x, context) if isinstance(layer, ResidualBlock | Transformer) else layer(x)
        return x


class UNet(nn.Module):
    """The network that predicts v for a clip."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width, depth = config.model_channels, config.num_res_blocks
        level = 4 * width
        self.time_embed = _embedding(width, level)
        self.fps_embedding = _embedding(width, level)
        self.init_attn = Stage(InitAttention(width, config))

        def stage(channels: int, out: int, stride: int) -> list[nn.Module]:
            layers: list[nn.Module] = [ResidualBlock(channels, out, level)]
            if stride in config.attention_resolutions:
                layers += _transformers(out, config)
            return layers

        self.input_blocks = nn.ModuleList(
            [Stage(nn.Conv2d(config.in_channels, width, 3, padding=1))]
        )
        channels, stride, kept = width, 1, [width]
        for i, mult in enumerate(config.channel_mult):
            for _ in range(depth):
                self.input_blocks.append(Stage(*stage(channels, mult * width, stride)))
                channels = mult * width
                kept.append(channels)
            if i < len(config.channel_mult) - 1:
                self.input_blocks.append(Stage(Downsample(channels)))
                kept.append(channels)
                stride *= 2
        self.middle_block = Stage(
            ResidualBlock(channels, channels, level),
            *_transformers(channels, config),
            ResidualBlock(channels, channels, level),
        )
        self.output_blocks = nn.ModuleList()
        for i, mult in reversed(list(enumerate(config.channel_mult))):
            for j in range(depth + 1):
                layers = stage(channels + kept.pop(), mult * width, stride)
                channels = mult * width
                if i > 0 and j == depth:
                    layers.append(Upsample(channels))
                    stride //= 2
                self.output_blocks.append(Stage(*layers))
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
            nn.Conv2d(channels, config.out_channels, 3, padding=1),
        )

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        text: Tensor,
        image: Tensor,
        fs: Tensor | None = None,
    ) -> Tensor:
        """Predict v [B, F, out_channels, h, w].

        x: [B, F, in_channels, h, w], h and w multiples of 2 per level but one
        timesteps: [B]
        text: [B, L, D] or [B, F|1, L, D]
        image: [B, F|1, M, D]
        fs: [B], frame stride or rate; None: the config's default

        Raises ValueError for tokens of another number of frames.
        """
        batch, frames = x.shape[: FRAMES + 1]
        text = text[:, None] if text.ndim == 3 else text
        for tokens in (text, image):
            if tokens.shape[FRAMES] not in (1, frames):
                raise ValueError(f"tokens of {tokens.shape[FRAMES]} frames for {frames} frames")
        if fs is None:
            fs = torch.full((batch,), self.config.default_fs, device=x.device)
        level = self.time_embed(sinusoids(timesteps, self.config.model_channels).to(x))
        level = level + self.fps_embedding(sinusoids(fs, self.config.model_channels).to(x))
        context = Told(level.expand(batch, -1), text.to(x), image.to(x), frames)
        h = x.flatten(0, 1)
        skips: list[Tensor] = []
        for block in self.input_blocks:
            h = block(h, context)
            if not skips:
                h = self.init_attn(h, context)
            skips.append(h)
        h = self.middle_block(h, context)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], 1), context)
        return torch.unflatten(self.out(h), 0, (batch, frames))

    def parts(self, kind: str) -> Sequence[nn.Module]:
        """Return the modules of a kind, in network order.

        kind: "temporal_attention" (both attentions of temporal blocks), "spatial_attention",
            "cross_attention", "block" or "block_along_time", temporal ones alone
        """
        return [part for name, part in self._named_parts() if name == kind]

    def deep(self) -> list[nn.Module]:
        """Return the stages below the first resolution, in network order."""
        shallow = self.config.num_res_blocks + 1  # of either side
        above = self.output_blocks[:-shallow]
        return [*self.input_blocks[shallow:], self.middle_block, *above]

    def _named_parts(self) -> Iterator[tuple[str, nn.Module]]:
        stages = [self.input_blocks[0], self.init_attn, *self.input_blocks[1:]]
        for stage in (*stages, self.middle_block, *self.output_blocks):
            for layer in stage:
                if not isinstance(layer, Transformer):
                    continue
                temporal = isinstance(layer, TemporalTransformer)
                block: Any  # a TransformerBlock, says the constructor
                for block in layer.transformer_blocks:
                    yield "temporal_attention" if temporal else "spatial_attention", block.attn1
                    yield "temporal_attention" if temporal else "cross_attention", block.attn2
                    yield "block", block
                    if temporal:
                        yield "block_along_time", block


def sinusoids(values: Tensor, width: int) -> Tensor:
    """Return [n] as [n, width], float32: cosines, then sines, of wavelengths up to 10000 * 2 pi."""
    half = width // 2
    rates = torch.exp(
        -math.log(10000) * torch.arange(half, dtype=torch.float32, device=values.device) / half
    )
    angles = values[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _embedding(width: int, level: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, level), nn.SiLU(), nn.Linear(level, level))


def _transformers(channels: int, config: UNetConfig) -> tuple[nn.Module, nn.Module]:
    heads = channels // config.num_head_channels
    return (
        SpatialTransformer(channels, heads, config),
        TemporalTransformer(channels, heads, config),
    )
