"""Good pictures against closed forms: orientation, depth, alpha, colour spaces; fit and canvas."""

from __future__ import annotations

import io
import struct
import sys
import types
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from vtg_cli.errors import UsageError
from vtg_cli.media.image import canvas, fit, read_image, sha256_of

Pixels = NDArray[np.uint8]
Colours = NDArray[np.float64]

# ------------------------------------------------------------------------------ files by hand


def random_pixels(height: int, width: int, channels: int = 3) -> Pixels:
    shape = (height, width, channels)
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


def of_mode(mode: str, values: Pixels) -> Image.Image:
    """[H,W] or [H,W,C] as a Pillow image of a mode that its shape alone does not tell."""
    return Image.frombytes(mode, (values.shape[1], values.shape[0]), values.tobytes())


def png(values: NDArray[np.uint16], colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A 16-bit png of [H,W] or [H,W,C]: Pillow itself writes no 16-bit colour."""
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def tiff(order: str, bits: int, photometric: int, samples: int, width: int, data: bytes) -> bytes:
    """One row, uncompressed; order "<" or ">"."""
    tags = [
        (256, 3, 1, width), (257, 3, 1, 1), (258, 3, samples, bits), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, 512), (277, 3, 1, samples), (279, 4, 1, len(data)),
    ]  # fmt: skip
    body = struct.pack(order + "H", len(tags))
    for tag, kind, count, value in tags:
        if kind == 3 and count == 1:
            body += struct.pack(order + "HHIHH", tag, kind, count, value, 0)
        elif kind == 3:  # three shorts lie elsewhere
            body += struct.pack(order + "HHII", tag, kind, count, 400)
        else:
            body += struct.pack(order + "HHII", tag, kind, count, value)
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    head = (start + body + bytes(4)).ljust(400, b"\0")
    return (head + struct.pack(order + "HHH", *[bits] * 3)).ljust(512, b"\0") + data


def icc(space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A minimal ICC 2.4 profile."""
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(79),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        **tags,
    }
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data = data.ljust(-(-len(data) // 4) * 4, b"\0")
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x02400000, b"prtr", space, pcs)
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += xyz(0.9642, 1.0, 0.8249)[8:]
    return header.ljust(128, b"\0") + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * value))


# ------------------------------------------------------------- colour science, independently

D50 = np.array([0.9642, 1.0, 0.8249])
SRGB_TO_XYZ_D50 = np.array(  # Lindbloom, Bradford-adapted
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)


def srgb_of_linear(linear: Colours) -> Colours:
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_of_xyz(values: Colours) -> Colours:
    """XYZ of D50, [N,3], to sRGB code values."""
    return srgb_of_linear(values @ np.linalg.inv(SRGB_TO_XYZ_D50).T)


def srgb_of_lab(lab: Colours) -> Colours:
    """CIELAB of D50, [N,3], to sRGB code values."""
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], axis=1)
    share: Colours = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return srgb_of_xyz(np.multiply(D50, share))


def close(actual: Pixels, expected: Colours, levels: float) -> None:
    gap = np.abs(actual.astype(float) - expected)
    assert gap.max() <= levels, f"off by {gap.max():.2f} levels\n{actual}\n{expected}"


# --------------------------------------------------------------------------- plain and upright


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm", "webp"])
def test_a_lossless_rgb_file_comes_back_bit_for_bit(kind: str, tmp_path: Path) -> None:
    pixels = random_pixels(5, 7)
    path = tmp_path / f"a.{kind}"
    Image.fromarray(pixels).save(path, lossless=True)
    image = read_image(path)
    np.testing.assert_array_equal(image, pixels)
    assert image.flags.c_contiguous
    image[0, 0] = 0  # and ours to change


@pytest.mark.parametrize(("kind", "levels"), [("jpg", 3), ("avif", 6)])
def test_a_lossy_file_comes_back_about_so(kind: str, levels: int, tmp_path: Path) -> None:
    """A flat colour costs a codec only its YUV rounding (jpg) and quantisation (avif)."""
    path = tmp_path / f"a.{kind}"
    Image.new("RGB", (32, 16), (180, 90, 40)).save(path, quality=95)
    close(read_image(path), np.full((16, 32, 3), (180.0, 90.0, 40.0)), levels)


