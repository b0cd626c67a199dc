"""What the benchmarks share."""

from __future__ import annotations

import re
from pathlib import Path


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
