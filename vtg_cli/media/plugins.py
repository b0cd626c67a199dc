"""Kinds of pictures that need an extra package: heic and jxl, which Pillow learns to open, and exr.

Each is told from the file's first bytes, and where its package is missing, one sentence says how to
get it.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import IO

from vtg_cli.errors import MediaError
from vtg_cli.media.budget import check_bytes

EXR = b"v/1\x01"
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_JXL_STREAM, _JXL_BOXES = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def learn(file: IO[bytes], name: str) -> None:
    """Let Pillow know the file's kind, if a package does. Raise MediaError if it is missing."""
    file.seek(0)
    head = file.read(64)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS and b"avif" not in head:
        needed("pillow_heif", "heif", "heic", name).register_heif_opener()
    elif head.startswith((_JXL_STREAM, _JXL_BOXES)):
        needed("pillow_jxl", "jxl", "jpeg xl", name)  # importing it registers it
        width, height = _jxl_size(file)  # it decodes the whole picture when it opens one
        check_bytes(name, (width, height), 14 * width * height)


def needed(package: str, extra: str, kind: str, name: str) -> ModuleType:
    """Return the package that reads pictures of a kind. Raise MediaError if it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MediaError(
            f"{name} is {'an' if kind[0] in 'aeiou' else 'a'} {kind} picture, which needs an extra "
            "package",
            f"pip install 'vtg-cli[{extra}]'",
            subject=name,
        ) from error


def _jxl_size(file: IO[bytes]) -> tuple[int, int]:
    """Return (width, height) by the header of a jxl; (0, 0) if it has none."""
    file.seek(0)
    data = file.read(1 << 16)
    if data.startswith(_JXL_BOXES):
        places = [at for box in (b"jxlc", b"jxlp") if (at := data.find(box)) >= 0]
        if not places:
            return 0, 0
        at = min(places)
        data = data[at + (8 if data[at : at + 4] == b"jxlp" else 4) :]
    bits = int.from_bytes(data[2:18], "little")  # what is written first is lowest

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    across, down = _RATIOS.get(take(3), (0, 1))
    return (height * across // down if across else side()), height
