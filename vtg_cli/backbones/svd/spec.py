"""Stable Video Diffusion in diffusers layout: facts and sizes, read without torch."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vtg_cli.backbones.base import Model, Spec, read_json
from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents
from vtg_cli.machine.cost import U_NET
from vtg_cli.weights import layout
from vtg_cli.weights.sizes import Parts, config_of, count_in, first_of

DECODE_CHUNK = 8
"""Frames decoded at a time by default."""
WIDTH, CODEC_WIDTH = 320, 128
"""Channels of the released models, where a folder does not tell."""


def unet_facts(folder: Path) -> Spec:
    """Read the facts of a folder in diffusers layout."""
    with documents.reading(folder, WeightsError, "fetch the model again", "has odd configurations"):
        return _unet_facts(folder)


def _unet_facts(folder: Path) -> Spec:
    unet, vae = read_json(folder, "unet/config.json"), read_json(folder, "vae/config.json")
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    side = unet["sample_size"]
    height, width = side if isinstance(side, list) else (side, side)
    return Spec(
        name=folder.name,
        frames=unet["num_frames"],
        fps=Fraction(7),
        channels=unet["out_channels"],
        factor=factor,
        area=height * width * factor**2,
        posterior=True,
        log_sigma=(0.7, 1.6),
        schedules=("karras", "ays", "lcm"),
        motion_fps=7,
        unused=frozenset({"--rotate"}),
    )


def parts(folder: Path) -> Parts:
    """Measure the networks of a complete folder. Raise WeightsError for a damaged file."""
    counts = {}
    for part, stem in layout.STEMS.items():
        names = {file.name for file in (folder / part).iterdir()}
        files = [folder / part / name for name in layout.weights_among(names, stem)]
        counts[part] = sum(map(count_in, files))
    widths = []
    for part, usual in (("unet", WIDTH), ("vae", CODEC_WIDTH)):
        with config_of(folder / part / "config.json") as config:
            widths.append(first_of(config, "block_out_channels", usual))
    return Parts(counts["unet"], counts["vae"], counts["image_encoder"], *widths)


MODEL = Model(
    class_name="StableVideoDiffusionPipeline",
    facts=unet_facts,
    parts=parts,
    rates=U_NET,
    decoded=DECODE_CHUNK,
    codec_item=4,
    load="vtg_cli.backbones.svd.model:load",
)
