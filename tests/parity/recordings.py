"""Where the recordings lie and how to read them; the format is described in
tests/data/parity/README.md.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

OURS = Path(__file__).parents[1] / "data" / "parity"
FOLDER = Path(os.environ.get("VTG_PARITY_DIR", OURS)).expanduser()


def sampling_cases(kind: str) -> list[Path]:
    """The folder's sampling cases, of Generative Inbetweening ("gi") or DynamiCrafter ("dc");
    recordings of anything else (training, units, other methods) are passed over.
    """
    return [file for file in sorted(FOLDER.glob(f"{kind}_*.json")) if _samples(read(file))]


def training_cases() -> list[Path]:
    """The folder's recorded steps of Generative Inbetweening's training."""
    return [file for file in sorted(FOLDER.glob("gi_*.json")) if "grad_norms" in read(file)]


def _samples(record: Any) -> bool:
    params = record.get("params")
    return "ddim_steps" in record or (isinstance(params, dict) and "num_inference_steps" in params)


def read(file: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(file.read_text())
    return record


def tensors(name: str) -> dict[str, Any]:
    return load_file(FOLDER / f"{name}.safetensors")


def model_folder(name: str) -> Path:
    """A model that a recording names: beside it, or one of ours."""
    return FOLDER / name if (FOLDER / name).is_dir() else OURS / name
