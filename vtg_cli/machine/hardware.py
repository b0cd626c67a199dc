"""The hardware of this machine, told without torch, which takes seconds to import."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

GPU_FILES = ("nvidia*", "nvhost*", "nvmap", "kfd", "dxg")
"""Names in /dev where a driver runs that torch can use: NVIDIA's, also on Jetson; AMD's; that of
WSL."""


def may_have_gpu(
    system: str = sys.platform, machine: str = platform.machine(), devices: Path = Path("/dev")
) -> bool:
    """Return False only if there can be no GPU that torch could use; else torch has to be asked.

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
"""Compiler that torch.compile asks for on a CPU when CXX is not set; elsewhere g++."""


def lacks_compiler(device: str, system: str = sys.platform) -> str:
    """Return what torch.compile needs for a device and this machine lacks; "" if it can run."""
    if device.startswith("cuda"):
        return "" if find_spec("triton") else "Triton"
    name = os.environ.get("CXX") or COMPILERS.get(system, "g++")
    return "" if shutil.which(name) else f"a C++ compiler ({name})"


def device_name(name: str) -> str:
    """Return what `device.choose_device` would choose, importing torch only where needed.

    Raises UsageError for a device that is not there.
    """
    if name == "cpu" or (name == "auto" and not may_have_gpu()):
        return "cpu"
    from vtg_cli.machine.device import choose_device

    return str(choose_device(name))


CGROUPS = tuple(
    Path("/sys/fs/cgroup") / place for place in ("memory.max", "memory/memory.limit_in_bytes")
)
"""Files in which Linux limits a container's memory, in version 2 and 1."""


@dataclass(frozen=True)
class Memory:
    """Memory in bytes: all there is, and what is free now."""

    total: int
    free: int


def memory(
    meminfo: Path = Path("/proc/meminfo"), cgroups: tuple[Path, ...] = CGROUPS
) -> Memory | None:
    """Measure this machine's memory, or its container's; None if the system does not tell."""
    if not hasattr(os, "sysconf"):
        return None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = total
    if meminfo.is_file():
        kilobytes = dict(re.findall(r"(\w+):\s+(\d+) kB", meminfo.read_text(encoding="ascii")))
        total = 1024 * int(kilobytes.get("MemTotal", total // 1024))
        free = 1024 * int(kilobytes.get("MemAvailable", total // 1024))
    for file in cgroups:
        limit = file.read_text(encoding="ascii").strip() if file.is_file() else ""
        total = min(total, int(limit)) if limit.isdecimal() else total
    return Memory(total, min(free, total))


def gpu_memory(device: str) -> Memory | None:
    """Measure the memory of a device other than the CPU. MPS shares this machine's own."""
    if not device.startswith("cuda"):
        return memory()
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return Memory(total, free)


def cores() -> int:
    """Count the cores this process may use, at least 1; two threads of one core count as one."""
    has = getattr(os, "sched_getaffinity", None)
    threads = len(has(0)) if has else os.cpu_count() or 1
    shared = 1 if platform.machine() in ("arm64", "aarch64") else 2
    limit = os.environ.get("OMP_NUM_THREADS", "")
    most = int(limit) if limit.isdecimal() and int(limit) else threads
    return max(1, min(most, threads // shared))


def peak_memory(status: Path = Path("/proc/self/status")) -> int:
    """Return the most bytes this process, or the largest child it has waited for, ever held.

    0 where the system does not say. On Linux getrusage's own figure would begin with what the
    parent held when it started this process.
    """
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peaks = [unit * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
    if status.is_file():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
        peaks.append(1024 * int(found[1]) if found else 0)
    else:
        peaks.append(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return max(peaks)
