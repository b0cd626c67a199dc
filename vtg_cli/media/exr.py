"""OpenEXR pictures: linear light of any range as 8-bit sRGB, through the OpenEXR package."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import MediaError
from vtg_cli.media import light
from vtg_cli.media.budget import check_bytes
from vtg_cli.media.colour import BAND
from vtg_cli.media.plugins import needed

BYTES = 30  # a pixel: four channels of 32 bits, ours, and what the library needs beside, measured
HINT = "save it again as png or 16-bit tiff"


def read(path: str | os.PathLike[str]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Read the first part's R, G, B and A, or Y: uint8 [H, W, 3], or 4 with straight alpha.

    Also returns notes for the user. Raises MediaError if the file is damaged or too large, lacks
    such channels, or the package is missing.
    """
    name = os.fspath(path)
    openexr = needed("OpenEXR", "exr", "exr", name)
    try:
        (x0, y0), (x1, y1) = openexr.File(name, header_only=True).parts[0].header["dataWindow"]
        width, height = int(x1) - int(x0) + 1, int(y1) - int(y0) + 1
        check_bytes(name, (width, height), BYTES * width * height)
        channels = openexr.File(name, separate_channels=True).parts[0].channels
        planes = {key: np.asarray(channel.pixels) for key, channel in channels.items()}
    except MediaError:
        raise
    except Exception as error:  # whatever the library makes of damage
        raise MediaError(
            f"{name} is damaged or of an unknown kind of exr", HINT, subject=name
        ) from error
    colours = [planes[key] for key in ("R", "G", "B") if key in planes]
    if len(colours) < 3:
        colours = [planes["Y"]] * 3 if "Y" in planes else []
    if not colours or any(plane.shape != (height, width) for plane in colours):
        raise MediaError(
            f"{name} has no R, G and B, but {', '.join(sorted(planes))}", HINT, subject=name
        )
    pixels, highest = _encoded(colours, planes.get("A"))
    if not np.isfinite(highest):
        raise MediaError(f"{name} holds values that are not numbers", HINT, subject=name)
    note = "linear light is brought to 8-bit sRGB"
    if highest > 1:
        note += f", what is above 1 (up to {highest:.3g}) is clipped"
    return pixels, (note,)


def _encoded(
    colours: Sequence[NDArray[np.floating]], alpha: NDArray[np.floating] | None
) -> tuple[NDArray[np.uint8], float]:
    """Return the pixels and their highest value, NaN if any value is."""
    height, width = colours[0].shape
    pixels = np.empty((height, width, 3 if alpha is None else 4), np.uint8)
    highest = 0.0
    rows = max(1, BAND // width)
    for top in range(0, height, rows):
        band = slice(top, top + rows)
        linear = np.stack([plane[band] for plane in colours], axis=-1).astype(np.float32)
        if alpha is not None:  # exr stores colours multiplied by it
            share = alpha[band].astype(np.float32)
            linear /= np.where(share > 0, share, 1)[..., None]
            pixels[band, :, 3] = np.rint(255 * share.clip(0, 1))
        pixels[band, :, :3] = light.encoded(np.nan_to_num(linear))
        highest = float(np.maximum(highest, np.abs(linear).max()))  # NaN stays
    return pixels, highest
