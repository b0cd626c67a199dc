"""Loader and writer of folders of the embedded model's kind: model_index.json, the network's
averaged parameters in half precision with its shape in the metadata, and its reverse-motion delta.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch import Tensor

from vtg_cli.backbones.tiny.model import Tiny
from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.errors import WeightsError
from vtg_cli.flow.rife import weights as rife
from vtg_cli.ground import temporary
from vtg_cli.machine.device import choose_device
from vtg_cli.weights.layout import INDEX, NETWORK

FORMAT = "vtg-tiny"
KIND = "TinyVideoModel"


def save(parameters: Mapping[str, Tensor], shape: Shape, folder: Path) -> None:
    """Write the folder. parameters: of a Network of this shape, as training averaged them."""
    half = {
        name: p.detach().to("cpu", torch.float16).contiguous() for name, p in parameters.items()
    }
    about = {"format": FORMAT, "shape": json.dumps(asdict(shape), sort_keys=True)}
    folder.mkdir(parents=True, exist_ok=True)
    temporary.write(folder / NETWORK, packed(half, about))
    temporary.write(folder / INDEX, (json.dumps({"_class_name": KIND}, indent=2) + "\n").encode())


def load(
    folder: Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    reverse: Mapping[str, Tensor] | None = None,
    decode_chunk: int | None = None,
    motion: Path | None = None,
) -> Tiny:
    """Load the model in a folder that `save` made, in float32 whatever the `dtype`; its frames are
    decoded one by one whatever the `decode_chunk`.

    motion: a folder of RIFE, whose motion guides it beside its own

    Raises WeightsError if it is none.
    """
    file = folder / NETWORK
    try:
        with safe_open(file, "pt") as opened:
            about = opened.metadata() or {}
            parameters = {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file} cannot be read: {error}", subject=str(file)) from None
    if about.get("format") != FORMAT:
        raise WeightsError(f"{file} holds no network of the embedded kind", subject=str(file))
    network = Network(Shape(**json.loads(about["shape"])))
    try:
        network.load_state_dict(parameters)
    except RuntimeError as error:
        raise WeightsError(f"{file}: {error}", subject=str(file)) from None
    where = choose_device(device)
    learned = rife.load(motion, device=device, dtype="fp32").motion if motion else None
    return Tiny(network.to(where).eval().requires_grad_(False), reverse=reverse, learned=learned)
