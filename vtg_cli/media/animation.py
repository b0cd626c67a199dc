"""Animated WebP, which libav does not read: its times from its chunks, its pictures from Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtg_cli.media.damage import Health
from vtg_cli.media.opening import open_file

TICK = Fraction(1, 1000)


@dataclass(frozen=True)
class Animation:
    """An animated WebP: its canvas, and of each frame when it appears and for how many ticks."""

    width: int
    height: int
    alpha: bool
    times: tuple[int, ...]
    lasts: tuple[int, ...]


def animation(path: str) -> Animation | None:
    """Return what the file's chunks say; None unless it is animated WebP. Raise MediaError."""
    with open_file(path) as file:
        head = file.read(30)
        if head[:4] != b"RIFF" or head[8:16] != b"WEBPVP8X" or not head[20] & 2:
            return None
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
        lasts = []
        while len(chunk := file.read(24)) == 24:
            length = int.from_bytes(chunk[4:8], "little")
            if chunk[:4] == b"ANMF":
                lasts.append(int.from_bytes(chunk[20:23], "little"))
            file.seek(length + length % 2 - 16, 1)
    times = accumulate(lasts[:-1], initial=0) if lasts else ()
    return Animation(width, height, bool(head[20] & 0x10), tuple(times), tuple(lasts))


def pictures(
    path: str, shown: Animation, health: Health, *, alpha: bool
) -> Iterator[tuple[NDArray[np.uint8], Fraction, Fraction]]:
    """Yield every frame, RGBA where it is transparent, else RGB, with its second and duration."""
    mode = "RGBA" if alpha and shown.alpha else "RGB"
    with open_file(path) as file, Image.open(file, formats=("WEBP",)) as image:
        for i, (time, lasts) in enumerate(zip(shown.times, shown.lasts, strict=True)):
            try:
                image.seek(i)
                pixels = np.array(image.convert(mode))
            except (EOFError, OSError, ValueError):
                health.hurt(f"ends in the middle of frame {i + 1}")
                return
            yield pixels, time * TICK, lasts * TICK
