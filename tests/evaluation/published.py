"""Recordings of scores by the code that published them. VTG_VECTORS_DIR names another folder of
them; the format stands in tests/data/vectors/README.md.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

OURS = Path(__file__).parents[1] / "data" / "vectors"
FOLDER = Path(os.environ.get("VTG_VECTORS_DIR", OURS)).expanduser()

CASES = sorted(file.stem for file in FOLDER.glob("metrics_*.json"))


def record(case: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{case}.json").read_text())
    return content


def tensors(case: str) -> dict[str, NDArray[Any]]:
    return dict(load_file(FOLDER / f"{case}.safetensors"))


def sets(case: str) -> list[tuple[str, dict[str, Any], NDArray[np.float32], NDArray[np.float32]]]:
    """Name, record, fake and real features of every pair of sets in a case."""
    content, arrays = record(case), tensors(case)
    names = [name for name in content if f"{name}.fake" in arrays]
    return [(name, content[name], arrays[f"{name}.fake"], arrays[f"{name}.real"]) for name in names]
