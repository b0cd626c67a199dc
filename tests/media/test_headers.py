"""What the first bytes of a picture tell: transparent colours, bits a sample, camera raw, scans."""

from __future__ import annotations

import io
import struct
import subprocess
import zlib
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vtg_cli.errors import MediaError
from vtg_cli.media import headers
from vtg_cli.media.image import read_image, read_picture

Values = NDArray[np.int64]


def png(bits: int, values: Values, clear: tuple[int, ...]) -> bytes:
    """[H, W] or [H, W, 3] in a depth of 1 to 16 bits, with one transparent colour."""
    height, width = values.shape[:2]
    rows = b""
    for row in values:
        packed = "".join(format(int(value), f"0{bits}b") for value in row.ravel())
        rows += b"\0" + int(packed.ljust(-(-len(packed) // 8) * 8, "0"), 2).to_bytes(
            -(-len(packed) // 8), "big"
        )
    kind = 0 if values.ndim == 2 else 2
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)),
        (b"tRNS", struct.pack(f">{len(clear)}H", *clear)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_transparent_grey_of_every_depth(bits: int, tmp_path: Path) -> None:
    highest = (1 << bits) - 1
    values = np.linspace(0, highest, 16).round().astype(np.int64)[None].repeat(2, 0)
    for clear in {0, highest // 2, highest}:
        (tmp_path / "a.png").write_bytes(png(bits, values, (clear,)))
        pixels = read_image(tmp_path / "a.png", keep_alpha=True)
        expected = np.rint(values * 255 / highest)
        assert np.abs(pixels[..., 0] - expected).max() == 0
        assert np.array_equal(pixels[..., 3], np.where(values == clear, 0, 255))


def test_bits_above_the_depth_of_a_transparent_colour_do_not_count(tmp_path: Path) -> None:
    """The specification: only the lowest bits of the sample depth are used."""
    values = np.array([[0, 1, 2, 3]])
    (tmp_path / "a.png").write_bytes(png(2, values, (0xFF02,)))
    assert read_image(tmp_path / "a.png", keep_alpha=True)[0, :, 3].tolist() == [255, 255, 0, 255]
    colours = np.array([[[1, 2, 3], [4, 5, 6]]])
    (tmp_path / "a.png").write_bytes(png(8, colours, (0x0104, 5, 6)))
    assert read_image(tmp_path / "a.png", keep_alpha=True)[0, :, 3].tolist() == [255, 0]


def test_a_transparent_colour_of_16_bits_is_meant_exactly(tmp_path: Path) -> None:
    """Equal in the high bytes is not equal."""
    colours = np.array([[[65535, 65535, 65535], [65535, 65535, 65534], [40000, 0, 255]]])
    (tmp_path / "a.png").write_bytes(png(16, colours, (65535, 65535, 65535)))
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels[0, :, 3].tolist() == [0, 255, 255]
    assert np.array_equal(picture.pixels[..., :3], colours >> 8)
    assert picture.notes == ("samples of 16 bits are reduced to 8",)


def tiff(*entries: tuple[int, int, int]) -> bytes:
    """The header and one directory of single values: (tag, type 3 or 4, value)."""
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4)


PREVIEW = [(254, 4, 1), (256, 4, 16), (257, 4, 16), (262, 3, 2)]
RAW = {
    "adobe.dng": tiff(*PREVIEW, (330, 4, 900), (50706, 4, 0x401)),
    "nikon.nef": tiff(*PREVIEW, (330, 4, 900)),
    "pentax.pef": tiff((254, 4, 0), (256, 4, 16), (257, 4, 16), (262, 3, 32803)),
    "canon.cr2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(60),
    "canon.cr3": b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(60),
    "fuji.raf": b"FUJIFILMCCD-RAW 0201" + bytes(60),
    "olympus.orf": b"IIRO\x08\0\0\0" + bytes(60),
    "panasonic.rw2": b"IIU\0\x18\0\0\0" + bytes(60),
}


@pytest.mark.parametrize("name", RAW)
def test_camera_raw_is_refused(name: str, tmp_path: Path) -> None:
    """Their first picture is a preview, which was drawn in place of the photograph."""
    path = tmp_path / name
    path.write_bytes(RAW[name])
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert caught.value.message == (
        f"{path} is a camera's raw file, of which only the preview could be read"
    )
    assert caught.value.hint == "develop it to tiff, png or jpg first"
    assert caught.value.exit_code == 7


def test_a_tiff_of_several_pages_is_no_raw_and_says_what_is_taken(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (8, 6), colour) for colour in ("#ff0000", "#0000ff"))
    for name in ("a.tiff", "a.gif", "a.webp", "a.png", "a.avif"):
        first.save(tmp_path / name, save_all=True, append_images=[second])
        picture = read_picture(tmp_path / name)
        assert picture.notes == ("only the first of several pictures in the file is taken",)
        assert picture.pixels[0, 0, 0] > 250
        first.save(tmp_path / name)
        assert read_picture(tmp_path / name).notes == ()


def test_depth_is_told_of_every_format(tmp_path: Path) -> None:
    grey = Image.fromarray(np.full((4, 4), 40000, np.uint16))
    for name in ("a.png", "a.tiff", "a.pgm"):
        grey.save(tmp_path / name)
        assert read_picture(tmp_path / name).notes == ("samples of 16 bits are reduced to 8",)
    (tmp_path / "a.ppm").write_bytes(b"P6\n# of 16 bits\n1 1\n65535\n" + b"\x80\0" * 3)
    assert read_picture(tmp_path / "a.ppm").notes == ("samples of 16 bits are reduced to 8",)
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tiff")
    assert read_picture(tmp_path / "a.tiff").notes == ("samples of 32 bits are reduced to 8",)
    source = "-v error -f lavfi -i color=red:s=16x16 -frames:v 1 -c:v libaom-av1 -cpu-used 8"
    how = f"{source} -pix_fmt yuv420p10le -still-picture 1 {tmp_path / 'a.avif'}"
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *how.split()], check=True)
    assert read_picture(tmp_path / "a.avif").notes == ("samples of 10 bits are reduced to 8",)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_scans_of_a_jpeg(mode: str) -> None:
    for progressive in (False, True):
        buffer = io.BytesIO()
        Image.new(mode, (32, 16)).save(buffer, "JPEG", progressive=progressive)
        assert headers.in_one_scan(buffer) is not progressive
    assert not headers.in_one_scan(io.BytesIO(buffer.getvalue()[:20]))


def test_what_is_read_may_be_bytes_in_memory(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    assert np.array_equal(read_picture(buffer, name="picture 1").pixels, pixels)
    with pytest.raises(MediaError) as caught:
        read_picture(io.BytesIO(buffer.getvalue()[:-60]), name="picture 2")
    assert caught.value.message == "picture 2 is damaged or cut short"
