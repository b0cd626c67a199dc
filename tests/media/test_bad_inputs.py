"""Every unreadable picture: one clear sentence, exit code 7, no warning, nothing printed."""

from __future__ import annotations

import builtins
import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media.image import read_image, sha256_of

NOT_A_PICTURE = "is not a picture that can be read"
DAMAGED = "is damaged or cut short"
TOO_LARGE = "has more than 179 megapixels, the limit for a picture"
READABLE = "readable are png, jpg, webp, bmp, gif, tiff, ppm, avif, heic, jxl, exr"


def noise(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Noise does not compress, so that cutting a file short always cuts pixels."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], bands), np.uint8)
    return Image.fromarray(pixels.squeeze())


def encoded(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    noise().save(buffer, kind, **options)
    return buffer.getvalue()


def half(kind: str, **options: Any) -> bytes:
    whole = encoded(kind, **options)
    return whole[: len(whole) // 2]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def float_tiff(*values: float) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.array([values], np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


def int_tiff(*values: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.array([values], np.int32)).save(buffer, "TIFF")
    return buffer.getvalue()


def flipped_bit(data: bytes, where: bytes, offset: int) -> bytes:
    at = data.index(where) + offset
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.png": (lambda: b"", "is empty (0 bytes)"),
    "text.png": (lambda: b"not a picture at all\n" * 9, NOT_A_PICTURE),
    "one_byte.jpg": (lambda: b"\xff", NOT_A_PICTURE),
    "zeros.bin": (lambda: bytes(4096), NOT_A_PICTURE),
    "page.html": (lambda: b"<!doctype html><html></html>", NOT_A_PICTURE),
    "drawing.svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', NOT_A_PICTURE),
    "program.eps": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NOT_A_PICTURE),
    "paper.pdf": (lambda: b"%PDF-1.7\n1 0 obj\n", NOT_A_PICTURE),
    "clip.mp4": (
        lambda: b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41",
        "is a clip, not a picture",
    ),
    "sound.wav": (lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(28), NOT_A_PICTURE),
    "archive.zip": (lambda: b"PK\x03\x04" + bytes(60), NOT_A_PICTURE),
    "array.npy": (lambda: b"\x93NUMPY\x01\0" + bytes(120), NOT_A_PICTURE),
    "signature_only.png": (
        lambda: b"\x89PNG\r\n\x1a\n",
        "starts like png, but is damaged or of an unknown kind",
    ),
    "no_width.png": (lambda: png(0, 5), "starts like png, but is damaged or of an unknown kind"),
    "unknown_depth.png": (
        lambda: png(4, 4, depth=3),
        "starts like png, but is damaged or of an unknown kind",
    ),
    "no_pixels.png": (lambda: png(4, 4), DAMAGED),
    "half.png": (lambda: half("PNG"), DAMAGED),
    "bad_header_sum.png": (
        lambda: flipped_bit(encoded("PNG"), b"IHDR", 18),
        "starts like png, but is damaged or of an unknown kind",
    ),
    "bad_pixels.png": (lambda: png(4, 4, chunk(b"IDAT", b"this is not zlib")), DAMAGED),
    "text_bomb.png": (
        lambda: png(4, 4, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(99 << 20)))),
        DAMAGED,
    ),
    "huge.png": (lambda: png(50000, 50000), TOO_LARGE),
    "just_too_large.png": (lambda: png(178_956_971, 1, colour=0), TOO_LARGE),
    "bomb.png": (
        lambda: png(20000, 20000, chunk(b"IDAT", zlib.compress(bytes(9 << 20)))),
        TOO_LARGE,
    ),
    "huge.gif": (
        lambda: (
            b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;"
        ),
        TOO_LARGE,
    ),
    "huge.bmp": (
        lambda: (
            b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 60000, 60000, 1, 24, *[0] * 6)
        ),
        TOO_LARGE,
    ),
    "half.jpg": (lambda: half("JPEG"), DAMAGED),
    "half_progressive.jpg": (lambda: half("JPEG", progressive=True), DAMAGED),
    "start.jpg": (lambda: encoded("JPEG")[:30], DAMAGED),
    "no_height.jpg": (
        lambda: encoded("JPEG").replace(b"\xff\xc0\0\x11\x08\0\x30", b"\xff\xc0\0\x11\x08\0\0"),
        "starts like jpg, but is damaged or of an unknown kind",
    ),
    "half.gif": (lambda: half("GIF"), DAMAGED),
    "half.webp": (lambda: half("WEBP", lossless=True), DAMAGED),
    "half.bmp": (lambda: half("BMP"), DAMAGED),
    "half.tiff": (lambda: half("TIFF"), DAMAGED),
    "half_packed.tiff": (
        lambda: half("TIFF", compression="tiff_lzw"),
        "starts like tiff, but is damaged or of an unknown kind",
    ),
    "half.avif": (lambda: half("AVIF"), "starts like avif, but is damaged or of an unknown kind"),
    "start.avif": (
        lambda: encoded("AVIF")[:40],
        "starts like avif, but is damaged or of an unknown kind",
    ),
    "half.ppm": (lambda: half("PPM"), DAMAGED),
    "float_255.tiff": (
        lambda: float_tiff(0, 255),
        "holds float samples from 0 to 255, and only 0 to 1 has a known meaning",
    ),
    "not_a_number.tiff": (
        lambda: float_tiff(0, float("nan")),
        "holds float samples from nan to nan",
    ),
    "int32.tiff": (
        lambda: int_tiff(-1, 70000),
        "holds 32-bit samples from -1 to 70000, and only 0 to 65535 has a known meaning",
    ),
    "phone.heic": (
        lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64),
        "is a heic picture, which needs an extra package",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_in_one_sentence(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as where the extra is not installed
    make, expected = FILES[name]
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert caught.value.message.startswith(f"{path} {expected}")
    assert caught.value.message.count("\n") == 0
    assert caught.value.exit_code == 7
    assert caught.value.subject == str(path)
    assert capfd.readouterr() == ("", "")  # libtiff and libjpeg would print to stderr themselves


PLACES: dict[str, tuple[Callable[[Path], str], str]] = {
    "missing": (lambda at: str(at / "no.png"), "no such file: {path}"),
    "missing folder": (lambda at: str(at / "no" / "a.png"), "no such file: {path}"),
    "folder": (lambda at: str(at), "{path} is a folder, not a picture"),
    "link to nothing": (
        lambda at: link(at / "a.png", "gone.png"),
        "{path} is a link to a missing file",
    ),
    "link to itself": (lambda at: link(at / "a.png", "a.png"), "cannot read {path}: "),
    "file as a folder": (lambda at: touched(at / "f") + "/a.png", "cannot read {path}: "),
    "too long a name": (lambda at: str(at / ("n" * 300)), "cannot read {path}: "),
    "zero byte in the name": (lambda at: str(at / "a\0.png"), "cannot read {path}: "),
    "pipe": (lambda at: fifo(at / "pipe.png"), "{path} is not a regular file"),
    "device": (lambda at: os.devnull, "{path} is not a regular file"),
}


def link(path: Path, target: str) -> str:
    path.symlink_to(target)
    return str(path)


def touched(path: Path) -> str:
    path.write_bytes(b"x")
    return str(path)


def fifo(path: Path) -> str:
    os.mkfifo(path)
    return str(path)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("reader", [read_image, sha256_of])
def test_a_bad_place_is_refused_in_one_sentence(
    place: str, reader: Callable[[str], object], tmp_path: Path
) -> None:
    make, expected = PLACES[place]
    path = make(tmp_path)
    with pytest.raises(MediaError) as caught:
        reader(path)
    assert caught.value.message.startswith(expected.format(path=path))
    assert caught.value.exit_code == 7
    assert caught.value.subject == path


def test_no_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded("PNG"))

    def refuse(*arguments: object) -> None:  # a mode of 000 does not stop root, who may run tests
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(MediaError) as caught:
        read_image(path)
    monkeypatch.undo()
    assert caught.value.message == f"no permission to read {path}"
    assert caught.value.exit_code == 7


