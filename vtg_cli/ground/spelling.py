"""File names by what they say: macOS may keep letters and their accents apart (NFD), others do not.

A manifest written on one machine names files of another.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def spelled(name: str) -> str:
    """Return the one normal spelling (NFC) of a name that has several."""
    from unicodedata import normalize

    return normalize("NFC", name)


def on_disk(path: Path) -> Path:
    """Return the path as the file system spells it: itself if it exists, or if no file or folder
    differs from it in spelling alone.
    """
    there, missing = path, list[str]()
    while not os.path.lexists(there) and there != there.parent:
        missing.append(there.name)
        there = there.parent
    for name in reversed(missing):
        there /= _respelled(there, name)
    return there


def _respelled(folder: Path, name: str) -> str:
    """Return the one name in the folder that differs from this in spelling only, or this one."""
    alike: list[str] = []
    if not name.isascii():
        with suppress(OSError):
            alike = [each for each in os.listdir(folder) if spelled(each) == spelled(name)]
    return alike[0] if len(alike) == 1 else name
