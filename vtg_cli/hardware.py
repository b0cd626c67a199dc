"""What this machine has, told without torch, which takes seconds to import."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

GPU_FILES = ("nvidia*", "nvhost*", "nvmap", "kfd", "dxg")
"""In /dev where a driver runs that torch can use: NVIDIA's, also on Jetson; AMD's; that of WSL."""


def may_have_gpu(
    system: str = sys.platform, machine: str = platform.machine(), devices: Path = Path("/dev")
) -> bool:
    """False only where no GPU can be there that torch could use; True: torch has to be asked.

    devices: the folder of device files.
    """
    if system == "darwin":
        return machine == "arm64"
    if system == "win32":
        driver = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll"
        return driver.exists()
    if system.startswith("linux"):
        return any(next(devices.glob(name), None) is not None for name in GPU_FILES)
    return True


COMPILERS = {"darwin": "clang++", "win32": "cl"}
"""What torch.compile asks for on a CPU, where CXX names nothing else; elsewhere g++."""


def lacks_compiler(device: str, system: str = sys.platform) -> str:
    """What torch.compile needs for a device and this machine has not; "" where it can run."""
    if device.startswith("cuda"):
        return "" if find_spec("triton") else "Triton"
    name = os.environ.get("CXX") or COMPILERS.get(system, "g++")
    return "" if shutil.which(name) else f"a C++ compiler ({name})"


def device_name(asked: str) -> str:
    """What `device.choose_device` would choose, as text: torch is imported only where needed.

    UsageError for a device that is not there.
    """
    if asked == "cpu" or (asked == "auto" and not may_have_gpu()):
        return "cpu"
    from vtg_cli.device import choose_device

    return str(choose_device(asked))
