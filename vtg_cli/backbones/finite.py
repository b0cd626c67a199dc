"""The check that weights are numbers, whatever kind of model they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from torch import nn

from vtg_cli.errors import WeightsError
from vtg_cli.ground.tensor import is_finite
from vtg_cli.weights import sizes


def check_weights(folder: Path, parts: Mapping[str, nn.Module]) -> None:
    """Raise WeightsError, naming file and tensor, if a parameter or a stored buffer of the model in
    `folder` holds NaN or an infinity.

    parts: its networks by the names of their files
    """
    for part, module in parts.items():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and not is_finite(tensor):
                raise _refusal(folder, part, name, str(tensor.dtype).removeprefix("torch."))


def _refusal(folder: Path, part: str, name: str, precision: str) -> WeightsError:
    """Say whether a file holds such values, or the precision it was loaded in made them."""
    files = [folder / f"{part}.safetensors", *sorted((folder / part).glob("*.safetensors"))]
    holders = [file for file in files if file.is_file() and name in sizes.shapes_in(file)]
    damaged = [file for file in holders if not _is_sound(file, name)]
    if holders and not damaged:
        return WeightsError(
            f"{name} of {holders[0]} has values too large for {precision}",
            "--dtype fp32",
            subject=name,
        )
    place = damaged[0] if damaged else folder / part  # whose library gave the tensor its name
    return WeightsError(
        f"{place} is damaged: {name} holds values that are not numbers",
        "fetch the model again",
        subject=name,
    )


def _is_sound(file: Path, name: str) -> bool:
    with safe_open(file, framework="pt") as opened:
        return is_finite(opened.get_tensor(name))
