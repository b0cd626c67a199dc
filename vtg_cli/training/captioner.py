"""Captions from a local model of transformers' image-to-text kind (BLIP, LLaVA and their like)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vtg_cli.errors import WeightsError

LONGEST = 60
"""Tokens of a caption at most."""


class Captioner:
    """A model that says what a picture shows."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Load the model and its processor. Raise WeightsError if the folder holds none."""
        import transformers

        auto: Any = transformers
        if not (folder / "config.json").is_file():
            raise WeightsError(
                f"{folder} holds no captioner",
                "a folder as transformers saves an image-to-text model and its processor",
                subject=str(folder),
            )
        try:
            options = {"local_files_only": True, "trust_remote_code": False}
            self._processor: Any = auto.AutoProcessor.from_pretrained(folder, **options)
            model: Any = auto.AutoModelForImageTextToText.from_pretrained(folder, **options)
        except Exception as error:  # the library raises whatever its parsers raise
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise WeightsError(
                f"{folder} cannot be loaded: {reason[0]}", subject=str(folder)
            ) from error
        self._model, self._device = model.to(device).eval(), device

    @torch.no_grad()
    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> str:
        """Return one caption for pictures uint8 [H, W, 3]: the first one's."""
        inputs = self._processor(images=[pictures[0]], return_tensors="pt").to(self._device)
        ids = self._model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        text: str = self._processor.batch_decode(ids, skip_special_tokens=True)[0]
        return text.strip()
