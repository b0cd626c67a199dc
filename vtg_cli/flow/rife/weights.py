"""A folder of RIFE: model_index.json, the network in safetensors, the notices of whoever made it,
and SHA256SUMS of all; made of the released file, flownet.pkl.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vtg_cli.errors import WeightsError
from vtg_cli.flow.rife.engine import Rife
from vtg_cli.flow.rife.network import IFNet
from vtg_cli.ground.tensor import is_finite
from vtg_cli.machine.device import choose_device, choose_dtype
from vtg_cli.weights import notices, trust
from vtg_cli.weights.checkpoint import Checkpoint, open_checkpoint
from vtg_cli.weights.folder import check_place, whole
from vtg_cli.weights.layout import INDEX, NETWORK, NOTICES, RIFE, SUMS

PREFIX = "module."
"""Before the names of a network trained on several GPUs."""
LEFT = ("teacher.", "caltime.")
"""Prefixes of what training needed and drawing does not."""


def load(folder: Path, *, device: str = "auto", dtype: str = "auto") -> Rife:
    """Load the engine in a folder that `convert` made. Raise WeightsError if it is none."""
    file = folder / NETWORK
    try:
        parameters = load_file(file)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file} cannot be read: {error}", subject=str(file)) from None
    network = _filled(parameters, file)
    place = choose_device(device)
    return Rife(network.to(place, choose_dtype(dtype, place)))


def convert(checkpoint: Path, out: Path, *, overwrite: bool = False) -> Path:
    """Make the folder `out` of a released flownet.pkl, whole or not at all, and return it.

    UsageError for an existing `out`; WeightsError for a file that holds no such network.
    """
    check_place(out, overwrite)
    network = _filled(_released(open_checkpoint(checkpoint, bare=True)), checkpoint)
    with whole(out) as folder:
        save_file(network.state_dict(), folder / NETWORK)
        index = json.dumps({"_class_name": RIFE}, indent=2) + "\n"
        (folder / INDEX).write_text(index, encoding="utf-8")
        (folder / NOTICES).write_text(notices.RIFE, encoding="utf-8")
        names = sorted((INDEX, NETWORK, NOTICES))
        lines = [f"{trust.sha256(folder / name)}  {name}\n" for name in names]
        (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return out


def is_released(checkpoint: Path) -> bool:
    """Return whether a file is named as the released one is."""
    return checkpoint.suffix == ".pkl"


def _released(checkpoint: Checkpoint) -> dict[str, Tensor]:
    names = {name.removeprefix(PREFIX): name for name in checkpoint.shapes}
    return {
        name: checkpoint.read(kept).float()
        for name, kept in names.items()
        if not name.startswith(LEFT)
    }


def _filled(parameters: dict[str, Tensor], file: Path) -> IFNet:
    """Return the network with these parameters. Raise WeightsError naming the first that does not
    fit.
    """
    network = IFNet()
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    for name in sorted(wanted.keys() | parameters.keys()):
        if name not in parameters:
            problem = f"{name} is not in it"
        elif name not in wanted:
            problem = f"{name} is no part of it"
        elif parameters[name].shape != wanted[name]:
            problem = f"{name} has the shape {[*parameters[name].shape]}, not {[*wanted[name]]}"
        elif not is_finite(parameters[name]):
            problem = f"{name} holds values that are not numbers"
        else:
            continue
        raise WeightsError(
            f"{file} holds no IFNet 4.25: {problem}",
            "take flownet.pkl of RIFE 4.25, or vtg models pull rife",
            subject=str(file),
        )
    network.load_state_dict(parameters)
    return network.to(torch.float32)
