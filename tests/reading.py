"""Clips read without the package: by imageio through ffmpeg, in exact colours."""

from __future__ import annotations

import os
from fractions import Fraction

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

EXACT = "scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


def read_video(
    path: str | os.PathLike[str], *, alpha: bool = False
) -> tuple[NDArray[np.uint8], Fraction]:
    """Return all frames, [N, H, W, 3] RGB or with `alpha` [N, H, W, 4], and the rate."""
    path = os.path.abspath(path)
    facts = iio.immeta(path, plugin="FFMPEG")
    pixels = "rgba" if alpha else "rgb24"
    # chroma lies level with the left luma column; at odd widths ffmpeg stretches it by a pixel, and
    # its own default then is off by half of one at most
    left = "" if facts["size"][0] % 2 else ":in_h_chr_pos=0"
    how = ["-vf", f"{EXACT}{left},format={pixels}"]
    frames = iio.imiter(path, plugin="FFMPEG", pixelformat=pixels, output_params=how)
    return np.stack(list(frames)), Fraction(facts["fps"]).limit_denominator(1001)
