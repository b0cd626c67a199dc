"""The reverse-motion delta: what Generative Inbetweening's tuning changed in a U-Net, nothing else.

    delta[name] = tuned[name] - base[name]     for the values and outputs of temporal self-attention

It belongs to the tuning: that of the 14-frame model is added to the 25-frame one as well. A file
holds the changed tensors under the U-Net's parameter names; one without a tensor is unchanged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtg_cli.errors import UsageError, WeightsError, missing
from vtg_cli.ground import documents, temporary
from vtg_cli.weights import layout, sizes, store

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "vtg-reverse-delta"
VERSION = 1
TUNED = (
    "temporal_transformer_blocks.0.attn1.to_v",
    "temporal_transformer_blocks.0.attn1.to_out.0",
    "temporal.to_v",  # of the embedded model
    "temporal.to_out.0",
)
TUNED_TOO = re.compile(
    r"(init_attn\.0|(input|output)_blocks\.\d+\.2|middle_block\.2)"
    r"\.transformer_blocks\.\d+\.attn[12]\.to_(v|out\.0)\."
)
"""Tuned parameters of DynamiCrafter, whose temporal transformers differ from spatial ones in their
place alone."""
DTYPES = ("fp16", "fp32")


@dataclass(frozen=True)
class Written:
    """A delta file that was written.

    size: bytes
    tensors, numbers: how many it holds
    unchanged: how many parameters the tuning left as they were
    """

    path: Path
    size: int
    tensors: int
    numbers: int
    unchanged: int


def is_tuned(name: str) -> bool:
    """Return whether the tuning touches the parameter of this name (weight or bias)."""
    return any(part in name for part in TUNED) or TUNED_TOO.match(name) is not None


def from_pair(tuned: Path, base: Path) -> dict[str, Tensor]:
    """Return parameter name -> tuned minus base, float32, of two folders with a U-Net or unet/.

    Only the tuned tensors are read. One that equals the base at the coarser of the two precisions
    is left out: where float32 meets half precision, the difference would be mere rounding. Raises
    WeightsError if the two do not match or are the same.
    """
    return _difference(tuned, base)[0]


def _difference(tuned: Path, base: Path) -> tuple[dict[str, Tensor], int]:
    import torch

    from vtg_cli.ground.tensor import is_finite

    after, before = _read(tuned), _read(base)
    for name in sorted(set(after) ^ set(before)):
        owner, other = (tuned, base) if name in after else (base, tuned)
        raise WeightsError(
            f"{owner} has {name}, {other} lacks it", "are both the same network?", subject=name
        )
    changed: dict[str, Tensor] = {}
    for name, new in after.items():
        old = before[name]
        if new.shape != old.shape:
            raise WeightsError(
                f"{name} is {list(new.shape)} in {tuned}, {list(old.shape)} in {base}",
                "are both the same network?",
                subject=name,
            )
        coarse = min(new.dtype, old.dtype, key=lambda dtype: dtype.itemsize)
        if torch.equal(new.to(coarse), old.to(coarse)):
            continue
        changed[name] = new.float() - old.float()
        if not is_finite(changed[name]):
            file = _file_of(base if is_finite(new) else tuned, name)
            raise WeightsError(_damaged(file, name), "fetch it again", subject=name)
    if not changed:
        raise WeightsError(
            f"{tuned} and {base} have the same temporal attention: there is nothing to keep",
            "--tuned is the reverse-motion U-Net, --base what it was tuned from",
            subject=str(tuned),
        )
    return changed, len(after) - len(changed)


def _file_of(folder: Path, name: str) -> Path:
    files = layout.unet_weights(folder)
    return next((file for file in files if name in sizes.shapes_in(file)), files[0])


def _damaged(file: Path, name: str) -> str:
    return f"{file} is damaged: {name} holds values that are not numbers"


def _read(folder: Path) -> dict[str, Tensor]:
    """Read the tensors a tuning touches from a U-Net's files; the others are not read."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    for file in layout.unet_weights(folder):
        try:
            with safe_open(file, framework="pt") as opened:
                names: Sequence[str] = opened.keys()
                tensors.update({name: opened.get_tensor(name) for name in names if is_tuned(name)})
        except (SafetensorError, OSError) as error:
            raise WeightsError(
                f"{file} cannot be read: {error}", "fetch it again", subject=str(file)
            ) from error
    if not tensors:
        raise WeightsError(
            f"the network in {folder} has no temporal self-attention",
            "a reverse-motion delta is made of two Stable Video Diffusion U-Nets",
            subject=str(folder),
        )
    return tensors


