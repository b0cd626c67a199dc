"""Tiff pictures that Pillow does not know, such as colours in floats, by imageio and tifffile."""

from __future__ import annotations

from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from vtg_cli.errors import MediaError
from vtg_cli.media.budget import check_bytes
from vtg_cli.media.colour import unknown_range

HINT = "save it again as png or 16-bit tiff"
_BITS, _PLANES, _PROFILE = 258, 284, 34675  # tags


def is_misread(image: Image.Image) -> bool:
    """Return whether Pillow mixes its samples up: 16 bits, a plane a channel, not compressed."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    planes = image.tag_v2.get(_PLANES, 1) == 2 and image.info.get("compression") == "raw"
    return planes and max(image.tag_v2.get(_BITS, (8,))) > 8


def read(file: IO[bytes], name: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Read the first picture of an open tiff.

    Return it as a picture of 8 bits, "L", "RGB" or "RGBA", with its profile and orientation, and
    what a person should know of it. MediaError: damaged, too large, or of a kind nobody reads;
    floats that are not from 0 to 1.
    """
    import imageio.v3 as iio
    import tifffile

    try:
        file.seek(0)
        page = tifffile.TiffFile(file).pages.first
        width, height = page.imagewidth, page.imagelength
        check_bytes(
            name, (width, height), page.size * np.dtype(page.dtype).itemsize + 8 * width * height
        )
        file.seek(0)
        stored: NDArray[Any] = iio.imread(cast(BinaryIO, file), plugin="tifffile", index=0, key=0)
        axes, tags = page.axes, page.tags
        if axes == "SYX":  # a plane a channel
            stored = np.moveaxis(stored, 0, -1)
        image = Image.fromarray(_eight_bit(stored, name))
        if (profile := tags.get(_PROFILE)) is not None:
            image.info["icc_profile"] = profile.value
        if (turned := tags.get(int(ExifTags.Base.Orientation))) is not None:
            image.getexif()[ExifTags.Base.Orientation] = int(turned.value)
        return image, (f"samples of {8 * stored.dtype.itemsize} bits are reduced to 8",)
    except MediaError:
        raise
    except Exception as error:  # whatever the libraries make of damage
        raise MediaError(
            f"{name} starts like tiff, but is damaged or of an unknown kind", HINT, subject=name
        ) from error


def _eight_bit(stored: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Return [H, W] or [H, W, 3 or 4] in 8 bits: floats from 0 to 1, integers fill their type."""
    colour = stored.ndim == 2 or (stored.ndim == 3 and stored.shape[2] in (3, 4))
    if not colour or stored.dtype.kind not in "fu" or not stored.size:
        shape = "x".join(map(str, stored.shape))
        raise MediaError(
            f"{name} holds {stored.dtype} of {shape}, no grey or colour", HINT, subject=name
        )
    if stored.dtype.kind == "f":
        lowest, highest = float(stored.min()), float(stored.max())
        if not (lowest >= -0.05 and highest <= 1.05):
            raise unknown_range(name, "float", f"{lowest:g} to {highest:g}", "0 to 1")
        shares = stored.astype(np.float32).clip(0, 1)
    else:
        shares = stored / np.iinfo(stored.dtype).max
    pixels: NDArray[np.uint8] = np.rint(255 * shares).astype(np.uint8)
    return pixels
