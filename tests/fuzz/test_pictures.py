"""Damaged pictures of every kind that is read."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from fuzzing import COMMAND, cases, command, hold
from mutators import damaged, summed
from PIL import Image

from vtg_cli.media.image import read_image


def encoded(kind: str, mode: str, **options: object) -> bytes:
    """A picture of 20 x 12 in a mode of Pillow's."""
    y, x = np.mgrid[:12, :20]
    picture = Image.fromarray(
        np.stack([x * 12, y * 20, (x + y) * 8, x * y + 20], -1).astype(np.uint8)
    )
    if mode == "I;16":
        picture = Image.fromarray((x * 3000 + y).astype(np.uint16))
    elif mode == "F":
        picture = Image.fromarray((x / 20 + y / 30).astype(np.float32))
    else:
        picture = picture.convert(mode)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def turned() -> bytes:
    """EXIF that asks for a turn by 90 degrees."""
    exif = Image.Exif()
    exif[274] = 6
    return exif.tobytes()


def raw() -> bytes:
    """What a camera's raw file looks like: a preview, and the picture in a directory below it."""
    out = bytearray(b"II*\0\0\0\0\0")

    def put(content: bytes) -> int:
        out.extend(content + b"\0" * (len(content) % 2))
        return len(out) - len(content) - len(content) % 2

    def directory(*entries: tuple[int, int, int, int]) -> int:
        body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
        return put(struct.pack("<H", len(entries)) + body + bytes(4))

    def strip(width: int, height: int, how: int) -> list[tuple[int, int, int, int]]:
        bits, data = put(struct.pack("<HHH", 8, 8, 8)), put(bytes(range(256)) * 12)
        return [
            *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, bits), (259, 3, 1, 1)),
            *((262, 3, 1, how), (273, 4, 1, data), (277, 3, 1, 3), (278, 4, 1, height)),
            (279, 4, 1, width * height * 3),
        ]

    below = directory((254, 4, 1, 0), *strip(32, 24, 34892))
    first = strip(16, 12, 2)
    version = (50706, 1, 4, 0x00000401)
    out[4:8] = struct.pack("<I", directory((254, 4, 1, 1), *first, (330, 4, 1, below), version))
    return bytes(out)


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "png": lambda: [
        encoded("PNG", "RGBA"),
        encoded("PNG", "P", transparency=3, exif=turned()),
        encoded("PNG", "I;16"),
        encoded("PNG", "1"),
        encoded("PNG", "RGB", save_all=True, append_images=[Image.new("RGB", (20, 12))]),
    ],
    "jpeg": lambda: [
        encoded("JPEG", "RGB", exif=turned()),
        encoded("JPEG", "L", progressive=True),
        encoded("JPEG", "CMYK", icc_profile=b"\0\0\0\x80ADBE" + bytes(120)),
    ],
    "webp": lambda: [
        encoded("WEBP", "RGB"),
        encoded("WEBP", "RGBA", lossless=True, exif=turned()),
        encoded("WEBP", "RGB", save_all=True, append_images=[Image.new("RGB", (20, 12))]),
    ],
    "tiff": lambda: [
        encoded("TIFF", "RGB"),
        encoded("TIFF", "I;16", compression="tiff_lzw"),
        encoded("TIFF", "F"),
        encoded("TIFF", "RGBA", compression="tiff_adobe_deflate"),
        encoded("TIFF", "CMYK"),
        encoded("TIFF", "1", compression="group4"),
    ],
    "gif": lambda: [
        encoded("GIF", "P", transparency=2),
        encoded("GIF", "L", save_all=True, append_images=[Image.new("L", (20, 12), 9)]),
    ],
    "bmp": lambda: [encoded("BMP", mode) for mode in ("RGB", "P", "1", "RGBA")],
    "avif": lambda: [encoded("AVIF", "RGBA", quality=50), encoded("AVIF", "RGB", exif=turned())],
    "dng": lambda: [raw()],
    "ppm": lambda: [
        encoded("PPM", "RGB"),
        encoded("PPM", "1"),
        b"P3 2 2 255\n" + b"1 2 3 " * 4,
        b"P2\n# a word\n3 1 65535\n0 9 65535\n",
        b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.5, 2),
    ],
}


@pytest.mark.parametrize("kind", SEEDS)
@cases()
def test_pictures(kind: str, numbers: range, tmp_path: Path) -> None:
    seeds, place = SEEDS[kind](), tmp_path / f"case.{kind}"

    def make(rng: Random) -> Random:
        content = damaged(rng, *seeds)
        place.write_bytes(summed(content) if kind == "png" and rng.random() < 0.6 else content)
        return rng

    def read(rng: Random) -> None:
        pixels = read_image(place, keep_alpha=rng.random() < 0.5)
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (3, 4)

    hold(kind, numbers, make, read, tmp_path)


@pytest.mark.parametrize("kind", SEEDS)
@cases(COMMAND)
def test_pictures_as_keyframes(kind: str, numbers: range, tmp_path: Path) -> None:
    seeds, place = SEEDS[kind](), tmp_path / f"case.{kind}"

    def make(rng: Random) -> list[str]:
        place.write_bytes(damaged(rng, *seeds))
        first = tmp_path / "first.png"
        Image.new("RGB", (20, 12), (9, 200, 30)).save(first)
        name = str(tmp_path / "clip.mp4")
        return ["interpolate", str(first), str(place), "--model", "flow", "-o", name, "--dry-run"]

    hold(f"{kind} by command", numbers, make, command, tmp_path)