# EXIF 2.3, tag 0x0112: what the stored row 0 and column 0 show
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def upright(stored: Pixels, row_side: str, column_side: str) -> Pixels:
    """Place every stored pixel where the standard's words say it is seen."""
    rows, columns = stored.shape[:2]
    sideways = row_side in ("left", "right")
    seen = np.zeros((columns, rows, 3) if sideways else (rows, columns, 3), np.uint8)
    for r in range(rows):
        for c in range(columns):
            along_row = rows - 1 - r if row_side in ("bottom", "right") else r
            along_column = columns - 1 - c if column_side in ("bottom", "right") else c
            place = (along_column, along_row) if sideways else (along_row, along_column)
            seen[place] = stored[r, c]
    return seen


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["png", "tiff", "webp", "jpg", "avif"])
def test_every_exif_orientation(kind: str, orientation: int, tmp_path: Path) -> None:
    corners = np.random.default_rng(1).choice([30, 128, 220], (2, 3, 3)).astype(np.uint8)
    stored = np.kron(corners, np.ones((16, 16, 1), np.uint8))  # blocks that lossy codecs keep
    path = tmp_path / f"a.{kind}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(path, exif=exif, lossless=True, quality=95, subsampling="4:4:4")
    expected = upright(stored, *ORIENTATIONS[orientation])
    image = read_image(path)
    assert image.shape == expected.shape
    middle = slice(8, None, 16)  # the middle of each block, away from ringing
    levels = {"jpg": 4, "avif": 12}.get(kind, 0)
    close(image[middle, middle], expected[middle, middle].astype(float), levels)
    if not levels:
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff", "avif", "mpo"])
def test_the_first_frame_of_many(kind: str, tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (16, 16), colour) for colour in ("#ff0000", "#0000ff"))
    path = tmp_path / f"a.{kind}"
    first.save(path, save_all=True, append_images=[second], lossless=True)
    lossy = kind in ("avif", "mpo")
    close(read_image(path), np.full((16, 16, 3), (255.0, 0.0, 0.0)), 4 if lossy else 0)


# ------------------------------------------------------------------------------------- depth

SIXTEEN = np.array([[0, 1, 128, 129, 255, 256, 385, 386, 32767, 32768, 65406, 65535]], np.uint16)
EIGHT = np.rint(SIXTEEN / 257)  # 65535 / 255 = 257; clipping would give 255 nearly everywhere


