"""File names by what they say: macOS may keep letters and their accents apart (NFD), others do not.

A manifest written on one machine names files of another.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def spelled(name: str) -> str:
    """Return one spelling (NFC) of a name that has several."""
    from unicodedata import normalize

    return normalize("NFC", name)


def on_disk(path: Path) -> Path:
    """Return the path as the file system spells it: itself where it exists, or where no file or
    folder differs from it in its spelling alone.
    """
    if os.path.lexists(path) or path == path.parent:
        return path
    folder = on_disk(path.parent)
    if not path.name.isascii():
        with suppress(OSError):
            alike = [each for each in os.listdir(folder) if spelled(each) == spelled(path.name)]
            if len(alike) == 1:
                return folder / alike[0]
    return folder / path.name