def write(
    tuned: Path, base: Path, out: Path, *, dtype: str = "fp16", overwrite: bool = False
) -> Written:
    """Write the delta file of a pair of U-Net folders, atomically. dtype: one of DTYPES.

    Raises UsageError for an existing or unsuitable `out`, WeightsError for networks that do not
    match, or if it cannot be written.
    """
    import torch
    from safetensors.torch import save

    if dtype not in DTYPES:
        raise UsageError(
            f"--dtype {dtype} is not possible", f"one of: {', '.join(DTYPES)}", subject=dtype
        )
    if out.suffix != ".safetensors" or out.is_dir():
        raise UsageError(
            f"{out} is no name for a delta file", "end it in .safetensors", subject=str(out)
        )
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", "--overwrite replaces it", subject=str(out))
    changed, unchanged = _difference(tuned, base)
    if dtype == "fp16":
        for name, delta in changed.items():
            changed[name] = delta.half()
            if torch.isinf(changed[name]).any():
                raise WeightsError(
                    f"{name} changes by {delta.abs().max():.3g}, too much for half precision",
                    "--dtype fp32",
                    subject=name,
                )
    made_from = {
        role: store.identity(layout.unet_weights(folder)[0].parent)
        for role, folder in (("tuned", tuned), ("base", base))
    }
    about = json.dumps({"version": VERSION, **made_from}, sort_keys=True)
    # one entry: several come in no fixed order
    _replace(out, save(changed, {FORMAT: about}), overwrite=overwrite)
    numbers = sum(delta.numel() for delta in changed.values())
    return Written(out, out.stat().st_size, len(changed), numbers, unchanged)


def save(deltas: Mapping[str, Tensor], out: Path, made_from: Mapping[str, Any]) -> None:
    """Write the file of a trained delta, in half precision. made_from: recorded as its origin."""
    from safetensors.torch import save as packed

    half = {name: delta.detach().half().cpu().contiguous() for name, delta in deltas.items()}
    about = json.dumps({"version": VERSION, **made_from}, sort_keys=True)
    _replace(out, packed(half, {FORMAT: about}), overwrite=True)


def network_hash(folder: Path) -> str:
    """Return a hash over the weights of a model folder's denoising network."""
    files = layout.network_files(folder)
    hashes = [store.hash_of(file) for file in files]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def about(path: Path) -> dict[str, Any]:
    """Return what a delta file says of itself, {} for one that says nothing or cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as opened:
            told = documents.json_value((opened.metadata() or {}).get(FORMAT, "{}"))
    except (SafetensorError, OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _replace(out: Path, content: bytes, *, overwrite: bool) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary.write(out, content, overwrite=overwrite)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"{out} cannot be written: {reason}", subject=str(out)) from error


def load(path: Path) -> dict[str, Tensor]:
    """Load parameter name -> delta, float32, from a file of `write`. Raise WeightsError."""
    from safetensors import SafetensorError, safe_open

    from vtg_cli.ground.tensor import is_finite

    try:
        with safe_open(path, framework="pt") as opened:
            names = list(opened.keys())
            _check_header(path, opened.metadata() or {}, names)
            tensors = {name: opened.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise WeightsError(missing(path), subject=str(path)) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} cannot be read as a delta file: {error}",
            "the file is damaged or of another kind; make it again with vtg models delta",
            subject=str(path),
        ) from error
    if not tensors:
        raise WeightsError(f"{path} is damaged: it is empty", subject=str(path))
    for name, tensor in tensors.items():
        expected = is_tuned(name) and name.endswith((".weight", ".bias"))
        if not (expected and tensor.is_floating_point()):
            raise WeightsError(
                f"{path} is damaged: {name} does not belong in a reverse-motion delta", subject=name
            )
        if not is_finite(tensor):
            raise WeightsError(_damaged(path, name), "make it again", subject=name)
    return {name: tensor.float() for name, tensor in tensors.items()}


def _check_header(path: Path, header: Mapping[str, str], names: Sequence[str]) -> None:
    if FORMAT not in header and any(is_tuned(name) for name in names):
        raise WeightsError(
            f"{path} is a whole U-Net, not a delta",
            f"give its folder {path.parent}, or make a delta of it with vtg models delta",
            subject=str(path),
        )
    if FORMAT not in header:
        raise WeightsError(
            f"{path} is no reverse-motion delta", "vtg models delta makes one", subject=str(path)
        )
    about = documents.json_value(header[FORMAT])
    version = about.get("version") if isinstance(about, dict) else None
    if version != VERSION:
        raise WeightsError(
            f"{path} is a delta of version {version}, this vtg reads {VERSION}",
            "make it again with vtg models delta, or update vtg",
            subject=str(path),
        )
