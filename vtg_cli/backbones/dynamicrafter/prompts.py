"""Captions as the text tower's token numbers. The empty caption needs no vocabulary."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vtg_cli.backbones.dynamicrafter import towers, vocabulary
from vtg_cli.errors import WeightsError


class Prompts:
    """A map from captions to [n, length] token numbers below `words`. folder: a model's."""

    def __init__(self, folder: Path | None, words: int, length: int) -> None:
        self.folder, self.words, self.length = folder, words, length
        self._tokenizer: Any = None

    def empty(self) -> Tensor:
        """Return the tokens of an empty caption [1, length]: start and end are CLIP's last two."""
        return self._padded([[self.words - 2, self.words - 1]])

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """Return the token numbers of captions. Raise WeightsError if the vocabulary is not on this
        machine or is another model's.
        """
        if not any(caption.strip() for caption in captions):
            return self.empty().expand(len(captions), -1)
        if self._tokenizer is None:
            self._tokenizer = towers.tokenizer(vocabulary.place(self.folder))
        # as open_clip cleans captions, but for mended mojibake; lower case is the tokenizer's work
        clean = [" ".join(html.unescape(html.unescape(c)).split()) for c in captions]
        rows = self._tokenizer(clean, truncation=True, max_length=self.length).input_ids
        if any(max(row) >= self.words for row in rows):
            raise WeightsError(
                "the tokenizer has more words than the text tower knows",
                f"it must be that of {vocabulary.CLIP_REPOSITORY}",
                subject=str(vocabulary.place(self.folder)),
            )
        return self._padded(rows)

    def _padded(self, rows: Sequence[Sequence[int]]) -> Tensor:
        # with 0 as open_clip does; transformers' own would be the end token
        return torch.tensor([[*row, *[0] * (self.length - len(row))] for row in rows])
