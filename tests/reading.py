"""Clips read without the package: by imageio, in exact colours."""

from __future__ import annotations

import os
from fractions import Fraction

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

EXACT = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


def read_video(
    path: str | os.PathLike[str], *, alpha: bool = False
) -> tuple[NDArray[np.uint8], Fraction]:
    """Return all frames, [N, H, W, 3] RGB or with `alpha` [N, H, W, 4], and the rate."""
    path = os.path.abspath(path)
    if path.endswith(".webp"):  # libav reads no animated ones
        shown = iio.imread(path, plugin="pillow", mode="RGBA" if alpha else "RGB")
        return shown, 1000 / Fraction(iio.immeta(path, plugin="pillow")["duration"])
    pixels = "rgba" if alpha else "rgb24"
    rate = Fraction(iio.immeta(path, plugin="pyav")["fps"]).limit_denominator(10**6)
    width = iio.improps(path, plugin="pyav", format="gray").shape[-1]
    # chroma lies level with the left luma column; at odd widths ffmpeg stretches it by a pixel, and
    # its own default then is off by half of one at most
    left = {} if width % 2 else {"in_h_chr_pos": "0"}
    how = [("scale", {"flags": EXACT, **left}), ("format", {"pix_fmts": pixels})]
    frames = iio.imread(path, plugin="pyav", format=pixels, filter_sequence=how)
    return np.asarray(frames, np.uint8), rate
