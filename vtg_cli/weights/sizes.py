"""How large a model is, read from the headers of its files: no weight is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents
from vtg_cli.machine.cost import Sizes
from vtg_cli.weights import layout

LONGEST = 100_000_000
"""Most bytes of a header, as the format has it."""
WIDTH, CODEC_WIDTH = 320, 128
"""Widths of the released models, where a folder does not tell."""


@dataclass(frozen=True)
class Parts:
    """The sizes of a model's networks.

    kind: how its folder is laid out
    core, codec, rest: numbers in what denoises, in the autoencoder, in all else
    width: channels of the core at the latents' full size
    codec_width: channels of the autoencoder at the picture's full size
    """

    kind: Literal["tiny", "svd", "dynamicrafter"]
    core: int
    codec: int
    rest: int
    width: int
    codec_width: int


def parts_of(folder: Path) -> Parts:
    """Measure the networks of a complete model folder. Raise WeightsError for a damaged file."""
    if (folder / layout.NETWORK).is_file():
        shapes = shapes_in(folder / layout.NETWORK)
        widths = shapes.get("patch_in.weight") or [128]
        return Parts("tiny", _count(shapes), 0, 0, widths[0], 0)
    if (folder / layout.PARTS[0]).is_file():
        core, resampler, codec, *towers = (
            _count(shapes_in(folder / name)) for name in layout.PARTS
        )
        with _config(folder / layout.CONFIG) as config:
            width = config.get("unet", {}).get("model_channels", WIDTH)
            width = documents.whole_number(width, "model_channels")
            codec_width = _first(config.get("autoencoder", {}), "channels", CODEC_WIDTH)
        return Parts("dynamicrafter", core, codec, resampler + sum(towers), width, codec_width)
    counts = {}
    for part, stem in layout.STEMS.items():
        names = {file.name for file in (folder / part).iterdir()}
        files = [folder / part / name for name in layout.weights_among(names, stem)]
        counts[part] = sum(_count(shapes_in(file)) for file in files)
    widths = []
    for part, usual in (("unet", WIDTH), ("vae", CODEC_WIDTH)):
        with _config(folder / part / "config.json") as config:
            widths.append(_first(config, "block_out_channels", usual))
    return Parts("svd", counts["unet"], counts["vae"], counts["image_encoder"], *widths)


ITEM = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes of a number."""
DECODED = {"svd": 8, "dynamicrafter": 4}
"""Frames decoded at a time by default: DECODE_CHUNK of either backbone."""


@cache
def in_memory(folder: Path, item: int, factor: int) -> tuple[str, Sizes]:
    """Return how a model's folder is laid out, a name in cost.RATES, and how large it is in memory.

    item: bytes of a number
    factor: of the model's Spec

    Raises WeightsError as `parts_of` does.
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
    """Return a safetensors file's shapes by name. Raise WeightsError for damage."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header: dict[str, Any] = documents.json_object(
                opened.read(min(length, LONGEST)), unique=True
            )
        tensors = {name: _tensor(h) for name, h in header.items() if name != "__metadata__"}
        size = 8 + length + max((end for _, end in tensors.values()), default=0)
        shapes = {name: shape for name, (shape, _) in tensors.items()}
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


def _tensor(header: dict[str, Any]) -> tuple[list[int], int]:
    """Return the shape, and where the bytes end. Raise ValueError for impossible numbers."""
    shape, (begin, end) = header["shape"], header["data_offsets"]
    numbers = [*shape, begin, end]
    if not isinstance(shape, list) or any(type(each) is not int or each < 0 for each in numbers):
        raise ValueError("a size below 0, or none")
    if not math.prod(shape) <= 2 * (end - begin):  # the smallest numbers take half a byte
        raise ValueError("more numbers than bytes hold")
    return shape, end


def _count(shapes: dict[str, list[int]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def _first(config: dict[str, Any], name: str, usual: int) -> int:
    return documents.whole_number(config.get(name, [usual])[0], name)


@contextmanager
def _config(file: Path) -> Iterator[dict[str, Any]]:
    """Yield what a file says. Raise WeightsError if it, or what the block reads, is malformed."""
    with documents.reading(file, WeightsError, "fetch the model again"):
        yield documents.json_file(file)
