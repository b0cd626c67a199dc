"""The search for CLIP's vocabulary, which checkpoints do not hold. Free of torch: plans ask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vtg_cli.errors import WeightsError
from vtg_cli.weights import store

CLIP_REPOSITORY = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
VOCABULARY = ("vocab.json", "merges.txt")
"""Files of CLIP's byte pairs."""


def place(folder: Path | None) -> Path:
    """Return the folder with the vocabulary: a model's tokenizer/, else the copy of CLIP's
    repository on this machine.

    Raises WeightsError if neither has it.
    """
    own = [folder / "tokenizer"] if folder else []
    for where in (*own, *store.snapshots(CLIP_REPOSITORY)):
        if all((where / name).is_file() for name in VOCABULARY):
            return where
    lacking = own[0] if own else "the model's tokenizer/"
    raise WeightsError(
        f"a prompt needs CLIP's vocabulary, {' and '.join(VOCABULARY)}, "
        "and it is not on this machine",
        f"put both files of https://huggingface.co/{CLIP_REPOSITORY} in {lacking}",
        subject=str(lacking),
    )


def check(folder: Path, captions: Sequence[str]) -> None:
    """Raise WeightsError if a model folder lacks what these captions need."""
    if any(caption.strip() for caption in captions):
        place(folder)
