"""Facts of a picture file that Pillow does not tell, read from its first bytes: colour code points,
bits a sample, camera raw, and whether a jpeg is decoded in one go.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import IO

from PIL import Image, TiffImagePlugin

from vtg_cli.media.light import CodePoints

_PREVIEW, _COLOURS, _DIRECTORIES, _DNG = 254, 262, 330, 50706  # tags of tiff
_SENSOR = (32803, 34892)  # photometric: colour filter array, linear raw
_RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_PPM = re.compile(rb"P\d(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(\d+)\s")


def code_points(file: IO[bytes], kind: str | None) -> CodePoints | None:
    """Return those of a PNG (cICP), AVIF or HEIF (nclx), or None. kind: Pillow's format name."""
    if kind == "PNG":
        for name, data in _chunks(file):
            if name == b"cICP" and len(data) == 4 and data[3] == 1:  # full range
                return CodePoints(data[0], data[1])
    elif kind in ("AVIF", "HEIF"):
        for name, data in _properties(file):
            if name == b"colr" and data[:4] == b"nclx" and len(data) >= 8:
                return CodePoints(*struct.unpack(">HH", data[4:8]))
    return None


def notes(image: Image.Image, file: IO[bytes]) -> tuple[str, ...]:
    """Return what reading leaves out of a picture that is opened, not loaded, a sentence each."""
    left_out = []
    if _several(image, file):
        left_out.append("only the first of several pictures in the file is taken")
    if (bits := sample_bits(image, file)) > 8:
        left_out.append(f"samples of {bits} bits are reduced to 8")
    return tuple(left_out)


def _several(image: Image.Image, file: IO[bytes]) -> bool:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        file.seek(0)
        order = "<" if file.read(1) == b"I" else ">"
        file.seek(4)
        start = struct.unpack(order + "I", file.read(4))[0]
        file.seek(start)
        count = struct.unpack(order + "H", file.read(2))[0]
        file.seek(start + 2 + 12 * count)
        return file.read(4) not in (b"", bytes(4))
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def sample_bits(image: Image.Image, file: IO[bytes]) -> int:
    """Return the bits a sample of the opened picture; 8 unless the file states more."""
    if image.format == "PNG":
        return _png_depth(file)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(258, (8,))))
    if image.format in ("AVIF", "HEIF"):
        listed = _properties(file)
        bits = [max(data[5:]) for name, data in listed if name == b"pixi" and len(data) > 5]
        return max(bits, default=8)
    if image.format == "PPM":
        file.seek(0)
        match = _PPM.match(file.read(512))
        return 16 if match and int(match[1]) > 255 else 8
    return 32 if image.mode == "F" else 16 if image.mode[0] == "I" else 8


def needs_sixteen(image: Image.Image, file: IO[bytes]) -> bool:
    """Return whether the 8 bits Pillow makes of a png's colours are too few.

    They are if a colour of 16 bits is marked as transparent, or if the curve is an HDR one.
    """
    if image.format != "PNG" or image.mode not in ("RGB", "RGBA") or _png_depth(file) < 16:
        return False
    points = code_points(file, "PNG")
    return "transparency" in image.info or (points is not None and points.steep)


def is_raw(file: IO[bytes]) -> bool:
    """Return whether it is a camera's raw file, whose first picture, if any, is only a preview."""
    file.seek(0)
    head = file.read(16)
    if head[4:12] == b"ftypcrx " or head.startswith(_RAW):
        return True
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return False
    order = "<" if head[:1] == b"I" else ">"
    tags = _directory(file, struct.unpack(order + "I", head[4:8])[0], order)
    reduced = bool(tags.get(_PREVIEW, 0) & 1)
    sensor = tags.get(_COLOURS) in _SENSOR
    return sensor or _DNG in tags or (reduced and _DIRECTORIES in tags) or head[8:10] == b"CR"


def in_one_scan(file: IO[bytes]) -> bool:
    """Return whether a jpeg's decoder needs no memory for the whole picture's coefficients."""
    file.seek(2)
    components = 0
    while len(head := file.read(4)) == 4 and head[0] == 0xFF:
        mark, length = head[1], struct.unpack(">H", head[2:])[0]
        if head[1] == 0xFF:  # filling
            file.seek(-3, 1)
            continue
        body = file.read(length - 2) if length >= 2 else b""
        if mark in (0xC2, 0xC6, 0xCA, 0xCE):
            return False
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC) and len(body) > 5:
            components = body[5]
        if mark == 0xDA:
            return bool(body) and body[0] == components
    return False


def _png_depth(file: IO[bytes]) -> int:
    file.seek(24)
    return (file.read(1) or b"\x08")[0]


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield a PNG's small chunks before its pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in (b"IDAT", b"IEND"):
            return
        if length > 256:
            file.seek(length + 4, 1)
            continue
        data = file.read(length)
        file.seek(4, 1)
        yield name, data


def _properties(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the item properties of an AVIF or HEIF; the picture's own come first."""
    file.seek(0)
    while len(head := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", head)
        if name == b"meta":
            meta = file.read(min(size, 1 << 20) - 8)[4:]
            for _, inner in _boxes(meta, b"iprp"):
                for _, listed in _boxes(inner, b"ipco"):
                    yield from _boxes(listed)
            return
        if size < 8:  # to the end of the file, or of 64 bits
            return
        file.seek(size - 8, 1)


def _boxes(data: bytes, wanted: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        if wanted in (None, name):
            yield name, data[at + 8 : at + size]
        at += size


def _directory(file: IO[bytes], offset: int, order: str) -> dict[int, int]:
    """Return each tag of a tiff's directory with its value, or with the offset of its values."""
    file.seek(offset)
    head = file.read(2)
    count = struct.unpack(order + "H", head)[0] if len(head) == 2 else 0
    tags = {}
    for _ in range(count):
        entry = file.read(12)
        if len(entry) < 12:
            break
        tag, kind, _, value = struct.unpack(order + "HHI4s", entry)
        form, size = ("H", 2) if kind == 3 else ("I", 4)
        tags[tag] = struct.unpack(order + form, value[:size])[0]
    return tags
