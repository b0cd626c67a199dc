"""Weights by a rule under the names of the published files, and what the published classes made of
them (tests/data/evaluation/README.md).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FOLDER = Path(__file__).parents[1] / "data" / "evaluation"


def shapes(network: str) -> dict[str, list[int]]:
    """Name -> shape of every tensor of a published file."""
    content = json.loads(gzip.decompress((FOLDER / "published_names.json.gz").read_bytes()))
    found: dict[str, list[int]] = content[network]
    return found


def recorded(network: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / "recordings.json").read_text())[network]
    return content


def rule(wanted: dict[str, list[int]], beginning: str = "") -> dict[str, Tensor]:
    """Tensor i is v = sin((n + 1) (0.7 + 0.013 i)) over its flattened index n, in float64:
    variances and gains 1 + v / 4, of more than one axis v sqrt(4 / fan), else v / 10. beginning:
    of the names that are made.
    """
    tensors = {}
    for i, (name, shape) in enumerate(wanted.items()):
        if not name.startswith(beginning):
            continue
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(7)
            continue
        n = np.arange(1, int(np.prod(shape)) + 1, dtype=np.float64)
        v = np.sin(n * (0.7 + 0.013 * i)).reshape(shape)
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            v = 1 + v / 4
        else:
            v = v * np.sqrt(4 / np.prod(shape[1:])) if len(shape) > 1 else v / 10
        tensors[name] = torch.from_numpy(v.astype(np.float32))
    return tensors


def pictures(*shape: int) -> NDArray[np.uint8]:
    """Pictures or clips of which every code value is told by its index."""
    n = np.arange(int(np.prod(shape)), dtype=np.float64)
    return (
        np.round(127.5 + 127.5 * np.sin(n * 0.0137 + n * n * 1e-7)).astype(np.uint8).reshape(shape)
    )
