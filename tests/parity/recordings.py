"""Where the recordings lie and how to read them; the format is described in
tests/data/parity/README.md.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

FOLDER = Path(
    os.environ.get("VTG_PARITY_DIR", Path(__file__).parents[1] / "data" / "parity")
).expanduser()


def sampling_cases() -> list[Any]:
    """Every Generative Inbetweening sampling case in the folder; a folder without any is an
    error.
    """
    cases = []
    for file in sorted(FOLDER.glob("gi_*.json")):
        record = json.loads(file.read_text())
        if "num_inference_steps" in record.get("params", {}):
            cases.append(pytest.param(record, id=file.stem))
    if not cases:
        raise FileNotFoundError(f"no gi_*.json sampling case in {FOLDER}")
    return cases


def tensors(name: str) -> dict[str, Any]:
    return load_file(FOLDER / f"{name}.safetensors")