def test_hints_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for name, hint in (
        ("phone.heic", "pip install 'vtg-cli[heif]'"),
        ("text.png", READABLE),
        ("huge.png", "make it smaller with an image editor"),
        ("float_255.tiff", "save it as 8 or 16 bits"),
    ):
        path = tmp_path / name
        path.write_bytes(FILES[name][0]())
        with pytest.raises(MediaError) as caught:
            read_image(path)
        assert caught.value.hint == hint


def test_the_limit_holds_when_pillows_own_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    path = tmp_path / "huge.png"
    path.write_bytes(png(50000, 50000))
    with pytest.raises(MediaError, match=TOO_LARGE):
        read_image(path)


def test_an_unknown_background_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown colour 'whitish'") as caught:
        read_image(tmp_path / "not even there.png", background="whitish")
    assert caught.value.exit_code == 2


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()

ODD: dict[str, Callable[[], bytes]] = {
    "broken profile": lambda: encoded("PNG", icc_profile=b"no profile at all"),
    "cut profile": lambda: encoded("PNG", icc_profile=SRGB[:200]),
    "garbled profile": lambda: encoded("PNG", icc_profile=SRGB[:16] + b"\xa4GB " + SRGB[20:]),
    "wrong kind of profile": lambda: encoded("PNG", icc_profile=LAB),
    "broken exif": lambda: encoded("PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "orientation 9": lambda: encoded("PNG", exif=exif(9)),
    "orientation 0": lambda: encoded("PNG", exif=exif(0)),
    "wrong suffix": lambda: encoded("BMP"),
    "bytes after the end": lambda: encoded("PNG") + b"trailing",
}


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize("oddity", ODD)
def test_an_odd_but_readable_file_is_read_as_if_it_were_plain(oddity: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(ODD[oddity]())
    np.testing.assert_array_equal(read_image(path), np.asarray(noise()))
