"""The device and precision to compute in, and the source of random numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vtg_cli.errors import UsageError

Noise = Callable[[Tensor], Tensor]
"""Function noise(x) that returns unit normal values of x's shape, dtype and device."""

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str = "auto") -> torch.device:
    """Return the torch device of this name; "auto" takes CUDA, then MPS, then the CPU.

    Any other name is torch's own ("cpu", "cuda:1", "mps"). Raises UsageError for one that is not
    available.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type == "mps" and not torch.backends.mps.is_available():
            raise RuntimeError("this torch or this machine has no MPS")  # torch's own is a page
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"--device {name}: {reason}", "use auto, cpu, cuda, cuda:N or mps", subject=name
        ) from None
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype of this name; "auto" is fp16 on a GPU, as published, and fp32 on a CPU."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    if name not in DTYPES:
        raise UsageError(
            f"--dtype {name} is not known", f"use auto, {', '.join(DTYPES)}", subject=name
        )
    return DTYPES[name]


def seeded_noise(seed: int) -> Noise:
    """Return a source of unit normal noise, drawn on the CPU in float32 and then moved, so that a
    seed means the same on every device.
    """
    generator = torch.Generator("cpu").manual_seed(seed)

    def noise(x: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator).to(x)

    return noise
