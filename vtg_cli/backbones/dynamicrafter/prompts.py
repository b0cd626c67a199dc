"""Captions as the text tower's token numbers. The empty caption needs no vocabulary."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vtg_cli.backbones.dynamicrafter import towers
from vtg_cli.errors import WeightsError
from vtg_cli.weights import store

CLIP_REPOSITORY = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
VOCABULARY = ("vocab.json", "merges.txt")
"""CLIP's byte pairs, which checkpoints do not hold."""


class Prompts:
    """Captions -> [n, length] token numbers. folder: a model's; its tokenizer/ is looked at first,
    then the copy of CLIP's repository on this machine.
    """

    def __init__(self, folder: Path | None, vocabulary: int, length: int) -> None:
        self.folder, self.vocabulary, self.length = folder, vocabulary, length
        self._tokenizer: Any = None

    def empty(self) -> Tensor:
        """The tokens of an empty caption [1, length]: start and end are CLIP's last two."""
        return self._padded([[self.vocabulary - 2, self.vocabulary - 1]])

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """WeightsError where the vocabulary is not on this machine or is another model's."""
        if not any(caption.strip() for caption in captions):
            return self.empty().expand(len(captions), -1)
        if self._tokenizer is None:
            self._tokenizer = towers.tokenizer(self._place())
        # as open_clip cleans captions, but for mended mojibake; lower case is the tokenizer's work
        clean = [" ".join(html.unescape(html.unescape(c)).split()) for c in captions]
        rows = self._tokenizer(clean, truncation=True, max_length=self.length).input_ids
        if any(max(row) >= self.vocabulary for row in rows):
            raise WeightsError(
                "the tokenizer has more words than the text tower knows",
                f"it must be that of {CLIP_REPOSITORY}",
                subject=str(self._place()),
            )
        return self._padded(rows)

    def _padded(self, rows: Sequence[Sequence[int]]) -> Tensor:
        # with 0 as open_clip does; transformers' own would be the end token
        return torch.tensor([[*row, *[0] * (self.length - len(row))] for row in rows])

    def _place(self) -> Path:
        own = [self.folder / "tokenizer"] if self.folder else []
        for place in (*own, *store.snapshots(CLIP_REPOSITORY)):
            if all((place / name).is_file() for name in VOCABULARY):
                return place
        where = own[0] if own else "the model's tokenizer/"
        raise WeightsError(
            f"a prompt needs CLIP's vocabulary, {' and '.join(VOCABULARY)}, "
            "and it is not on this machine",
            f"put both files of https://huggingface.co/{CLIP_REPOSITORY} in {where}",
            subject=str(where),
        )
