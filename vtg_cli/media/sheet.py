"""A contact sheet: many frames in one picture, to see a clip at a glance."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtg_cli.ground import atomic

Pixels = NDArray[np.uint8]

MOST = 24  # frames of a sheet: more are too small to see
GAP = 4  # pixels between frames
PAPER = 255  # the grey of the gaps


def positions(total: int, most: int = MOST) -> list[int]:
    """Return at most `most` frame numbers of `total`, evenly spread, with the first and last."""
    count = min(total, most)
    return [round(i * (total - 1) / max(1, count - 1)) for i in range(count)]


def contact_sheet(
    frames: Sequence[Pixels] | Pixels, columns: int | None = None, width: int = 1600
) -> Pixels:
    """Lay frames uint8 [N,H,W,3] row by row into one picture at most `width` wide; never enlarged.

    At most 24, evenly taken, always with the first and the last. `columns` None: as many as make
    the sheet about 3:2.
    """
    chosen = [frames[i] for i in positions(len(frames))]
    height, breadth = chosen[0].shape[:2]
    if columns is None:
        columns = _columns(len(chosen), height, breadth)
    columns = min(columns, len(chosen))
    rows = -(-len(chosen) // columns)
    across = max(1, min(breadth, (width - GAP * (columns - 1)) // columns))
    down = max(1, round(height * across / breadth))
    sheet = Image.new(
        "RGB", (columns * (across + GAP) - GAP, rows * (down + GAP) - GAP), (PAPER,) * 3
    )
    for i, frame in enumerate(chosen):
        small = Image.fromarray(frame).resize((across, down), Image.Resampling.LANCZOS)
        sheet.paste(small, (i % columns * (across + GAP), i // columns * (down + GAP)))
    return np.array(sheet)


def save_png(path: str | os.PathLike[str], picture: Pixels, overwrite: bool = True) -> None:
    """Write uint8 [H,W,C] as png, whole or not at all. Raise MediaError if that fails."""
    import imageio.v3 as iio

    content = iio.imwrite("<bytes>", picture, extension=".png")
    atomic.write(path, content, overwrite=overwrite)


def _columns(count: int, height: int, width: int) -> int:
    """Return the number of columns whose sheet is nearest 3:2, empty places counting against it."""

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        aspect = abs(float(np.log(columns * width / (rows * height) / 1.5)))
        return aspect + 2 * (rows * columns - count) / count

    return min(range(1, count + 1), key=cost)
