"""Bytes, seconds and counts in words, as all of vtg says them."""

from __future__ import annotations


def size_text(count: float) -> str:
    """Format bytes: 4.5 GB, 88 MB, 999 bytes."""
    for unit, scale, digits in (("GB", 1e9, 1), ("MB", 1e6, 0), ("kB", 1e3, 0)):
        if count >= scale:
            return f"{count / scale:.{digits}f} {unit}"
    return f"{count:.0f} bytes"


def counted(count: int, noun: str) -> str:
    """Format a count with its noun: 1 file, 2 files."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def time_text(seconds: float) -> str:
    """Format seconds: 3.1 s, 40 s, 12 min, 3.5 h."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5370 else f"{seconds / 3600:.2g} h"
