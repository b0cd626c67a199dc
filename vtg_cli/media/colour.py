"""Any of Pillow's colour modes to 8-bit sRGB with alpha apart.

Samples of 16 bits become round(v / 257) and floats round(255 v), v in [0, 1]. Then the embedded
profile is applied, relative colorimetric with black-point compensation. A broken profile counts as
sRGB, and one that moves no colour by more than one level leaves the bytes as they are. Without a
profile CMYK is (1 - c)(1 - k) and LAB is CIELAB of D50.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from vtg_cli.errors import MediaError

_MODE_OF_PROFILE = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}


def to_srgb(
    image: Image.Image, profile: bytes | None, name: str
) -> tuple[Image.Image, Image.Image | None]:
    """RGB in sRGB and, where the picture has transparency, its alpha in mode L.

    Raises:
        MediaError: float or 32-bit samples whose range nothing tells; speaks of the file as `name`.
    """
    colours, alpha = _without_alpha(_eight_bit(image, name))
    return _managed(colours, profile), alpha


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Greys of 1, 16 and 32 bits as 8; Pillow's decoders have brought all else to 8 already."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    lowest, highest = values.min(), values.max()
    if image.mode == "F":
        if not (lowest >= -0.05 and highest <= 1.05):  # a little overshoot passes, NaN does not
            raise _unknown_range(name, "float", f"{lowest:g} to {highest:g}", "0 to 1")
        return Image.fromarray(np.rint(255 * values.clip(0, 1)).astype(np.uint8))
    if lowest < 0 or highest > 65535:
        raise _unknown_range(name, "32-bit", f"{lowest} to {highest}", "0 to 65535")
    grey = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    opaque = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
    return Image.merge("LA", (grey, opaque))


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    if image.mode in ("LA", "La"):
        grey, alpha = image.convert("LA").split()
        return grey, alpha
    if image.mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None
    return image.convert("RGB"), None


def _managed(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is not None:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = _MODE_OF_PROFILE.get(source.profile.xcolor_space.strip())
            if (image.mode, space) == ("L", "RGB"):
                image = image.convert("RGB")
            if image.mode == space:
                return _transformed(image, source)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile: as without
    if image.mode == "LAB":
        return _transformed(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return image.convert("RGB")


def _transformed(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    exact = ImageCms.Flags.NOOPTIMIZE if image.mode == "L" else ImageCms.Flags.NONE
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION | exact,
    )
    if image.mode == "L":  # lcms' shortcut for grey is up to ten levels off; a table is exact
        ramp = np.arange(256, dtype=np.uint8)[None]
        moved, table = _moved(ramp, transform)
        return image.convert("RGB") if moved <= 1 else Image.fromarray(table[0][np.asarray(image)])
    if image.mode == "RGB":
        steps = np.arange(0, 256, 15, dtype=np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        if _moved(grid, transform)[0] <= 1:
            return image
    changed = ImageCms.applyTransform(image, transform)
    assert changed is not None  # only a transform in place gives none
    return changed


def _moved(
    colours: NDArray[np.uint8], transform: ImageCms.ImageCmsTransform
) -> tuple[int, NDArray[np.uint8]]:
    """By how many levels the transform moves colours at most, and where to."""
    before = Image.fromarray(colours)
    after = np.asarray(ImageCms.applyTransform(before, transform))
    gap = after.astype(np.int16) - np.asarray(before.convert("RGB"), np.int16)
    return int(np.abs(gap).max()), after


def _unknown_range(name: str, kind: str, found: str, known: str) -> MediaError:
    return MediaError(
        f"{name} holds {kind} samples from {found}, and only {known} has a known meaning",
        "save it as 8 or 16 bits",
        subject=name,
    )
