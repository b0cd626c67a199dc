"""The recordings' tiny DynamiCrafter in the form in which its authors release theirs."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"
CONFIG = PARITY / "dc_tiny" / "config.json"
EXTRA = "EXTRA.cond_stage_token_"
TEXT, IMAGE = "cond_stage_model.model.", "embedder.model."
VOCABULARY = 49408


def released_tensors() -> dict[str, Tensor]:
    """All tensors of a released file, in half precision as recorded."""
    found = load_file(PARITY / "dc_tiny" / "model.safetensors")
    ids, rows = found.pop(f"{EXTRA}ids"), found.pop(f"{EXTRA}rows")
    table = torch.zeros(VOCABULARY, rows.shape[1], dtype=rows.dtype)
    table[ids] = rows
    return found | {f"{TEXT}token_embedding.weight": table}


def open_clip(released: dict[str, Tensor]) -> dict[str, Tensor]:
    """Both towers under open_clip's names, with what nothing looks at."""
    visual = f"{IMAGE}visual."
    towers = {n.removeprefix(TEXT): t for n, t in released.items() if n.startswith(TEXT)}
    towers |= {n.removeprefix(IMAGE): t for n, t in released.items() if n.startswith(visual)}
    return towers | {"attn_mask": torch.zeros(2, 2)}
