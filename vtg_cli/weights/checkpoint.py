"""The reader of a released checkpoint file: a pickle of tensors and nothing else, or safetensors.

A pickle can run any code, so only torch's own tensors are let through (pickled.py); a file that
asks for more is refused before anything of it runs. Tensors stay in the file until they are asked
for.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtg_cli.errors import WeightsError, missing
from vtg_cli.weights import pickled

if TYPE_CHECKING:
    from torch import Tensor

WRAPPED = 16
"""Characters that deepspeed's wrapper puts before every name of a `module`."""


@dataclass(frozen=True)
class Checkpoint:
    """An open checkpoint: its file, its tensors' shapes by name, and read(name) on the CPU."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor]


def open_checkpoint(path: Path, *, bare: bool = False) -> Checkpoint:
    """Open a .safetensors, or a pickle (.ckpt, ...) with tensors under `state_dict` or `module`.

    bare: or under nothing, as CLIP's are

    Raises WeightsError if the file is missing or damaged or asks to be more than tensors.
    """
    if not path.is_file():
        what = f"{path} is a folder, not a checkpoint" if path.is_dir() else missing(path)
        raise WeightsError(what, subject=str(path))
    return _safetensors(path) if path.suffix == ".safetensors" else _pickle(path, bare)


def _safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        opened: Any = safe_open(path, framework="pt")
        names: Sequence[str] = opened.keys()
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read: {error}", "fetch it again", subject=str(path)
        ) from error
    return Checkpoint(path, shapes, opened.get_tensor)


def _pickle(path: Path, bare: bool) -> Checkpoint:
    content = _content(path)
    if bare and isinstance(content, dict) and not {"state_dict", "module"} & content.keys():
        content = {"state_dict": content}
    tensors = _tensors(path, content)
    shapes = {name: stored.shape for name, stored in tensors.items()}
    tensor = pickled.mapped(path)
    return Checkpoint(path, shapes, lambda name: tensor(tensors[name]))


def _content(path: Path) -> Any:
    try:
        return pickled.read(path)
    except pickled.Refused as error:
        raise WeightsError(
            f"{path} is refused: {error}, none of it was executed",
            "take the file from the model's official place, or save its weights as safetensors",
            subject=str(path),
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes the readers raise whatever they raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if not _is_zip(path):
            reason = "it is no zip archive, as torch writes them"
        raise WeightsError(
            f"{path} cannot be read as a checkpoint: {reason}",
            "the file is damaged, unfinished or of another kind; fetch it again",
            subject=str(path),
        ) from error


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # of one in several parts, before Python 3.13
        return False


def _tensors(path: Path, content: Any) -> dict[str, pickled.Stored]:
    top = next(
        (k for k in ("state_dict", "module") if isinstance(content, dict) and k in content), None
    )
    tensors = content[top] if top else None
    if not isinstance(tensors, dict) or not tensors:
        raise WeightsError(
            f"{path} holds no weights: neither `state_dict` nor `module` is in it",
            "a checkpoint as DynamiCrafter's authors released it is wanted",
            subject=str(path),
        )
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, pickled.Stored):
            raise WeightsError(
                f"{path} is no checkpoint: {name!r} in its {top} is no tensor", subject=str(path)
            )
    if top == "state_dict":
        return tensors
    if len({name[:WRAPPED] for name in tensors}) > 1 or any(
        len(name) <= WRAPPED for name in tensors
    ):
        raise WeightsError(
            f"{path} is no checkpoint of deepspeed: the names of its module begin differently",
            subject=str(path),
        )
    return {name[WRAPPED:]: value for name, value in tensors.items()}
