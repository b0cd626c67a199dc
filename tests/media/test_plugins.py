"""Pictures that need an extra package: told where it is missing, read where it is."""

from __future__ import annotations

import io
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vtg_cli.errors import MediaError
from vtg_cli.media.image import read_image, read_picture

JXL_BOXES = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "
HEADS = {  # of files that libjxl wrote
    (8, 8): "ff0a414050dc080802010080024b",
    (64, 48): "ff0acb4050dc080802010088024b",
    (1920, 1080): "ff0aba2105417123080201007802",
    (7, 1234): "ff0a8a26c000088a1b0108020100",
    (3001, 5): "ff0a20807017088a1b0108020100",
    (256, 256): "ff0a7f4050dc080802010088024b",
    (16000, 9000): "ff0a3c19a120286e040802010078",
}
EXR = b"v/1\x01\x02\0\0\0"


@pytest.mark.parametrize(
    ("name", "data", "package", "said", "extra"),
    [
        ("a.jxl", bytes.fromhex(HEADS[8, 8]), "pillow_jxl", "a jpeg xl picture", "jxl"),
        ("b.jxl", JXL_BOXES, "pillow_jxl", "a jpeg xl picture", "jxl"),
        ("a.exr", EXR, "OpenEXR", "an exr picture", "exr"),
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(8), "pillow_heif", "a heic picture", "heif"),
    ],
)
def test_a_missing_package_is_told_with_the_line_that_gets_it(
    name: str,
    data: bytes,
    package: str,
    said: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(MediaError) as caught:
        read_image(tmp_path / name)
    assert caught.value.message == f"{tmp_path / name} is {said}, which needs an extra package"
    assert caught.value.hint == f"pip install 'vtg-cli[{extra}]'"
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(("width", "height"), HEADS)
@pytest.mark.parametrize("boxed", [False, True])
def test_jpeg_xl_is_measured_before_it_is_decoded(
    width: int, height: int, boxed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for pillow-jxl-plugin, which decodes the whole picture when it opens it."""
    opened: list[str] = []

    def stand_in(file: io.BytesIO, name: str) -> Image.Image:
        opened.append(name)
        return Image.new("RGB", (width, height), (1, 2, 3))

    monkeypatch.setitem(sys.modules, "pillow_jxl", types.ModuleType("pillow_jxl"))
    monkeypatch.setitem(Image.OPEN, "JXL", (stand_in, lambda head: head[:2] == b"\xff\x0a"))
    if boxed:
        monkeypatch.setitem(Image.OPEN, "JXL", (stand_in, lambda head: head[4:7] == b"JXL"))
    stream = bytes.fromhex(HEADS[width, height])
    box = (len(stream) + 8).to_bytes(4, "big") + b"jxlc" + stream
    path = tmp_path / "a.jxl"
    path.write_bytes(JXL_BOXES + box if boxed else stream)
    if width * height > 1e8:
        with pytest.raises(MediaError) as caught:
            read_image(path)
        assert caught.value.message == (
            f"{path} (16000x9000) would take 2.0 GB to decode, and 1.1 GB is the limit for a "
            "picture"
        )
        assert opened == []
    else:
        assert read_image(path).shape == (height, width, 3)


def openexr(planes: dict[str, NDArray[np.floating]]) -> types.ModuleType:
    """A stand-in for OpenEXR 3, as far as it is used."""
    height, width = next(iter(planes.values())).shape

    class File:
        def __init__(self, name: str, header_only: bool = False, separate_channels: bool = False):
            header = {"dataWindow": (np.array([2, 3]), np.array([1 + width, 2 + height]))}
            channels = {key: types.SimpleNamespace(pixels=value) for key, value in planes.items()}
            self.parts = [types.SimpleNamespace(header=header, channels=channels)]

    package = types.ModuleType("OpenEXR")
    package.__dict__["File"] = File
    return package


def srgb(light: NDArray[np.floating]) -> NDArray[np.floating]:
    light = np.clip(light.astype(float), 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def read_exr(planes: dict[str, Any], at: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "OpenEXR", openexr(planes))
    (at / "a.exr").write_bytes(EXR)
    return read_picture(at / "a.exr")


def test_exr_is_linear_light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    light = np.random.default_rng(3).random((5, 7, 3)).astype(np.float32)
    light[0, 0] = 2.5
    planes = {key: light[..., i] for i, key in enumerate("RGB")}
    picture = read_exr(planes, tmp_path, monkeypatch)
    assert np.abs(picture.pixels - srgb(light)).max() <= 0.51  # rounding
    assert picture.notes == (
        "linear light is brought to 8-bit sRGB, what is above 1 (up to 2.5) is clipped",
    )
    alpha = np.linspace(0, 1, 35).reshape(5, 7)
    clear = {key: (plane * alpha).astype(np.float16) for key, plane in planes.items()}
    picture = read_exr({**clear, "A": alpha.astype(np.float16)}, tmp_path, monkeypatch)
    assert np.abs(picture.pixels[..., 3] - 255 * alpha).max() <= 0.51 + 255 * 2**-12
    solid = alpha > 0.1  # below, float16 has too few digits for the quotient
    gap = np.abs(picture.pixels[..., :3] - srgb(light))[solid]
    assert gap.max() <= 1  # half precision of both: 2^-10 of the light, 0.6 of a level
    grey = read_exr({"Y": light[..., 1]}, tmp_path, monkeypatch).pixels
    assert np.array_equal(grey, np.repeat(grey[..., :1], 3, axis=2))


def test_exr_that_says_nothing_to_us_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.exr"
    for planes, said in (
        ({"Z": np.zeros((2, 2), np.float32)}, f"{path} has no R, G and B, but Z"),
        (
            {"Y": np.array([[0, np.nan]], np.float32)},
            f"{path} holds values that are not numbers",
        ),
        (
            {"Y": np.broadcast_to(np.float32(0), (9000, 9000))},
            f"{path} (9000x9000) would take 2.4 GB to decode, and 1.1 GB is the limit for a "
            "picture",
        ),
    ):
        with pytest.raises(MediaError) as caught:
            read_exr(planes, tmp_path, monkeypatch)
        assert caught.value.message == said
