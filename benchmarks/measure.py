"""What the benchmarks share."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def peak_mebibytes() -> int:
    """Of this program alone; getrusage's figure would start at what the parent had when it forked.
    Linux.
    """
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found, "no VmHWM in /proc/self/status"
    return int(found[1]) // 1024


def forget_peak() -> None:
    """From here on peak_mebibytes() counts anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


@dataclass
class Calls:
    """Of a network: how many single-clip evaluations, how many frames in all, their seconds."""

    evaluations: int = 0
    frames: int = 0
    seconds: float = 0.0


@contextmanager
def counted(network: nn.Module) -> Iterator[Calls]:
    """What the network does while open. A batch of n clips is n evaluations."""
    from vtg_cli.ground.hooks import overriding  # torch, which some benchmarks do without

    calls = Calls()

    def timed(_: nn.Module, forward: Callable[..., Tensor], x: Tensor, *args: Any) -> Tensor:
        begin = time.perf_counter()
        out = forward(x, *args)
        calls.seconds += time.perf_counter() - begin
        calls.evaluations += len(x)
        calls.frames += x.shape[0] * x.shape[1]
        return out

    with overriding([network], timed):
        yield calls
