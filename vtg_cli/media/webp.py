"""Animated WebP as ffmpeg writes it, made right for transparency."""

from __future__ import annotations

import os
import struct

_FLAGS = 8 + 15  # from the start of an ANMF chunk: x, y, width, height, duration of 3 bytes each
_REPLACE = 0b10  # the frame takes the place of what was there, in place of lying on it


def replace_frames(path: str | os.PathLike[str]) -> None:
    """Make every frame of the file replace the one before.

    ffmpeg lays each on the one before, so that whatever moved would leave a trail wherever the new
    frame is transparent.
    """
    with open(path, "r+b") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            start = file.tell() - 8
            if name == b"ANMF":
                file.seek(start + _FLAGS)
                flags = file.read(1)[0]
                file.seek(start + _FLAGS)
                file.write(bytes([flags | _REPLACE]))
            file.seek(start + 8 + size + size % 2)
