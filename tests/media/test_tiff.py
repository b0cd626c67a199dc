"""Tiffs beyond Pillow, written by tifffile: floats in colour, 16 bits a plane a channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from vtg_cli.errors import MediaError
from vtg_cli.media.image import read_picture

DEEP = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), np.uint16)
SHARES = (DEEP / 65535).astype(np.float32)
NEAREST = np.rint(SHARES * 255)


@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}, {"planarconfig": "separate"}])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_floats_in_colour(how: dict[str, Any], kind: str, tmp_path: Path) -> None:
    stored = SHARES.astype(kind)
    stored = np.moveaxis(stored, -1, 0) if "planarconfig" in how else stored
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **how)
    picture = read_picture(tmp_path / "a.tif")
    assert np.array_equal(picture.pixels, NEAREST)
    bits = 8 * np.dtype(kind).itemsize
    assert picture.notes == (f"samples of {bits} bits are reduced to 8",)


def test_half_floats_within_their_rounding(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SHARES.astype(np.float16), photometric="rgb")
    # 11 bits of a value of at most 1 are off by 2**-12 at most, 0.062 of 255
    off = np.abs(read_picture(tmp_path / "a.tif").pixels - 255.0 * SHARES)
    assert off.max() <= 0.5 + 255 * 2**-12


def test_transparency_beside_floats(tmp_path: Path) -> None:
    stored = np.dstack([SHARES, SHARES[..., :1]])
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, np.rint(stored * 255))


def test_a_plane_a_channel_in_16_bits(tmp_path: Path) -> None:
    """Pillow reads the bytes of such a file as if its channels stood side by side."""
    planes = np.moveaxis(DEEP, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, NEAREST)


def test_profile_and_orientation_count(tmp_path: Path) -> None:
    """A quarter turn to the right; the profile is sRGB's, which changes nothing by more than 1."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = [(274, "H", 1, 6, True), (34675, "B", len(profile), profile, True)]
    tifffile.imwrite(tmp_path / "a.tif", SHARES, photometric="rgb", extratags=tags)
    pixels = read_picture(tmp_path / "a.tif").pixels
    assert np.abs(pixels - np.rot90(NEAREST, -1)).max() <= 1


def test_floats_of_unknown_range_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SHARES * 4, photometric="rgb")
    with pytest.raises(MediaError, match=r"float samples from .* only 0 to 1 has a known meaning"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("at", [10, 200, 3000])
def test_what_is_cut_is_refused(at: int, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SHARES, photometric="rgb")
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:at])
    with pytest.raises(MediaError, match="damaged"):
        read_picture(tmp_path / "a.tif")


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    """1.7 GB of floats are announced; nothing of it is allocated."""
    tifffile.imwrite(tmp_path / "a.tif", SHARES, photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages.first.tags[tag].overwrite(12000)
    with pytest.raises(MediaError, match="would take"):
        read_picture(tmp_path / "a.tif")


def test_other_tiffs_are_still_pillows(tmp_path: Path) -> None:
    Image.fromarray(DEEP[..., 0]).save(tmp_path / "a.tif")
    grey = read_picture(tmp_path / "a.tif").pixels
    assert np.array_equal(grey[..., 1], (DEEP[..., 0].astype(np.uint32) + 128) // 257)
