"""The loader of a folder that convert.py made, with a DynamiCrafter model:

    model_index.json    its kind
    config.json         facts, and the sizes of the networks by part
    PART.safetensors    each network under the parameter names of our code
    tokenizer/          CLIP's vocabulary, if it was at hand
    SHA256SUMS          of all of these, as `sha256sum --check` reads them

What a checkpoint holds beside these is not needed: keys.IGNORED.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vtg_cli.backbones.dynamicrafter import towers
from vtg_cli.backbones.dynamicrafter.model import DynamiCrafter
from vtg_cli.backbones.dynamicrafter.resampler import Resampler, ResamplerConfig
from vtg_cli.backbones.dynamicrafter.spec import FORMAT, Facts, facts_of, read_config
from vtg_cli.backbones.dynamicrafter.towers import AutoencoderConfig, TowersConfig
from vtg_cli.backbones.dynamicrafter.unet import RELEASED, UNet, UNetConfig
from vtg_cli.errors import WeightsError
from vtg_cli.machine.device import choose_device, choose_dtype
from vtg_cli.weights.layout import CONFIG


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of all networks of a model; the defaults are those of the released ones."""

    unet: UNetConfig
    resampler: ResamplerConfig = field(default_factory=ResamplerConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    clip: TowersConfig = field(default_factory=TowersConfig)

    @staticmethod
    def released(variant: str) -> Sizes:
        """Return the sizes of a name in spec.VARIANTS."""
        return Sizes(unet=RELEASED[variant.partition("_")[0]])

    @staticmethod
    def of(reference: Mapping[str, Any]) -> Sizes:
        """Read a reference config, with open_clip's description of the towers as `open_clip_towers`
        if they are not ViT-H-14. Raise WeightsError for networks of another kind.
        """
        params = reference["model"]["params"]
        clip = reference.get("open_clip_towers")
        return Sizes(
            unet=UNetConfig.of(params["unet_config"]["params"]),
            resampler=ResamplerConfig.of(params["image_proj_stage_config"]["params"]),
            autoencoder=AutoencoderConfig.of(params["first_stage_config"]["params"]),
            clip=TowersConfig.of(clip) if clip else TowersConfig(),
        )

    def networks(self) -> dict[str, nn.Module]:
        """Build the networks, by part, on the meta device: without values."""
        with torch.device("meta"):
            return {
                "unet": UNet(self.unet),
                "resampler": Resampler(self.resampler),
                "autoencoder": towers.autoencoder(self.autoencoder),
                "image_tower": towers.image_tower(self.clip),
                "text_tower": towers.text_tower(self.clip),
            }


def config_of(facts: Facts, sizes: Sizes) -> dict[str, Any]:
    """Return the content of a folder's config.json."""
    return {"format": FORMAT, "facts": asdict(facts), **asdict(sizes)}


def load(
    folder: Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    reverse: Mapping[str, Tensor] | None = None,
    decode_chunk: int | None = None,
) -> DynamiCrafter:
    """Load the model in a folder of ours; nothing is downloaded. Raise WeightsError if files are
    missing, corrupt or of another kind.
    """
    where = choose_device(device)
    precision = choose_dtype(dtype, where)
    config = read_config(folder)
    facts = facts_of(config)
    networks: dict[str, Any] = _sizes(folder, config).networks()
    for part, network in networks.items():
        _fill(network, folder / f"{part}.safetensors", where, precision)
    return DynamiCrafter(
        **networks, facts=facts, folder=folder, reverse=reverse, decode_chunk=decode_chunk
    )


def _sizes(folder: Path, config: Mapping[str, Any]) -> Sizes:
    kinds: dict[str, Any] = {
        "unet": UNetConfig,
        "resampler": ResamplerConfig,
        "autoencoder": AutoencoderConfig,
        "clip": TowersConfig,
    }
    try:
        return Sizes(
            **{
                part: kind(**{name: _frozen(value) for name, value in config[part].items()})
                for part, kind in kinds.items()
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{folder / CONFIG} does not describe the networks: {error}",
            "import the checkpoint again, or update vtg",
            subject=str(folder / CONFIG),
        ) from None


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _fill(network: nn.Module, file: Path, device: torch.device, dtype: torch.dtype) -> None:
    try:
        values = {
            name: value.to(device, dtype) for name, value in load_file(file, device="cpu").items()
        }
        network.load_state_dict(values, assign=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(
            f"{file} cannot be read: {reason}",
            "import the checkpoint again",
            subject=str(file),
        ) from None
    network.to(device).eval().requires_grad_(False)
