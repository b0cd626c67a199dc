"""Recordings of IFNet 4.25 and the weights they were made with. VTG_VECTORS_DIR names another
folder of them; the format stands in tests/data/vectors/README.md.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from vtg_cli.flow.rife.network import IFNet
from vtg_cli.weights import store
from vtg_cli.weights.catalog import CATALOG

OURS = Path(__file__).parents[2] / "data" / "vectors"
FOLDER = Path(os.environ.get("VTG_VECTORS_DIR", OURS)).expanduser()


def cases() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("rife_*.json"))


def record(case: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{case}.json").read_text())
    return content


def tensors(case: str) -> dict[str, Tensor]:
    return load_file(FOLDER / f"{case}.safetensors")


def names() -> list[tuple[str, list[int]]]:
    """Of the network's parameters and their shapes, in the order of the rule."""
    place = FOLDER if (FOLDER / "rife_params.json.gz").is_file() else OURS
    content = json.loads(gzip.decompress((place / "rife_params.json.gz").read_bytes()))
    return [(name, shape) for name, shape in content["used"]]


def rule(dtype: torch.dtype = torch.float32) -> IFNet:
    """The network with the weights of the recordings' rule."""
    parameters = {}
    for i, (name, shape) in enumerate(names()):
        n = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
        v = torch.sin(n * (0.7 + 0.013 * i)).reshape(shape)
        if name.endswith(".beta"):
            v = 0.5 + 0.1 * v
        else:
            v = v * (math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.05)
        parameters[name] = v.float()
    network = IFNet()
    network.load_state_dict(parameters)
    return network.to(dtype).eval().requires_grad_(False)


def pulled() -> Path | None:
    """Where the real weights lie, if `vtg models pull rife` has brought them."""
    entry = CATALOG.get("rife")
    return entry and store.imported(entry)
