"""Colours told by H.273's code points, against the formulas of BT.2100 and against zimg."""

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
from PIL import Image, ImageCms

from vtg_cli.media.image import read_image, read_picture

Pixels = NDArray[np.uint8]
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
CLIPPED = "is brought to sRGB: light above 203 cd/m2 is clipped"


def png(values: NDArray[np.integer], *chunks: tuple[bytes, bytes]) -> bytes:
    """[H, W, 3 or 4] of uint8 or uint16, with chunks before its pixels."""
    height, width, channels = values.shape
    bits = 8 * values.itemsize
    header = struct.pack(">IIBBBBB", width, height, bits, {3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{values.itemsize}").tobytes() for row in values)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, 1])


def avif(pixels: Pixels, primaries: int, transfer: int, **options: object) -> bytes:
    """As Pillow writes it, with other code points in its nclx box."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "AVIF", quality=100, subsampling="4:4:4", **options)
    data = buffer.getvalue()
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def colours(count: int, dtype: type[np.integer] = np.uint8) -> NDArray[np.integer]:
    highest = np.iinfo(dtype).max
    return np.random.default_rng(5).integers(0, highest + 1, (8, count, 3), dtype)


def zimg(pixels: Pixels, description: str) -> Pixels:
    """The same conversion by ffmpeg's zscale, in floats, to sRGB of 8 bits."""
    height, width, _ = pixels.shape
    done = subprocess.run(
        [
            *(FFMPEG, "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
            *("-s", f"{width}x{height}", "-i", "pipe:0", "-vf"),
            f"format=gbrp,zscale=matrixin=gbr:rangein=full:{description}:primaries=bt709:"
            "transfer=linear:matrix=gbr:range=full:npl=203,format=gbrpf32le",
            *("-f", "rawvideo", "-pix_fmt", "gbrpf32le", "pipe:1"),
        ],
        input=pixels.tobytes(),
        capture_output=True,
        check=True,
    )
    planes = np.frombuffer(done.stdout, np.float32).reshape(3, height, width)
    return srgb(np.stack([planes[2], planes[0], planes[1]], axis=-1))


def srgb(light: NDArray[np.floating]) -> Pixels:
    light = np.clip(light.astype(float), 0, 1)
    return np.rint(
        255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    ).astype(np.uint8)


@pytest.mark.parametrize(
    ("points", "description"),
    [
        ((12, 13), "primariesin=smpte432:transferin=iec61966-2-1"),
        ((9, 13), "primariesin=2020:transferin=iec61966-2-1"),
        ((9, 16), "primariesin=2020:transferin=smpte2084"),
        ((12, 16), "primariesin=smpte432:transferin=smpte2084"),
        ((1, 16), "primariesin=709:transferin=smpte2084"),
        ((1, 8), "primariesin=709:transferin=linear"),
        ((6, 4), "primariesin=170m:transferin=bt470m"),
    ],
)
def test_code_points_of_a_png_are_converted_as_zimg_does(
    points: tuple[int, int], description: str, tmp_path: Path
) -> None:
    pixels = colours(64).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels, cicp(*points)))
    gap = np.abs(read_image(tmp_path / "a.png").astype(int) - zimg(pixels, description))
    # both in float32 and rounded once: a level at most where the sum falls beside a half
    assert gap.max() <= 1


def test_hlg_is_shown_as_bt_2100_has_it(tmp_path: Path) -> None:
    """On a display of 1000 cd/m2: the scene's light by the inverse OETF, system gamma 1.2."""
    pixels = colours(64).astype(np.uint8)
    signal = pixels / 255
    scene = np.where(
        signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    luminance = scene @ [0.2627, 0.6780, 0.0593]
    display = 1000 * luminance[..., None] ** 0.2 * scene
    to_709 = np.array(  # BT.2087
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    )
    (tmp_path / "a.png").write_bytes(png(pixels, cicp(9, 18)))
    gap = np.abs(read_image(tmp_path / "a.png").astype(int) - srgb(display @ to_709.T / 203))
    # BT.2087 has four digits: 5e-5 x 3 colours x up to 4.9 of light, steepest at black (12.92)
    assert gap.max() <= max(1, np.ceil(255 * 12.92 * 3 * 5e-5 * 1000 / 203))
    assert np.mean(gap > 1) < 0.1


@pytest.mark.parametrize(
    ("transfer", "signal", "nits"),  # table 1 of BT.2408, in hundredths of the signal
    [(16, 0.58, 203), (18, 0.75, 203), (16, 0.38, 26), (18, 0.38, 26)],
)
def test_reference_levels_of_bt_2408(
    transfer: int, signal: float, nits: float, tmp_path: Path
) -> None:
    code = np.full((1, 1, 3), round(65535 * signal), np.uint16)
    (tmp_path / "a.png").write_bytes(png(code, cicp(9, transfer)))
    value = int(read_image(tmp_path / "a.png")[0, 0, 0])
    # the table is rounded to 0.5 % of signal: 4 % of light at these places, 2 % of code value
    assert abs(value - int(srgb(np.array([nits / 203]))[0])) <= 0.02 * 255


def test_hdr_in_16_bits_is_not_first_cut_to_8(tmp_path: Path) -> None:
    """Steps of PQ within one 8-bit level stay apart."""
    ramp = np.arange(0x6000, 0x6300, dtype=np.uint16)
    values = np.repeat(ramp[None, :, None], 3, axis=2)
    (tmp_path / "a.png").write_bytes(png(values, cicp(9, 16)))
    grey = read_image(tmp_path / "a.png")[0, :, 0]
    by_eight = np.repeat((values >> 8).astype(np.uint8), 1, axis=0)
    (tmp_path / "b.png").write_bytes(png(by_eight, cicp(9, 16)))
    assert len(np.unique(grey)) > len(np.unique(read_image(tmp_path / "b.png")[0, :, 0]))
    assert (np.diff(grey.astype(int)) >= 0).all()


def test_code_points_of_an_avif_are_converted(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), (200, 60, 90), np.uint8)
    path = tmp_path / "a.avif"
    path.write_bytes(avif(pixels, 1, 13))
    plain = read_image(path)  # as the codec gives it back
    path.write_bytes(avif(pixels, 12, 13))
    expected = zimg(plain, "primariesin=smpte432:transferin=iec61966-2-1")
    assert np.abs(read_image(path).astype(int) - expected).max() <= 1
    assert np.abs(expected.astype(int) - plain).max() > 10  # and that is a difference
    path.write_bytes(avif(pixels, 9, 16))
    expected = zimg(plain, "primariesin=2020:transferin=smpte2084")
    assert np.abs(read_image(path).astype(int) - expected).max() <= 1
    assert read_picture(path).notes == (f"HDR (PQ) {CLIPPED}",)


def test_a_profile_comes_before_nclx_and_after_cicp(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), (200, 60, 90), np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "a.avif"
    path.write_bytes(avif(pixels, 1, 13))
    plain = read_image(path)
    with_profile = io.BytesIO()
    Image.fromarray(pixels).save(
        with_profile, "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile
    )
    path.write_bytes(with_profile.getvalue())
    assert np.array_equal(read_image(path), plain)
    packed = (b"iCCP", b"sRGB\0\0" + zlib.compress(profile))
    (tmp_path / "a.png").write_bytes(png(pixels, cicp(12, 13), packed))
    (tmp_path / "b.png").write_bytes(png(pixels, cicp(12, 13)))
    assert np.array_equal(read_image(tmp_path / "a.png"), read_image(tmp_path / "b.png"))
    assert not np.array_equal(read_image(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("points", [(1, 13), (1, 1), (1, 6), (2, 2), (2, 13)])
def test_code_points_that_are_srgb_s_leave_the_bytes(
    points: tuple[int, int], tmp_path: Path
) -> None:
    pixels = colours(16).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels, cicp(*points)))
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, pixels)
    assert picture.notes == ()


def test_unknown_code_points_are_told_and_alpha_is_kept(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 6, 4), np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels, cicp(22, 13)))
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, pixels)
    assert picture.notes == ("colour code points 22/13 of H.273 are not known here: taken as sRGB",)
    (tmp_path / "a.png").write_bytes(png(pixels, cicp(12, 13)))
    kept = read_image(tmp_path / "a.png", keep_alpha=True)
    assert np.array_equal(kept[..., 3], pixels[..., 3])
    assert not np.array_equal(kept, pixels)
    deep = np.random.default_rng(1).integers(0, 65536, (5, 6, 4), np.uint16)
    (tmp_path / "a.png").write_bytes(png(deep, cicp(9, 18)))
    assert np.array_equal(
        read_image(tmp_path / "a.png", keep_alpha=True)[..., 3], deep[..., 3] >> 8
    )
