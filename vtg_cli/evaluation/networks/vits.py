"""Vision transformers of transformers: VideoMAE, CLIP, DINO, DINOv2, each up to its features."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

IMPORTING = torch.device("cpu")
"""Where libraries are imported, whatever device networks are to be on."""

GIANT = {
    "hidden_size": 1408,
    "num_hidden_layers": 40,
    "num_attention_heads": 16,
    "intermediate_size": 6144,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
}
"""VideoMAE V2's ViT-g, which content-debiased FVD takes; 16 frames of 224x224, two a token."""

_NAMES = (
    (r"patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"blocks\.(\d+)\.norm1\.", r"encoder.layer.\1.layernorm_before."),
    (r"blocks\.(\d+)\.norm2\.", r"encoder.layer.\1.layernorm_after."),
    (r"blocks\.(\d+)\.attn\.proj\.", r"encoder.layer.\1.attention.output.dense."),
    (r"blocks\.(\d+)\.attn\.q_bias", r"encoder.layer.\1.attention.attention.query.bias"),
    (r"blocks\.(\d+)\.attn\.v_bias", r"encoder.layer.\1.attention.attention.value.bias"),
    (r"blocks\.(\d+)\.mlp\.fc1\.", r"encoder.layer.\1.intermediate.dense."),
    (r"blocks\.(\d+)\.mlp\.fc2\.", r"encoder.layer.\1.output.dense."),
)
_QKV = re.compile(r"blocks\.(\d+)\.attn\.qkv\.weight")


class VideoMae(nn.Module):
    """Clips [B, 16, 3, 224, 224] in [0, 1] to the normalised mean of all tokens, [B, width].

    sizes: fields of transformers' VideoMAEConfig that differ from its defaults
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__()
        with IMPORTING:
            from transformers import VideoMAEConfig, VideoMAEModel

        config = VideoMAEConfig(**{**GIANT, "use_mean_pooling": True, **sizes})
        self.vit = VideoMAEModel(config)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features [B, width]."""
        tokens: Tensor = self.vit(x).last_hidden_state
        features: Tensor = self.norm(tokens.mean(1))
        return features


def of_videomae_v2(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of VideoMAE V2's own files to those of VideoMae; the head is left out."""
    found: dict[str, Tensor] = {}
    for name, tensor in published.items():
        if match := _QKV.fullmatch(name):
            place = f"vit.encoder.layer.{match[1]}.attention.attention."
            parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            found |= {f"{place}{part}.weight": each for part, each in parts}
        elif name.startswith("fc_norm."):
            found[name.replace("fc_norm.", "norm.")] = tensor
        elif not name.startswith("head."):
            for pattern, ours in _NAMES:
                name = re.sub(f"^{pattern}", ours, name)
            found[f"vit.{name}"] = tensor
    return found


def sinusoids(positions: int, width: int) -> Tensor:
    """Compute VideoMAE's table of positions, [1, positions, width]: sine and cosine by turns."""
    rate = 10000 ** (-2 * (torch.arange(width, dtype=torch.float64) // 2) / width)
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * rate
    even = torch.arange(width) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos()).float()[None]


class Picture(nn.Module):
    """Pictures to one feature of a transformer that a folder in transformers' layout holds."""

    def __init__(self, vit: nn.Module, field: str, **options: Any) -> None:
        super().__init__()
        self.vit, self._field, self._options = vit, field, options

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features [B, width] of pictures [B, 3, H, W]."""
        out = self.vit(x, **self._options)
        tokens: Tensor = getattr(out, self._field)
        return tokens[:, 0] if tokens.ndim == 3 else tokens


def _whole(kind: Any, folder: Path, **options: Any) -> Any:
    """Load a model of transformers. Raise ValueError where a tensor of it would stay random."""
    vit, told = kind.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, **options
    )
    lacking = sorted({*told["missing_keys"], *map(str, told.get("mismatched_keys", ()))})
    if lacking:
        raise ValueError(f"it lacks {lacking[0]}, one of {len(lacking)} tensors of {kind.__name__}")
    return vit


def clip(folder: Path) -> Picture:
    """Load CLIP's image tower with its projection."""
    with IMPORTING:
        from transformers import CLIPVisionModelWithProjection

    return Picture(_whole(CLIPVisionModelWithProjection, folder), "image_embeds")


def dino(folder: Path) -> Picture:
    """Load DINO; its feature is the class token, its positions stretch as DINO's own code does."""
    with IMPORTING:
        from transformers import ViTModel

    vit = _whole(ViTModel, folder, add_pooling_layer=False)
    embeddings = vit.embeddings
    patch = vit.config.patch_size

    def positions(tokens: Tensor, height: int, width: int) -> Tensor:
        table: Tensor = embeddings.position_embeddings
        if height == width and tokens.shape[1] == table.shape[1]:
            return table
        return stretched(table, height // patch, width // patch)

    embeddings.interpolate_pos_encoding = positions
    return Picture(vit, "last_hidden_state", interpolate_pos_encoding=True)


def stretched(positions: Tensor, rows: int, columns: int) -> Tensor:
    """Stretch positions [1, 1 + side * side, D] to rows x columns, bicubically.

    DINO hands torch the ratio of (rows + 0.1) to the side as the scale, and torch samples by it:
    not what a size alone would do.
    """
    side = round((positions.shape[1] - 1) ** 0.5)
    grid = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    grid = interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], 1)


def dinov2(folder: Path) -> Picture:
    """Load DINOv2; its feature is the normalised class token."""
    with IMPORTING:
        from transformers import Dinov2Model

    return Picture(_whole(Dinov2Model, folder), "last_hidden_state")
