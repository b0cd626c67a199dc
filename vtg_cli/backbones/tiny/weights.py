"""The embedded model's file: half-precision parameters, and in its metadata the network's shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vtg_cli.backbones.tiny.model import Tiny
from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.device import choose_device
from vtg_cli.errors import WeightsError

FORMAT = "vtg-tiny"


def save(parameters: Mapping[str, Tensor], shape: Shape, file: Path) -> None:
    """parameters: of a Network of this shape, as training averaged them."""
    half = {
        name: p.detach().to("cpu", torch.float16).contiguous() for name, p in parameters.items()
    }
    save_file(half, file, {"format": FORMAT, "shape": json.dumps(asdict(shape))})


def load(file: Path, *, device: str = "auto", frames: int = 16, factor: int = 4) -> Tiny:
    """The model in a file that `save` wrote, in float32. WeightsError where it is none."""
    try:
        with safe_open(file, "pt") as opened:
            about = opened.metadata() or {}
            parameters = {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file} cannot be read: {error}", subject=str(file)) from None
    if about.get("format") != FORMAT:
        raise WeightsError(f"{file} holds no embedded model", subject=str(file))
    network = Network(Shape(**json.loads(about["shape"])))
    try:
        network.load_state_dict(parameters)
    except RuntimeError as error:
        raise WeightsError(f"{file}: {error}", subject=str(file)) from None
    where = choose_device(device)
    return Tiny(network.to(where).eval().requires_grad_(False), frames=frames, factor=factor)
