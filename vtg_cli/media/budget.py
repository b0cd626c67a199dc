"""The memory a picture takes to decode, told by its header alone, and the most it may take.

A small file can hold a large picture, and each format's decoder keeps more or less of it at a time:
what `decoding` says, measured with Pillow 13 and rounded up.
"""

from __future__ import annotations

from typing import IO

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from vtg_cli.errors import MediaError
from vtg_cli.ground.units import size_text
from vtg_cli.media.headers import in_one_scan, needs_sixteen, sample_bits

BYTES = 2**30
"""Most memory of one picture while it is decoded: 153 megapixels of RGB, and the process stays
under 2 GB."""

PIXELS = 178_956_970
"""Most pixels of one picture, however little memory they take: where Pillow itself refuses."""

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}  # else 4


def check(image: Image.Image, file: IO[bytes], name: str) -> None:
    """Raise MediaError if decoding the opened picture would take more than `BYTES`."""
    check_bytes(name, image.size, decoding(image, file))


def check_bytes(name: str, size: tuple[int, int], needed: int) -> None:
    """Raise MediaError if a picture of (width, height) is too large. needed: bytes."""
    width, height = size
    hint = "make it smaller with an image editor"
    if width * height > PIXELS:
        raise MediaError(
            f"{name} has more than {PIXELS / 1e6:.0f} megapixels, the limit for a picture",
            hint,
            subject=name,
        )
    if needed > BYTES:
        raise MediaError(
            f"{name} ({width}x{height}) would take {size_text(needed)} to decode, and "
            f"{size_text(BYTES)} is the limit for a picture",
            hint,
            subject=name,
        )


def decoding(image: Image.Image, file: IO[bytes]) -> int:
    """Return the bytes for decoding: the decoder's, Pillow's copy, and ours of 3 or 4 a pixel."""
    pixels = image.width * image.height
    clear = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    held = pixels * (_STORED.get(image.mode, 4) + (4 if clear else 3))
    if image.format == "WEBP":  # two canvases, a copy, and the samples of a lossless one
        return held + pixels * (16 if clear else 12)
    if image.format in ("AVIF", "HEIF"):  # planes, a copy in RGB, and another
        deep = sample_bits(image, file) > 8
        return held + pixels * (16 if deep else 12)
    if isinstance(image, JpegImagePlugin.JpegImageFile) and not in_one_scan(file):
        shares = [across * down for _, across, down, _ in image.layer]  # whole coefficients
        return held + 2 * pixels * sum(shares) // max(shares, default=1)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.info.get("compression") != "raw":
        rows = min(image.tag_v2.get(278, image.height), image.height)  # of a strip
        part = max(rows * image.width, image.tag_v2.get(322, 0) * image.tag_v2.get(323, 0))
        return int(held + part * sum(image.tag_v2.get(258, (8,))) // 8)
    if needs_sixteen(image, file):  # decoded a second time
        return held + 8 * pixels
    return held + pixels * (4 if image.format == "GIF" else 0)
