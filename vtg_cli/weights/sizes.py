"""The sizes of networks, read from the headers of their files: no weight is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents

LONGEST = 100_000_000
"""Most bytes of a header, as the format has it."""


@dataclass(frozen=True)
class Parts:
    """The sizes of a model's networks.

    core, codec, rest: numbers in what denoises, in the autoencoder, in all else
    width: channels of the core at the latents' full size
    codec_width: channels of the autoencoder at the picture's full size
    """

    core: int
    codec: int
    rest: int
    width: int
    codec_width: int


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


def count_in(file: Path) -> int:
    """Return how many numbers a safetensors file holds. Raise WeightsError for damage."""
    return sum(math.prod(shape) for shape in shapes_in(file).values())


def first_of(config: dict[str, Any], name: str, usual: int) -> int:
    """Return the first of a list of widths in a config, `usual` if there is none."""
    return documents.whole_number(config.get(name, [usual])[0], name)


@contextmanager
def config_of(file: Path) -> Iterator[dict[str, Any]]:
    """Yield what a file says. Raise WeightsError if it, or what the block reads, is malformed."""
    with documents.reading(file, WeightsError, "fetch the model again"):
        yield documents.json_file(file)
