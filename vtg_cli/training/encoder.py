"""DINOv2 as transformers has it: patch features of frames, the target of alignment.

Its weights come from a local folder (facebook/dinov2-base: 346 MB, patches of 14 pixels, 768
numbers each); nothing is fetched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vtg_cli.errors import WeightsError

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours it was trained on, those of ImageNet."""


class Encoder:
    """A frozen DINOv2. width: numbers of a feature."""

    def __init__(self, model: nn.Module, patch: int, width: int) -> None:
        self._model, self._patch, self.width = model, patch, width

    @torch.no_grad()
    def features(self, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return features [F, h w, D] of frames [F, 3, H, W] in [-1, 1], one for each place of a
        grid (h, w): frames are resized to as many patches.
        """
        weight = next(self._model.parameters())
        size = [side * self._patch for side in grid]
        seen = interpolate(pixels.to(weight), size, mode="bicubic", antialias=True)
        mean, deviation = (seen.new_tensor(v)[:, None, None] for v in (MEAN, DEVIATION))
        seen = ((seen / 2 + 0.5).clamp(0, 1) - mean) / deviation
        model: Any = self._model
        out: Tensor = model(pixel_values=seen).last_hidden_state[
            :, 1:
        ]  # the first is the picture's
        return out.float()


def load(folder: Path, device: torch.device) -> Encoder:
    """Load the model in a folder. Raise WeightsError if it is missing or of another kind."""
    from transformers import Dinov2Model

    from vtg_cli.ground import documents

    with documents.reading(folder / "config.json", WeightsError, "--encoder names a DINOv2 folder"):
        config = documents.json_file(folder / "config.json")
        kind, patch = str(config.get("model_type")), config.get("patch_size", 14)
        documents.whole_number(patch, "patch_size")
    if kind != "dinov2":
        raise WeightsError(
            f"{folder} holds a model of type {kind}, not dinov2",
            "--encoder takes DINOv2, such as facebook/dinov2-base",
            subject=str(folder),
        )
    if not any(folder.glob("*.safetensors")):
        raise WeightsError(
            f"{folder} has no safetensors file", "old .bin files are not read", subject=str(folder)
        )
    try:
        model: Any = Dinov2Model.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises whatever its parsers raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{folder} cannot be loaded: {reason}", subject=str(folder)) from error
    model = model.to(device).eval().requires_grad_(False)
    return Encoder(model, patch, model.config.hidden_size)
