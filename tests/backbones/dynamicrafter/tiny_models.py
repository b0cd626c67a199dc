"""A DynamiCrafter of random weights, small enough to draw in a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from vtg_cli.backbones.dynamicrafter.model import DynamiCrafter
from vtg_cli.backbones.dynamicrafter.resampler import ResamplerConfig
from vtg_cli.backbones.dynamicrafter.spec import Facts
from vtg_cli.backbones.dynamicrafter.towers import AutoencoderConfig, TowersConfig
from vtg_cli.backbones.dynamicrafter.unet import UNetConfig
from vtg_cli.backbones.dynamicrafter.weights import Sizes

FRAMES, HEIGHT, WIDTH = 4, 16, 24
SIZES = Sizes(
    unet=UNetConfig(
        model_channels=32,
        num_res_blocks=1,
        attention_resolutions=(2, 1),
        channel_mult=(1, 2),
        num_head_channels=16,
        context_dim=24,
    ),
    resampler=ResamplerConfig(
        width=32,
        depth=1,
        heads=2,
        head_width=16,
        tokens=3,
        frames=FRAMES,
        in_width=24,
        out_width=24,
    ),
    autoencoder=AutoencoderConfig(channels=(32, 32), layers=1),
    clip=TowersConfig(
        vocabulary=300,
        text_length=7,
        text_width=24,
        text_heads=2,
        text_layers=3,
        patch=56,
        image_width=24,
        image_heads=3,
        image_layers=2,
    ),
)
FACTS = Facts(variant="512", height=HEIGHT, width=WIDTH, frames=FRAMES, factor=4)


def networks(seed: int = 0) -> dict[str, Any]:
    """By part. What a released model starts at zero is random too, so that everything counts."""
    built: dict[str, Any] = SIZES.networks()
    generator = torch.Generator().manual_seed(seed)
    for network in built.values():
        values = {
            name: torch.randn(v.shape, generator=generator) * (0.05 if v.ndim > 1 else 0.1)
            + ("norm" in name and name.endswith("weight"))
            for name, v in network.state_dict().items()
            if not name.endswith("position_ids")
        }
        network.load_state_dict(values, assign=True, strict=False)
        network.eval().requires_grad_(False)
        assert not any(p.is_meta for p in network.parameters())
    return built


def tiny(facts: Facts = FACTS, **options: Any) -> DynamiCrafter:
    return DynamiCrafter(**networks(), facts=facts, **options)


def words(folder: Path) -> Path:
    """A vocabulary of letters, in CLIP's form."""
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "ca", "cat</w>"]
    tokens += [f"unused{i}" for i in range(298 - len(tokens))]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    return folder
