"""The networks around DynamiCrafter's U-Net that libraries hold ready: CLIP's text and image towers
and the autoencoder.

The towers are open_clip's ViT-H-14, whose outputs are taken early: text before the last layer but
after the final norm, image tokens after the last layer but before its norm and projection. The text
tower is therefore built without its last layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vtg_cli.backbones.clip_pixels import CLIP_SIZE, antialiased_resize, clip_colours
from vtg_cli.errors import WeightsError

GROWTH = 4  # of a tower's feed-forward layers


@dataclass(frozen=True, kw_only=True)
class TowersConfig:
    """The sizes of both towers; the defaults are ViT-H-14's. text_layers: with the one not used."""

    vocabulary: int = 49408
    text_length: int = 77
    text_width: int = 1024
    text_heads: int = 16
    text_layers: int = 24
    image_size: int = CLIP_SIZE
    patch: int = 14
    image_width: int = 1280
    image_heads: int = 16
    image_layers: int = 32

    @staticmethod
    def of(params: Mapping[str, Any]) -> TowersConfig:
        """Read open_clip's description of a model, with `text_cfg` and `vision_cfg`."""
        text, vision = params["text_cfg"], params["vision_cfg"]
        return TowersConfig(
            vocabulary=text["vocab_size"],
            text_length=text["context_length"],
            text_width=text["width"],
            text_heads=text["heads"],
            text_layers=text["layers"],
            image_size=vision["image_size"],
            patch=vision["patch_size"],
            image_width=vision["width"],
            image_heads=vision["width"] // vision.get("head_width", 64),
            image_layers=vision["layers"],
        )


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """The sizes of an autoencoder; the defaults are Stable Diffusion's, as in every released model.

    latent_channels: of a latent
    channels: of the levels, finest first
    """

    channels: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2
    latent_channels: int = 4

    @staticmethod
    def of(params: Mapping[str, Any]) -> AutoencoderConfig:
        """Read `first_stage_config.params` of a reference config. Raise WeightsError for attention
        outside the middle block.
        """
        sizes = params["ddconfig"]
        if sizes.get("attn_resolutions") or params["embed_dim"] != sizes["z_channels"]:
            raise WeightsError(
                "this autoencoder is of another kind than the released models'",
                "attention must be in its middle block alone, embed_dim equal to z_channels",
            )
        return AutoencoderConfig(
            channels=tuple(sizes["ch"] * mult for mult in sizes["ch_mult"]),
            layers=sizes["num_res_blocks"],
            latent_channels=sizes["z_channels"],
        )


IMPORTING = torch.device("cpu")
"""Where libraries are imported, whatever device networks are to be on: transformers 5.0 computes
meanwhile, which the meta device cannot."""


def text_tower(config: TowersConfig) -> nn.Module:
    """Build transformers' text model, without the last layer."""
    with IMPORTING:
        from transformers import CLIPTextConfig, CLIPTextModel

    tower = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=config.vocabulary,
            max_position_embeddings=config.text_length,
            hidden_size=config.text_width,
            intermediate_size=GROWTH * config.text_width,
            num_attention_heads=config.text_heads,
            num_hidden_layers=config.text_layers - 1,
            hidden_act="gelu",
        )
    )
    return _core(tower, "text_model")


def image_tower(config: TowersConfig) -> nn.Module:
    """Build transformers' vision model."""
    with IMPORTING:
        from transformers import CLIPVisionConfig, CLIPVisionModel

    tower = CLIPVisionModel(
        CLIPVisionConfig(
            image_size=config.image_size,
            patch_size=config.patch,
            hidden_size=config.image_width,
            intermediate_size=GROWTH * config.image_width,
            num_attention_heads=config.image_heads,
            num_hidden_layers=config.image_layers,
            hidden_act="gelu",
        )
    )
    return _core(tower, "vision_model")


def _core(tower: nn.Module, name: str) -> nn.Module:
    """Return the network itself, which some releases of transformers wrap once more."""
    core: nn.Module = getattr(tower, name, tower)
    # it is no parameter: on the meta device it would stay without values when weights are assigned
    embeddings: Any = core.embeddings
    count = embeddings.position_embedding.num_embeddings
    embeddings.position_ids = torch.arange(count, device="cpu")[None]
    return core


def autoencoder(config: AutoencoderConfig) -> nn.Module:
    """Build diffusers' AutoencoderKL: `encode(pixels).latent_dist`, `decode(latents).sample`, frame
    by frame, pixels [n, 3, H, W] in [-1, 1], latents not scaled.
    """
    with IMPORTING:
        from diffusers import AutoencoderKL

    levels = len(config.channels)
    kind: Any = AutoencoderKL  # diffusers is untyped
    network: nn.Module = kind(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.channels,
        layers_per_block=config.layers,
        latent_channels=config.latent_channels,
    )
    return network


def tokenizer(folder: Path) -> Any:
    """Load CLIP's tokenizer from a folder with vocab.json and merges.txt. Raise WeightsError."""
    from transformers import CLIPTokenizer

    try:
        kind: Any = CLIPTokenizer  # transformers is partly untyped
        return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises whatever its parsers raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"{folder} holds no tokenizer that can be read: {reason}", subject=str(folder)
        ) from error


def embed_text(tower: nn.Module, tokens: Tensor) -> Tensor:
    """Embed token numbers [n, L], padded to the tower's length with 0 as open_clip does, as [n, L,
    D], float32.
    """
    embedded: Tensor = tower(tokens).last_hidden_state
    return embedded.float()


def embed_image(tower: nn.Module, pixels: Tensor) -> Tensor:
    """Embed pixels [B, 3, H, W] in [-1, 1], any size, as all tokens of the last layer, the class
    token first [B, 1 + patches, D], float32.
    """
    seen = clip_view(pixels).to(next(tower.parameters()).dtype)
    tokens: Tensor = tower(seen).last_hidden_state
    return tokens.float()


def clip_view(pixels: Tensor) -> Tensor:
    """Return the tower's view of pixels [B, 3, H, W] in [-1, 1]: float32 [B, 3, 224, 224]."""
    return clip_colours(antialiased_resize(pixels.float(), CLIP_SIZE))
