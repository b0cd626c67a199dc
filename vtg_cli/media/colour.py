"""Any of Pillow's colour modes to 8-bit sRGB with alpha apart.

Samples of 16 bits become round(v / 257) and floats round(255 v), v in [0, 1]. Then the embedded
profile is applied, relative colorimetric with black-point compensation. A broken profile counts as
sRGB, and one that moves no colour by more than one level leaves the bytes as they are. Without a
profile CMYK is (1 - c)(1 - k) and LAB is CIELAB of D50.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from vtg_cli.errors import MediaError

BAND = 1 << 22  # pixels that are converted at once
_MODE_OF_PROFILE = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}


Convert = Callable[[Image.Image], Image.Image]


def converter(mode: str, profile: bytes | None) -> Convert:
    """Return what converts opaque pictures of a mode (L, RGB, CMYK, LAB) to sRGB, as RGB."""
    if profile is not None:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = _MODE_OF_PROFILE.get(source.profile.xcolor_space.strip())
            if (mode, space) == ("L", "RGB"):
                inner = _transformation("RGB", source)
                return lambda image: inner(image.convert("RGB"))
            if mode == space:
                return _transformation(mode, source)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile: as without
    if mode == "LAB":
        return _transformation(mode, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return lambda image: image.convert("RGB")


def check_range(image: Image.Image, name: str) -> None:
    """Raise MediaError for float or 32-bit samples of unknown range; `name` is the file's.

    A little overshoot of floats passes, NaN does not.
    """
    if image.mode not in ("I", "F"):
        return
    parts = [np.asarray(part) for part in bands(image)]
    lowest, highest = np.min([p.min() for p in parts]), np.max([p.max() for p in parts])
    if image.mode == "F":
        if not (lowest >= -0.05 and highest <= 1.05):
            raise unknown_range(name, "float", f"{lowest:g} to {highest:g}", "0 to 1")
    elif lowest < 0 or highest > 65535:
        raise unknown_range(name, "32-bit", f"{lowest} to {highest}", "0 to 65535")


def eight_bit(image: Image.Image) -> Image.Image:
    """Convert greys of 1, 16 and 32 bits to 8; Pillow's decoders have brought all else to 8."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if image.mode == "F":
        return Image.fromarray(np.rint(255 * values.clip(0, 1)).astype(np.uint8))
    grey = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    opaque = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, opaque))


def without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours as "L", "RGB", "CMYK" or "LAB", and the alpha, if any, as "L"."""
    if image.mode in ("LA", "La"):
        grey, alpha = image.convert("LA").split()
        return grey, alpha
    if image.mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None
    return image.convert("RGB"), None


def bands(image: Image.Image) -> Iterator[Image.Image]:
    """Yield the picture in bands of full width from the top, so that little is copied at a time."""
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _transformation(mode: str, source: ImageCms.ImageCmsProfile) -> Convert:
    exact = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION | exact,
    )
    if mode == "L":  # lcms' shortcut for grey is up to ten levels off; a table is exact
        ramp = np.arange(256, dtype=np.uint8)[None]
        moved, table = _moved(ramp, transform)
        if moved <= 1:
            return lambda image: image.convert("RGB")
        return lambda image: Image.fromarray(table[0][np.asarray(image)])
    if mode == "RGB":
        steps = np.arange(0, 256, 15, dtype=np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        if _moved(grid, transform)[0] <= 1:
            return lambda image: image

    def changed(image: Image.Image) -> Image.Image:
        moved = ImageCms.applyTransform(image, transform)
        assert moved is not None  # only a transform in place gives none
        return moved

    return changed


def _moved(
    colours: NDArray[np.uint8], transform: ImageCms.ImageCmsTransform
) -> tuple[int, NDArray[np.uint8]]:
    """Return by how many levels the transform moves colours at most, and the colours it makes."""
    before = Image.fromarray(colours)
    after = np.asarray(ImageCms.applyTransform(before, transform))
    gap = after.astype(np.int16) - np.asarray(before.convert("RGB"), np.int16)
    return int(np.abs(gap).max()), after


def unknown_range(name: str, kind: str, span: str, known: str) -> MediaError:
    return MediaError(
        f"{name} holds {kind} samples from {span}, and only {known} has a known meaning",
        "save it as 8 or 16 bits",
        subject=name,
    )
