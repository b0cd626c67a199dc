"""How large a model is, read from the headers of its files: no weight is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents
from vtg_cli.machine.cost import Sizes
from vtg_cli.weights import layout

LONGEST = 100_000_000
"""Bytes of a header at most, as the format has it."""
WIDTH, CODEC_WIDTH = 320, 128
"""Of the released models, where a folder does not tell."""


@dataclass(frozen=True)
class Parts:
    """A model's networks.

    kind: how its folder is laid out; core, codec, rest: numbers in what denoises, in the
    autoencoder, in all else; width: channels of the core at the latents' full size; codec_width:
    of the autoencoder at the picture's
    """

    kind: Literal["tiny", "svd", "dynamicrafter"]
    core: int
    codec: int
    rest: int
    width: int
    codec_width: int


def parts_of(folder: Path) -> Parts:
    """Of a complete model folder. WeightsError where a file is damaged or cut short."""
    if (folder / layout.NETWORK).is_file():
        shapes = shapes_in(folder / layout.NETWORK)
        widths = shapes.get("patch_in.weight", [128])
        return Parts("tiny", _count(shapes), 0, 0, widths[0], 0)
    if (folder / layout.PARTS[0]).is_file():
        core, resampler, codec, *towers = (
            _count(shapes_in(folder / name)) for name in layout.PARTS
        )
        config = _config(folder / layout.CONFIG)
        width = config.get("unet", {}).get("model_channels", WIDTH)
        codec_width = config.get("autoencoder", {}).get("channels", [CODEC_WIDTH])[0]
        return Parts("dynamicrafter", core, codec, resampler + sum(towers), width, codec_width)
    found = {}
    for part, stem in layout.STEMS.items():
        names = {file.name for file in (folder / part).iterdir()}
        files = [folder / part / name for name in layout.weights_among(names, stem)]
        found[part] = sum(_count(shapes_in(file)) for file in files)
    widths = [
        _config(folder / part / "config.json").get("block_out_channels", [usual])[0]
        for part, usual in (("unet", WIDTH), ("vae", CODEC_WIDTH))
    ]
    return Parts("svd", found["unet"], found["vae"], found["image_encoder"], *widths)


ITEM = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes of a number."""
DECODED = {"svd": 8, "dynamicrafter": 4}
"""Frames decoded at a time where nothing is said: DECODE_CHUNK of either backbone."""


@cache
def in_memory(folder: Path, item: int, factor: int) -> tuple[str, Sizes]:
    """How a model's folder is laid out, a name in cost.RATES, and how large it is in memory.

    item: bytes of a number; factor: of the model's Spec. WeightsError as `parts_of`.
    """
    parts = parts_of(folder)
    whole = (parts.core + parts.codec + parts.rest) * item
    if parts.kind == "svd":
        whole += parts.codec * (4 - item)  # its autoencoder insists on single precision
    return parts.kind, Sizes(
        core=parts.core,
        codec=parts.codec,
        rest=parts.rest,
        bytes=whole,
        width=parts.width,
        codec_width=parts.codec_width,
        factor={"svd": factor, "tiny": 4}.get(parts.kind, 8),
        decoded=DECODED.get(parts.kind, 1),
    )


def shapes_in(file: Path) -> dict[str, list[int]]:
    """Of the tensors in a safetensors file, by name. WeightsError where it is damaged or shorter
    than it says.
    """
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header: dict[str, Any] = documents.json_object(
                opened.read(min(length, LONGEST)), unique=True
            )
        tensors = {name: each for name, each in header.items() if name != "__metadata__"}
        size = 8 + length + max((each["data_offsets"][1] for each in tensors.values()), default=0)
        shapes = {name: each["shape"] for name, each in tensors.items()}
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        raise WeightsError(
            f"{file} is damaged: it does not begin like a safetensors file",
            "fetch the model again",
            subject=str(file),
        ) from None
    if file.stat().st_size != size:
        raise WeightsError(
            f"{file} is damaged: it has {file.stat().st_size} bytes and says {size}",
            "fetch the model again",
            subject=str(file),
        )
    return shapes


def _count(shapes: dict[str, list[int]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def _config(file: Path) -> dict[str, Any]:
    with documents.reading(file, WeightsError, "fetch the model again"):
        return documents.json_file(file)
