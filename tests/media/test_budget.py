"""Small files that hold large pictures: refused by their header, or decoded within the budget."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from vtg_cli.errors import MediaError
from vtg_cli.media import budget
from vtg_cli.media.image import read_image


def png(width: int, height: int, colour: int, depth: int = 8) -> bytes:
    """A header and pixels that are not there: only who decodes would notice."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1 << 20))),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def tiff(width: int, height: int, bits: int, form: int) -> bytes:
    """One strip, packed by deflate; form: 1 unsigned, 3 float."""
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 8), (262, 3, 1),
        (273, 4, 512), (277, 3, 1), (278, 4, height), (279, 4, 64), (339, 3, form),
    ]  # fmt: skip
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4)
    return head.ljust(512, b"\0") + bytes(64)


def encoded(kind: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind, **options)
    return buffer.getvalue()


def webp(width: int, height: int) -> bytes:
    """A lossless one of 8x8 that says it is larger."""
    data = bytearray(encoded("WEBP", (8, 8), "RGBA", lossless=True))
    at = data.index(b"VP8L") + 9
    data[at : at + 4] = struct.pack("<I", width - 1 | height - 1 << 14 | 1 << 28)
    return bytes(data)


def progressive(width: int, height: int) -> bytes:
    """A progressive jpeg of 8x8, in 4:2:0, that says it is larger."""
    data = bytearray(encoded("JPEG", (8, 8), progressive=True))
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


LARGE = {
    "colour.png": (lambda: png(13000, 13000, 2), "13000x13000", "1.2 GB"),
    "alpha.png": (lambda: png(13000, 13000, 6), "13000x13000", "1.4 GB"),
    "float.tiff": (lambda: tiff(12000, 12000, 32, 3), "12000x12000", "1.6 GB"),
    "sixteen.tiff": (lambda: tiff(13300, 13300, 16, 1), "13300x13300", "1.2 GB"),
    "alpha.webp": (lambda: webp(16000, 11000), "16000x11000", "4.2 GB"),
    "progressive.jpg": (lambda: progressive(11000, 11000), "11000x11000", "1.2 GB"),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_would_take_more_than_the_budget_is_refused(name: str, tmp_path: Path) -> None:
    make, size, needed = LARGE[name]
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert caught.value.message == (
        f"{path} ({size}) would take {needed} to decode, and 1.1 GB is the limit for a picture"
    )
    assert caught.value.hint == "make it smaller with an image editor"
    assert caught.value.exit_code == 7


PEAK = """
import sys
from PIL import Image
from vtg_cli.media import budget, colour
from vtg_cli.media.image import read_image

colour.BAND = 1 << 16

def peak(what):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if what in line) * 1024

for name in sys.argv[1:]:
    with open(name, "rb") as file:
        told = budget.decoding(Image.open(file), file)
    open("/proc/self/clear_refs", "w").write("5")
    before = peak("VmRSS")
    pixels = read_image(name, keep_alpha=True)
    print(name, told, peak("VmHWM") - before)
    del pixels
"""
SIZE = (1600, 1250)
KINDS = [
    ("rgb.png", "RGB", {}),
    ("rgba.png", "RGBA", {}),
    ("turned.png", "RGB", {"exif": {0x112: 6}}),
    ("rgb.jpg", "RGB", {}),
    ("progressive.jpg", "RGB", {"progressive": True, "subsampling": 0}),
    ("float.tiff", "F", {"compression": "tiff_deflate"}),
    ("sixteen.tiff", "I;16", {"compression": "tiff_lzw"}),
    ("alpha.webp", "RGBA", {"lossless": True, "method": 0}),
    ("colour.webp", "RGB", {"method": 0}),
    ("alpha.avif", "RGBA", {"speed": 10, "subsampling": "4:4:4"}),
    ("palette.gif", "P", {}),
]


def test_decoding_takes_no_more_than_is_told(tmp_path: Path) -> None:
    for name, mode, options in KINDS:
        options = dict(options)
        if (turned := options.get("exif")) is not None:
            options["exif"] = Image.Exif()
            options["exif"].update(turned)
        Image.new(mode, SIZE).save(tmp_path / name, **options)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *[name for name, _, _ in KINDS]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, _, _ in lines] == [name for name, _, _ in KINDS]
    slack = 6e6  # parts of 65536 pixels in a few copies, and what an allocator keeps
    for name, told, taken in lines:
        assert int(taken) <= int(told) + slack, name


def test_the_budget_keeps_two_keyframes_under_2_gb() -> None:
    """The first one stays, the second is decoded; beside them a process of 0.4 GB."""
    largest = budget.BYTES // 7  # pixels of RGB: four bytes of Pillow's, three of ours
    assert 3 * largest + budget.BYTES + 0.4e9 < 2e9
    assert largest > 151e6  # the largest camera there is, in one piece
