"""Still pictures in: any common file to upright 8-bit sRGB, and pictures fitted to the output.

What can be wrong with a file is told by `media/opening.py`; the colours are `media/colour.py`'s.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageColor

from vtg_cli.errors import UsageError
from vtg_cli.media import exr, headers, light, plugins
from vtg_cli.media.colour import (
    Convert,
    bands,
    check_range,
    converter,
    eight_bit,
    without_alpha,
)
from vtg_cli.media.opening import open_file, open_picture

Pixels = NDArray[np.uint8]

_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
"""Functions that turn a picture upright, by EXIF's orientation."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that was read: uint8 [H, W, 3], or [H, W, 4] with straight alpha, upright, in sRGB.

    notes: changes made to it that the user may not expect, each without the picture's name
    """

    pixels: Pixels
    notes: tuple[str, ...]


def read_picture(source: str | os.PathLike[str] | IO[bytes], *, name: str | None = None) -> Picture:
    """Read the first frame of a picture file.

    source: its path, or an open binary file that messages call `name`

    Raises MediaError if it is missing, unreadable, damaged, too large or not a picture.
    """
    pixels, notes, turn = _read(source, name)  # without Pillow's copy
    return Picture(pixels if turn is None else np.ascontiguousarray(turn(pixels)), notes)


def _read(
    source: str | os.PathLike[str] | IO[bytes], name: str | None
) -> tuple[Pixels, tuple[str, ...], Callable[[Pixels], Pixels] | None]:
    """Return the pixels as they lie in the file, the notes, and what turns them upright."""
    if isinstance(source, str | os.PathLike):
        with open_file(source) as file:
            head = file.read(len(plugins.EXR))
        if head == plugins.EXR:
            return (*exr.read(source), None)
    with open_picture(source, name=name) as opened:
        turn = _UPRIGHT.get(_orientation(opened.image))
        notes = [*opened.notes]
        pixels = _pixels(opened.image, opened.file, name or str(source), notes)
    return pixels, tuple(notes), turn


def read_image(
    path: str | os.PathLike[str], *, background: str = "white", keep_alpha: bool = False
) -> Pixels:
    """Read the first frame of a picture file, upright, in sRGB.

    Args:
        background: Pillow colour name or #rrggbb that transparent parts are laid on.
        keep_alpha: keep transparency, where the file has any, instead.

    Returns:
        uint8 [H,W,3], or [H,W,4] with straight alpha.

    Raises:
        MediaError: missing, unreadable, damaged, too large or not a picture.
        UsageError: unknown background.
    """
    colour(background)
    pixels = read_picture(path).pixels
    return pixels if keep_alpha else flattened(pixels, background)


def flattened(pixels: Pixels, background: str) -> Pixels:
    """Lay the picture on a colour; returns [H, W, 3], the same array if it was opaque."""
    if pixels.shape[2] == 3:
        return pixels
    flat = np.empty((*pixels.shape[:2], 3), np.uint8)
    done = 0
    for part in bands(Image.fromarray(pixels)):
        ground = Image.new("RGB", part.size, colour(background))
        ground.paste(part, mask=part.getchannel("A"))
        flat[done : done + part.height] = np.asarray(ground)
        done += part.height
    return flat


def colour(name: str) -> tuple[int, int, int]:
    """Return (red, green, blue) of a colour name or #rrggbb. Raise UsageError for others."""
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise UsageError(
            f"unknown colour '{name}'", "a name such as white, or #rrggbb", subject=name
        ) from error


def fit(image: Pixels, height: int, width: int, how: str, background: str = "white") -> Pixels:
    """Resize `image` [H,W,C] by Lanczos; returns the same array if it fits already.

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
    """Return (height, width) of the output for keyframes of these (height, width).

    A side that is not asked for follows from the other by the first keyframe's aspect; with
    neither, the size is the first keyframe's, or its aspect at about `area` pixels. Such sides are
    rounded to `multiple`.

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
    """Return the file's SHA-256 in hex. Raise MediaError if it cannot be read."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _resized(image: Pixels, height: int, width: int, box: tuple[float, ...]) -> Pixels:
    """Resize a box (left, top, right, bottom) by Lanczos; Pillow premultiplies alpha inside."""
    left, top, right, bottom = box
    picture = Image.fromarray(image)
    size = (width, height)
    return np.array(picture.resize(size, Image.Resampling.LANCZOS, (left, top, right, bottom)))


def _pixels(image: Image.Image, file: IO[bytes], name: str, notes: list[str]) -> Pixels:
    """Return the decoded picture as it lies in the file, in sRGB, converted band by band."""
    check_range(image, name)
    points = headers.code_points(file, image.format)
    if image.format != "PNG" and "icc_profile" in image.info:  # there a profile says it better
        points = None
    if points is not None:
        notes += [points.note] if points.note else []
        points = points if points.known and not points.plain else None
    deep = _sixteen(file) if headers.needs_sixteen(image, file) else None
    pixels: Pixels | None = None
    convert: Convert | None = None
    done = 0
    for part in bands(image):
        rows = slice(done, done + part.height)
        colours, alpha = without_alpha(eight_bit(part))
        if points is not None:
            codes = np.asarray(colours.convert("RGB")) if deep is None else deep[rows, :, 2::-1]
            rgb = light.to_srgb(codes, points)
        else:
            profile = image.info.get("icc_profile")
            convert = convert or converter(colours.mode, profile)
            rgb = np.asarray(convert(colours))
        if pixels is None:
            pixels = np.empty((image.height, image.width, 3 if alpha is None else 4), np.uint8)
        pixels[rows, :, :3] = rgb
        if alpha is not None:
            pixels[rows, :, 3] = np.asarray(alpha) if deep is None else deep[rows, :, 3] >> 8
        done += part.height
    assert pixels is not None  # it has at least a row
    return pixels


def _sixteen(file: IO[bytes]) -> NDArray[np.uint16]:
    """Decode the png in 16 bits, [H, W, 3 or 4], blue first, its transparent colour as alpha."""
    import cv2

    file.seek(0)
    stored = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert stored is not None  # Pillow has decoded it
    return np.asarray(stored, np.uint16)


def _orientation(image: Image.Image) -> int:
    """Return 1 to 8, how EXIF says to turn the picture; 1, upright, if it says nothing sensible."""
    if image.format == "JXL":  # its decoder has turned it
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken EXIF block is no reason to refuse the picture
        return 1
    return orientation if orientation in _UPRIGHT else 1
