"""Still pictures in: any common file to upright 8-bit sRGB, and pictures fitted to the output.

What can be wrong with a file is told by `media/opening.py`; the colours are `media/colour.py`'s.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageColor, TiffImagePlugin

from vtg_cli.errors import UsageError
from vtg_cli.media.colour import to_srgb
from vtg_cli.media.opening import open_file, open_picture, picture_in

Pixels = NDArray[np.uint8]

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(
    path: str | os.PathLike[str], *, background: str = "white", keep_alpha: bool = False
) -> Pixels:
    """The first frame of a picture file, upright, in sRGB.

    Args:
        background: Pillow colour name or #rrggbb that transparent parts are laid on.
        keep_alpha: keep transparency, where the file has any, instead.

    Returns:
        uint8 [H,W,3], or [H,W,4] with straight alpha.

    Raises:
        MediaError: missing, unreadable, damaged, too large or not a picture.
        UsageError: unknown background.
    """
    ground = colour(background)
    with open_picture(path) as image:
        return _pixels(image, os.fspath(path), ground, keep_alpha)


def read_bytes(
    data: bytes, name: str, *, background: str = "white", keep_alpha: bool = False
) -> Pixels:
    """Return the picture that bytes hold, as `read_image` does; errors say `name`."""
    ground = colour(background)
    with picture_in(io.BytesIO(data), name) as image:
        return _pixels(image, name, ground, keep_alpha)


def _pixels(
    image: Image.Image, name: str, ground: tuple[int, int, int], keep_alpha: bool
) -> Pixels:
    upright = _turned(image)
    rgb, alpha = to_srgb(upright, image.info.get("icc_profile"), name)
    if alpha is None:
        return np.array(rgb)
    if keep_alpha:
        rgb.putalpha(alpha)
        return np.array(rgb)
    return np.array(Image.composite(rgb, Image.new("RGB", rgb.size, ground), alpha))


def size_of(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) of the picture as `read_image` would return it, from the header alone.

    Raises:
        MediaError: as `read_image`, as far as the header shows it.
    """
    with open_picture(path, load=False) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # some Pillows swap its size already
            width, height = image.tag_v2[256], image.tag_v2[257]
        return (width, height) if _orientation(image) >= 5 else (height, width)


def colour(name: str) -> tuple[int, int, int]:
    """(red, green, blue) of a colour name or #rrggbb. Raises UsageError for an unknown one."""
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise UsageError(
            f"unknown colour '{name}'", "a name such as white, or #rrggbb", subject=name
        ) from error


def fit(image: Pixels, height: int, width: int, how: str, background: str = "white") -> Pixels:
    """`image` [H,W,C] at another size, by Lanczos; the same array when it fits already.

    Nothing is resampled where cutting or padding is enough.

    Args:
        how: "crop" fills the frame and cuts the middle out, "pad" shows all of it on `background`
            (transparent where the picture has alpha), "stretch" ignores the aspect.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    if how == "stretch":
        return _resized(image, height, width, (0, 0, columns, rows))
    if how == "crop":
        scale = max(height / rows, width / columns)
        top, left = max(0.0, rows - height / scale) / 2, max(0.0, columns - width / scale) / 2
        if scale == 1:
            top, left = int(top), int(left)
            return np.ascontiguousarray(image[top : top + height, left : left + width])
        return _resized(image, height, width, (left, top, columns - left, rows - top))
    if how == "pad":
        scale = min(height / rows, width / columns)
        inner = max(1, round(rows * scale)), max(1, round(columns * scale))
        if inner != (rows, columns):
            image = _resized(image, *inner, (0, 0, columns, rows))
        ground = (*colour(background), 0)[: image.shape[2]]
        framed = np.full((height, width, image.shape[2]), ground, np.uint8)
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        framed[top : top + inner[0], left : left + inner[1]] = image
        return framed
    raise UsageError(f"unknown fit '{how}'", "crop, pad or stretch", subject="--fit")


def canvas(
    sizes: Sequence[tuple[int, int]],
    width: int | None,
    height: int | None,
    multiple: int,
    area: int | None = None,
) -> tuple[int, int]:
    """(height, width) of the output for keyframes of these (height, width).

    What was asked for; one of the two with the first keyframe's aspect; else the first keyframe's
    size, or its aspect at about `area` pixels. Sides not asked for are rounded to `multiple`.

    Raises:
        UsageError: a side that is asked for is not positive or not a multiple.
    """
    for name, side in (("--width", width), ("--height", height)):
        if side is not None and (side < 1 or side % multiple):
            near = max(1, round(side / multiple)) * multiple
            raise UsageError(
                f"{name} {side} is not a positive multiple of {multiple}",
                f"the nearest is {near}",
                subject=name,
            )
    rows, columns = sizes[0]

    def rounded(side: float) -> int:
        return max(1, round(side / multiple)) * multiple

    if width is not None and height is not None:
        return height, width
    if width is not None:
        return rounded(width * rows / columns), width
    if height is not None:
        return height, rounded(height * columns / rows)
    scale = 1.0 if area is None else float(np.sqrt(area / (rows * columns)))
    return rounded(rows * scale), rounded(columns * scale)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The file's SHA-256 in hex. Raises MediaError when it cannot be read."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _resized(image: Pixels, height: int, width: int, box: tuple[float, ...]) -> Pixels:
    """Lanczos of a box (left, top, right, bottom) of it; Pillow premultiplies alpha inside."""
    left, top, right, bottom = box
    picture = Image.fromarray(image)
    size = (width, height)
    return np.array(picture.resize(size, Image.Resampling.LANCZOS, (left, top, right, bottom)))


def _turned(image: Image.Image) -> Image.Image:
    turn = _UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """1 to 8, how EXIF says to turn the picture; 1, upright, where it says nothing sensible."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken EXIF block is no reason to refuse the picture
        return 1
    return found if found in _UPRIGHT else 1
