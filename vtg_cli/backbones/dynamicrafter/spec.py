"""Facts of a DynamiCrafter model that need no torch, and where they stand in its folder.

The released models, from the reference's configs and scripts/run.sh (Doubiiu/DynamiCrafter), and
ToonCrafter from its own (Doubiiu/ToonCrafter, scripts/run_application.sh):

    256         predicts eps, no zero terminal SNR, no dynamic rescale, fs is a frame stride
    512, 1024   predict v at zero terminal SNR under dynamic rescale, fs is frames a second
    512_interp  the 512 model tuned on keyframes at both ends; its fs of 5 is a clip's usual pace
    tooncrafter 512_interp's networks tuned on drawn films, but for the decoder (convert.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vtg_cli.backbones.base import Model, Spec
from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.ground import documents
from vtg_cli.job.methods import METHODS, MethodDefaults
from vtg_cli.job.records import built
from vtg_cli.machine.cost import MIB, U_NET
from vtg_cli.weights.layout import CONFIG, PARTS
from vtg_cli.weights.sizes import Parts, config_of, count_in, first_of

FORMAT = "vtg-dynamicrafter-1"
DECODE_CHUNK = 4
"""Frames decoded at a time by default."""
WIDTH, CODEC_WIDTH = 320, 128
"""Channels of the released models, where a folder does not tell."""
_DEFAULTS = MethodDefaults(guidance=(7.5, 7.5), steps=50)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts that, beside its networks' sizes, make a model.

    height, width: pixels it was trained on
    factor: what they must be a multiple of
    prediction: "v" or "eps"
    zero_snr, base_scale, spacing: see sampling.path.dynamicrafter_path
    fs: the number it is given by default
    both_ends: tuned on keyframes at both ends
    scale: what the autoencoder's latents are multiplied by
    """

    variant: str
    height: int
    width: int
    frames: int = 16
    channels: int = 4
    factor: int = 64
    prediction: str = "v"
    zero_snr: bool = True
    base_scale: float = 0.7
    spacing: str = "uniform_trailing"
    fs: int = 24
    both_ends: bool = False
    scale: float = 0.18215

    @staticmethod
    def of(params: Mapping[str, Any], variant: str | None = None) -> Facts:
        """Read `model.params` of a reference config.

        variant: "512_interp" or "tooncrafter" for a model tuned on keyframes at both ends, which no
            config says
        """
        unet = params["unet_config"]["params"]
        levels = len(params["first_stage_config"]["params"]["ddconfig"]["ch_mult"])
        pixels = 2 ** (levels - 1)  # along the side of a latent
        height, width = params["image_size"]
        v = params.get("parameterization", "eps") == "v"
        facts = Facts(
            variant=variant or "custom",
            height=height * pixels,
            width=width * pixels,
            frames=params["image_proj_stage_config"]["params"]["video_length"],
            channels=unet["out_channels"],
            factor=pixels * 2 ** (len(unet["channel_mult"]) - 1),
            prediction="v" if v else "eps",
            zero_snr=params.get("rescale_betas_zero_snr", False),
            base_scale=params.get("base_scale", 0.7) if params.get("use_dynamic_rescale") else 1.0,
            spacing="uniform_trailing" if v else "uniform",
            fs=unet.get("default_fs", 4),
            scale=params["scale_factor"],
        )
        released = VARIANTS.get(variant or "")
        if released is None or not released.both_ends:
            return facts
        return replace(facts, both_ends=True, fs=released.fs)


INTERP, TOON = "512_interp", "tooncrafter"
VARIANTS: Mapping[str, Facts] = {
    facts.variant: facts
    for facts in (
        Facts(
            variant="256",
            height=256,
            width=256,
            prediction="eps",
            zero_snr=False,
            base_scale=1.0,
            spacing="uniform",
            fs=3,
        ),
        Facts(variant="512", height=320, width=512),
        Facts(variant="1024", height=576, width=1024, base_scale=0.3, fs=10),
        Facts(variant=INTERP, height=320, width=512, fs=5, both_ends=True),
        Facts(variant=TOON, height=320, width=512, fs=10, both_ends=True),
    )
}
"""The released models by name."""


def read_config(folder: Path) -> dict[str, Any]:
    """Read a folder's config: `facts` and the sizes of its networks by part. Raise WeightsError."""
    file = folder / CONFIG
    try:
        config = documents.json_file(file)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file} cannot be read: {error}", subject=str(file)) from None
    if config.get("format") != FORMAT:
        raise WeightsError(
            f"{file} is no configuration of a DynamiCrafter folder of ours",
            "vtg models import makes such a folder from a released checkpoint",
            subject=str(file),
        )
    return config


def facts_of(config: Mapping[str, Any]) -> Facts:
    """Return the facts in a config. Raise WeightsError for any this version does not know."""
    try:
        return built(Facts, config.get("facts"), "facts")
    except UsageError as error:
        raise WeightsError(
            f"the model's {CONFIG} says something this vtg does not know: {error.message}",
            "import the checkpoint again, or update vtg",
            subject=CONFIG,
        ) from None


def spec_of(folder: Path) -> Spec:
    """Read the facts of the model in a folder from its JSON files alone. Raise WeightsError."""
    facts = facts_of(read_config(folder))
    with documents.reading(folder / CONFIG, WeightsError, "import the checkpoint again"):
        return spec(folder.name, facts)


def spec(name: str, facts: Facts) -> Spec:
    """Return a model's facts as the rest of the package knows them."""
    return Spec(
        name=name,
        frames=facts.frames,
        fps=Fraction(8),
        channels=facts.channels,
        factor=facts.factor,
        area=facts.height * facts.width,
        text=True,
        posterior=True,
        both_ends=facts.both_ends,
        begins_empty=facts.zero_snr,
        ends_clean=False,
        motion_fps=facts.fs,
        defaults={
            name: _DEFAULTS if row.any_solver else row.defaults for name, row in METHODS.items()
        },
        unused=frozenset({"--motion-bucket", "--noise-aug", "--image-curve", "--schedule"}),
    )


def parts(folder: Path) -> Parts:
    """Measure the networks of a complete folder. Raise WeightsError for a damaged file."""
    core, resampler, codec, *towers = (count_in(folder / name) for name in PARTS)
    with config_of(folder / CONFIG) as config:
        width = documents.whole_number(
            config.get("unet", {}).get("model_channels", WIDTH), "model_channels"
        )
        codec_width = first_of(config.get("autoencoder", {}), "channels", CODEC_WIDTH)
    return Parts(core, codec, resampler + sum(towers), width, codec_width)


MODEL = Model(
    class_name="DynamiCrafter",
    facts=spec_of,
    parts=parts,
    rates=replace(U_NET, start_bytes=370 * MIB, trained=0.035),
    decoded=DECODE_CHUNK,
    factor=8,
    load="vtg_cli.backbones.dynamicrafter.weights:load",
    words="vtg_cli.backbones.dynamicrafter.vocabulary:check",
    convert="vtg_cli.backbones.dynamicrafter.convert:convert_released",
)
