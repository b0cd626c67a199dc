"""The size of a model in memory, from its record and the headers of its files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from vtg_cli.backbones.base import model_of
from vtg_cli.machine.cost import Sizes

ITEM = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes of a number."""


@cache
def in_memory(folder: Path, item: int, factor: int) -> Sizes:
    """Return how large a folder's model is in memory.

    item: bytes of a number
    factor: of the model's Spec

    Raises WeightsError for a damaged file or an unknown kind.
    """
    model = model_of(folder)
    parts = model.parts(folder)
    whole = (parts.core + parts.rest) * item + parts.codec * (model.codec_item or item)
    return Sizes(
        core=parts.core,
        codec=parts.codec,
        rest=parts.rest,
        bytes=whole,
        width=parts.width,
        codec_width=parts.codec_width,
        factor=model.factor or factor,
        decoded=model.decoded,
    )