def test_16_bit_grey_is_scaled_and_rounded(tmp_path: Path) -> None:
    files = {
        "a.png": png(SIXTEEN, 0),
        "le.tiff": tiff("<", 16, 1, 1, 12, SIXTEEN.astype("<u2").tobytes()),
        "be.tiff": tiff(">", 16, 1, 1, 12, SIXTEEN.astype(">u2").tobytes()),
        "a.pgm": b"P5 12 1 65535\n" + SIXTEEN.astype(">u2").tobytes(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        image = read_image(tmp_path / name)
        np.testing.assert_array_equal(image, np.stack([EIGHT] * 3, -1), err_msg=name)


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_16_bit_colour_keeps_its_high_bytes(colour: int, channels: int, tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(0, 65536, (6, 5, channels), np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png(values, colour))
    image = read_image(path, keep_alpha=True)
    if channels == 2:
        values = values[..., [0, 0, 0, 1]]
    # Pillow decodes colour to the high byte, v // 256, at most one level from v / 257
    close(image, values / 257, 1)
    np.testing.assert_array_equal(image, values >> 8)


def test_16_bit_grey_with_a_transparent_value(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(SIXTEEN, 0, (b"tRNS", struct.pack(">H", 32768))))
    image = read_image(path, keep_alpha=True)
    np.testing.assert_array_equal(image[..., 0], EIGHT)
    np.testing.assert_array_equal(image[..., 3], np.where(SIXTEEN == 32768, 0, 255))


def test_1_bit_8_bit_32_bit_and_float_grey(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    for values, expected in (
        (np.array([[True, False, True]]), [255, 0, 255]),
        (np.array([[0, 77, 255]], np.uint8), [0, 77, 255]),
        (np.array([[0, 257 * 77, 65535]], np.int32), [0, 77, 255]),
        (np.array([[0.0, 0.25, 1.0]], np.float32), [0, 64, 255]),
        (np.array([[-0.01, 0.2, 1.02]], np.float32), [0, 51, 255]),
    ):
        Image.fromarray(values).save(path)
        np.testing.assert_array_equal(read_image(path), np.array([[[v] * 3 for v in expected]]))


# ------------------------------------------------------------------------------------- alpha


def over(colours: Colours, alpha: Colours, background: tuple[int, int, int]) -> Colours:
    share: Colours = alpha[..., None] / 255
    laid: Colours = share * colours + (1 - share) * np.array(background, float)
    return laid


@pytest.mark.parametrize(
    ("name", "background"),
    [("white", (255, 255, 255)), ("#336699", (51, 102, 153)), ("black", (0, 0, 0))],
)
def test_alpha_is_laid_on_the_background_or_kept(
    name: str, background: tuple[int, int, int], tmp_path: Path
) -> None:
    pixels = random_pixels(9, 8, 4)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    flat = read_image(path, background=name)
    assert flat.shape == (9, 8, 3)
    # half a level for rounding
    close(flat, over(pixels[..., :3].astype(float), pixels[..., 3].astype(float), background), 0.51)
    np.testing.assert_array_equal(read_image(path, keep_alpha=True), pixels)


def test_grey_with_alpha(tmp_path: Path) -> None:
    pixels = random_pixels(4, 4, 2)
    path = tmp_path / "a.png"
    of_mode("LA", pixels).save(path)
    np.testing.assert_array_equal(read_image(path, keep_alpha=True), pixels[..., [0, 0, 0, 1]])


PALETTE = [(10, 20, 30), (200, 100, 50), (7, 255, 0), (0, 0, 255)]


def paletted() -> Image.Image:
    image = of_mode("L", np.array([[0, 1], [2, 3]], np.uint8))
    image.putpalette([value for colour in PALETTE for value in colour])
    return image


def test_a_palette_with_and_without_transparency(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    colours = np.array(PALETTE, float).reshape(2, 2, 3)
    paletted().save(path)
    np.testing.assert_array_equal(read_image(path, keep_alpha=True), colours)
    paletted().save(path, transparency=bytes([0, 85, 170, 255]))  # one alpha an entry
    alpha = np.array([[0.0, 85.0], [170.0, 255.0]])
    kept = read_image(path, keep_alpha=True)
    np.testing.assert_array_equal(kept, np.dstack([colours, alpha]))
    close(read_image(path, background="#ff8000"), over(colours, alpha, (255, 128, 0)), 0.51)


def test_one_transparent_colour(tmp_path: Path) -> None:
    paletted().save(tmp_path / "a.gif", transparency=2)
    kept = read_image(tmp_path / "a.gif", keep_alpha=True)
    np.testing.assert_array_equal(kept[..., 3], [[255, 255], [0, 255]])
    paletted().convert("RGB").save(tmp_path / "a.png", transparency=PALETTE[1])
    kept = read_image(tmp_path / "a.png", keep_alpha=True)
    np.testing.assert_array_equal(kept[..., 3], [[255, 0], [255, 255]])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, 1], [255, 255, 255])


def test_keep_alpha_gives_three_channels_where_the_file_has_none(tmp_path: Path) -> None:
    Image.fromarray(random_pixels(3, 3)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", keep_alpha=True).shape == (3, 3, 3)


# ------------------------------------------------------------------------------ colour spaces


def test_cmyk_without_a_profile(tmp_path: Path) -> None:
    inks = random_pixels(6, 6, 4)
    of_mode("CMYK", inks).save(tmp_path / "a.tiff")
    share = inks / 255
    expected = 255 * (1 - share[..., :3]) * (1 - share[..., 3:])
    close(read_image(tmp_path / "a.tiff"), expected, 1)


def test_a_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    """Adobe stores ink inverted in jpeg; a wrong reading would turn light into dark."""
    Image.new("CMYK", (16, 16), (0, 128, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    close(read_image(tmp_path / "a.jpg"), np.full((16, 16, 3), (255.0, 127.0, 0.0)), 4)


def test_cmyk_with_a_profile(tmp_path: Path) -> None:
    """The profile's table says what Lab each corner of the ink cube is; at corners it is exact."""
    lab = {
        (255, 0, 0, 0): (62, -24, -38),
        (0, 255, 0, 0): (52, 60, -4),
        (0, 0, 255, 0): (88, -4, 70),
    }
    corners = [tuple(255 * (n >> 3 - i & 1) for i in range(4)) for n in range(16)]  # C slowest
    table = {inks: (100 - 100 * (inks != (0,) * 4), 0, 0) for inks in corners} | lab
    entries = bytes(
        value
        for inks in corners
        for value in (
            round(255 * table[inks][0] / 100), table[inks][1] + 128, table[inks][2] + 128
        )
    )  # fmt: skip
    identity = struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    straight = bytes(range(256))
    lut = b"mft1" + bytes(4) + b"\x04\x03\x02\0" + identity + straight * 4 + entries + straight * 3
    profile = icc(b"CMYK", b"Lab ", {b"A2B0": lut, b"A2B1": lut})
    inks = np.array([[(0, 0, 0, 0), (0, 0, 0, 255), *lab]], np.uint8)
    of_mode("CMYK", inks).save(tmp_path / "a.tiff", icc_profile=profile)
    expected = srgb_of_lab(np.array([(100, 0, 0), (0, 0, 0), *lab.values()], float))
    # L is stored in 255 steps and the transform works on 8-bit output: two levels
    close(read_image(tmp_path / "a.tiff")[0], expected, 2)


def test_lab(tmp_path: Path) -> None:
    lab = np.array([(0, 0, 0), (255, 0, 0), (128, 0, 0), (140, 30, 25), (170, -40, 30)], np.int16)
    path = tmp_path / "a.tiff"
    path.write_bytes(tiff("<", 8, 8, 3, len(lab), lab.astype(np.uint8).tobytes()))
    expected = srgb_of_lab(lab * np.array([100 / 255, 1, 1]))
    close(read_image(path)[0], expected, 2)  # a, b are whole numbers; the transform adds rounding


ADOBE_RGB = np.array(  # D50-adapted primaries, columns red, green, blue
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)


def adobe_rgb() -> bytes:
    primaries = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE_RGB.T, strict=True))
    curves = {name: gamma(563 / 256) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return icc(b"RGB ", b"XYZ ", {k: xyz(*v) for k, v in primaries.items()} | curves)


# inside sRGB's gamut, since outside of it everything is clipped
MUTED = np.array([[[128, 128, 128], [60, 60, 60], [180, 140, 120], [110, 130, 160], [255] * 3]])


def test_a_wide_gamut_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    pixels = MUTED.astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=adobe_rgb())
    linear = (MUTED[0] / 255) ** (563 / 256)
    image = read_image(tmp_path / "a.png")
    close(image[0], srgb_of_xyz(linear @ ADOBE_RGB.T), 1)  # rounding of an 8-bit transform
    assert np.abs(image.astype(int) - MUTED).max() >= 5  # and not what was stored


def test_a_profile_leaves_alpha_alone(tmp_path: Path) -> None:
    pixels = np.dstack([MUTED, np.array([[0, 1, 128, 254, 255]])]).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=adobe_rgb())
    kept = read_image(tmp_path / "a.png", keep_alpha=True)
    np.testing.assert_array_equal(kept[..., 3], pixels[..., 3])
    close(kept[0, :, :3], srgb_of_xyz((MUTED[0] / 255) ** (563 / 256) @ ADOBE_RGB.T), 1)


def test_a_linear_grey_profile(tmp_path: Path) -> None:
    profile = icc(b"GRAY", b"XYZ ", {b"kTRC": gamma(1.0)})
    ramp = np.arange(0, 256, 5, dtype=np.uint8)[None]
    expected = np.repeat(srgb_of_linear(ramp[0] / 255)[:, None], 3, 1)
    Image.fromarray(ramp).save(tmp_path / "a.png", icc_profile=profile)
    close(read_image(tmp_path / "a.png")[0], expected, 1)
    path = tmp_path / "sixteen.png"
    packed = b"linear\0\0" + zlib.compress(profile)
    path.write_bytes(png(ramp.astype(np.uint16) * 257, 0, (b"iCCP", packed)))
    close(read_image(path)[0], expected, 1)


def test_a_grey_picture_with_a_colour_profile(tmp_path: Path) -> None:
    ramp = np.arange(0, 256, 5, dtype=np.uint8)[None]
    Image.fromarray(ramp).save(tmp_path / "a.tiff", icc_profile=adobe_rgb())
    expected = srgb_of_linear((ramp[0] / 255) ** (563 / 256))
    close(read_image(tmp_path / "a.tiff")[0], np.repeat(expected[:, None], 3, 1), 1)


def test_an_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    """Converting sRGB to sRGB in 8 bits would move some values; a keyframe must stay exact."""
    pixels = random_pixels(64, 64)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)


def test_heic_is_read_through_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for pillow-heif: the opener is registered only once a heic file comes along."""
    asked: list[str] = []

    def register() -> None:
        asked.append("heic")
        monkeypatch.setitem(Image.OPEN, "HEIF", (stand_in, lambda head: head[4:12] == b"ftypheic"))

    def stand_in(file: io.BytesIO, name: str) -> Image.Image:
        return Image.new("RGB", (6, 4), (1, 2, 3))

    package = types.ModuleType("pillow_heif")
    monkeypatch.setattr(package, "register_heif_opener", register, raising=False)
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    read_image(tmp_path / "a.png")
    assert asked == []
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    image = read_image(tmp_path / "a.heic")
    assert asked == ["heic"]
    np.testing.assert_array_equal(image, np.full((4, 6, 3), (1, 2, 3)))


# --------------------------------------------------------------------------------- fit, canvas


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
def test_fit_returns_the_same_picture_when_it_fits(how: str) -> None:
    image = random_pixels(6, 8)
    assert fit(image, 6, 8, how) is image


def test_fit_cuts_and_pads_without_resampling() -> None:
    image = random_pixels(6, 9)
    np.testing.assert_array_equal(fit(image, 6, 4, "crop"), image[:, 2:6])
    np.testing.assert_array_equal(fit(image, 3, 9, "crop"), image[1:4])
    padded = fit(image, 10, 9, "pad", "#102030")
    np.testing.assert_array_equal(padded[2:8], image)
    np.testing.assert_array_equal(padded[[0, 1, 8, 9]], np.full((4, 9, 3), (16, 32, 48)))


def ramp(height: int, width: int) -> Pixels:
    """Red grows by 2 a pixel to the right, green by 2 a pixel down."""
    down, right = np.mgrid[:height, :width]
    return np.stack([2 * right, 2 * down, 0 * right], -1).astype(np.uint8)


def test_fit_crop_fills_the_frame_from_the_middle() -> None:
    """80x120 into 40x40: halved to 40x60, ten columns lost on each side.

    The mean of output pixel x lies at input 20 + 2 x + 0.5, so its red is 41 + 4 x.
    """
    image = fit(ramp(80, 120), 40, 40, "crop")
    expected = np.stack(np.broadcast_arrays(41 + 4 * np.arange(40), 0), -1)
    inner = slice(3, -3)  # Lanczos at the rim sees only one side
    close(image[20, inner, 0], expected[inner, 0].astype(float), 1)
    close(image[inner, 20, 1], (1 + 4 * np.arange(40))[inner].astype(float), 1)


def test_fit_pad_shows_everything() -> None:
    image = fit(np.full((80, 120, 3), 200, np.uint8), 60, 60, "pad", "black")
    np.testing.assert_array_equal(image[10:50], np.full((40, 60, 3), 200))
    assert image[:10].max() == 0 and image[50:].max() == 0


def test_fit_stretch_ignores_the_aspect() -> None:
    image = fit(ramp(60, 100), 30, 100, "stretch")
    close(image[10, 5:-5, 0], (2 * np.arange(100))[5:-5].astype(float), 1)
    close(image[3:-3, 50, 1], (1 + 4 * np.arange(30))[3:-3].astype(float), 1)


def test_fit_does_not_let_hidden_colours_bleed() -> None:
    """Left half opaque blue, right half fully transparent with red underneath: no purple rim."""
    image = np.zeros((40, 40, 4), np.uint8)
    image[:, :20] = (0, 0, 255, 255)
    image[:, 20:] = (255, 0, 0, 0)
    small = fit(image, 13, 13, "stretch")
    seen = small[..., 3] > 16
    assert small[seen][:, 0].max() <= 8  # 8-bit premultiplied rounding at low alpha
    assert small[seen][:, 2].min() >= 247
    padded = fit(image, 60, 40, "pad")
    np.testing.assert_array_equal(padded[0, 0], [255, 255, 255, 0])


@pytest.mark.parametrize(
    ("size", "target"), [((1, 1), (33, 17)), ((333, 7), (5, 500)), ((101, 37), (64, 64))]
)
@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
def test_fit_makes_any_size_of_any(
    size: tuple[int, int], target: tuple[int, int], how: str
) -> None:
    image = fit(np.full((*size, 3), 90, np.uint8), *target, how, "#5a5a5a")
    np.testing.assert_array_equal(image, np.full((*target, 3), 90))  # a flat colour stays flat


def test_fit_refuses_an_unknown_way() -> None:
    with pytest.raises(UsageError, match="unknown fit 'squeeze'"):
        fit(random_pixels(2, 2), 3, 3, "squeeze")


@pytest.mark.parametrize(
    ("width", "height", "multiple", "area", "expected"),
    [
        (None, None, 1, None, (1080, 1920)),
        (None, None, 8, None, (1080, 1920)),
        (None, None, 64, None, (1088, 1920)),
        (1024, 576, 64, None, (576, 1024)),
        (500, 333, 1, None, (333, 500)),
        (960, None, 8, None, (544, 960)),  # 540 is between 536 and 544, halves go to even
        (None, 576, 64, None, (576, 1024)),
        (None, None, 64, 576 * 1024, (576, 1024)),
        (None, None, 8, 100 * 100, (72, 136)),  # 75.0 x 133.3
        (None, None, 64, 1, (64, 64)),
    ],
)
def test_canvas(
    width: int | None,
    height: int | None,
    multiple: int,
    area: int | None,
    expected: tuple[int, int],
) -> None:
    assert canvas([(1080, 1920), (50, 50)], width, height, multiple, area) == expected


@pytest.mark.parametrize(
    ("width", "height", "said", "hint"),
    [
        (1000, None, "--width 1000 is not a positive multiple of 64", "the nearest is 1024"),
        (1024, 570, "--height 570 is not a positive multiple of 64", "the nearest is 576"),
        (0, None, "--width 0 is not a positive multiple of 64", "the nearest is 64"),
        (None, -64, "--height -64 is not a positive multiple of 64", "the nearest is 64"),
    ],
)
def test_canvas_never_changes_a_size_that_was_asked_for(
    width: int | None, height: int | None, said: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        canvas([(1080, 1920)], width, height, 64)
    assert (caught.value.message, caught.value.hint) == (said, hint)


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # the standard's own example, FIPS 180-2 B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "abc") == expected
