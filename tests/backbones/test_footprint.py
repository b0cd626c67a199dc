"""How large models are, from headers alone; and files that are not what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open

from vtg_cli.backbones.base import model_of, spec_of
from vtg_cli.errors import WeightsError
from vtg_cli.weights import sizes
from vtg_cli.weights.catalog import EMBEDDED_FOLDER

SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"


def parts_of(folder: Path) -> sizes.Parts:
    return model_of(folder).parts(folder)


def counted(file: Path) -> int:
    """By the format's own library, which loads the values."""
    with safe_open(file, framework="np") as opened:
        return sum(opened.get_tensor(name).size for name in opened.keys())  # noqa: SIM118


def test_numbers_and_widths_of_a_diffusers_folder() -> None:
    found = parts_of(SVD)
    files = [
        SVD / part / f"{stem}.safetensors"
        for part, stem in (
            ("unet", "diffusion_pytorch_model"),
            ("vae", "diffusion_pytorch_model"),
            ("image_encoder", "model"),
        )
    ]
    assert (found.core, found.codec, found.rest) == tuple(map(counted, files))
    assert (found.width, found.codec_width) == (32, 32)


def test_of_the_embedded_model() -> None:
    found = parts_of(EMBEDDED_FOLDER)
    assert found == sizes.Parts(counted(EMBEDDED_FOLDER / "network.safetensors"), 0, 0, 128, 0)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [1, -1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": "a", "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": 4},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [None, 4]},
        {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1]},
        [1, 4],
    ],
)
def test_a_header_with_sizes_that_are_none_is_damaged(tensor: object, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"

    def write(about: object) -> None:
        header = json.dumps({"a": about}).encode()
        file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))

    write({"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]})
    assert sizes.shapes_in(file) == {"a": [1, 1]}
    write(tensor)
    with pytest.raises(WeightsError, match="it does not begin like a safetensors file"):
        sizes.shapes_in(file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unet/config.json", {"block_out_channels": None}),
        ("unet/config.json", {"block_out_channels": []}),
        ("unet/config.json", {"block_out_channels": [{}]}),
        ("vae/config.json", {"block_out_channels": {}}),
        ("vae/config.json", {"block_out_channels": [0]}),
        ("unet/config.json", {"num_frames": -128}),
        ("unet/config.json", {"num_frames": True}),
        ("unet/config.json", {"sample_size": [8, -8]}),
        ("unet/config.json", {"sample_size": "8"}),
        ("unet/config.json", {"out_channels": 1.5}),
    ],
)
def test_a_folder_with_numbers_that_are_none_is_refused(
    name: str, value: dict[str, object], tmp_path: Path
) -> None:
    folder = tmp_path / "svd"
    shutil.copytree(SVD, folder)
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **value}))
    assert (spec_of(SVD).frames, parts_of(SVD).codec_width) == (6, 32)
    with pytest.raises(WeightsError):
        parts_of(folder), spec_of(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda whole: whole[:-10], "damaged: it has {less} bytes and says {size}"),
        (lambda whole: b"<html>" * 99, "damaged: it does not begin like a safetensors file"),
        (lambda whole: b"", "damaged: it does not begin like a safetensors file"),
    ],
)
def test_a_damaged_file_is_told_by_its_size(change: object, said: str, tmp_path: Path) -> None:
    shutil.copytree(EMBEDDED_FOLDER, tmp_path / "tiny")
    file = tmp_path / "tiny" / "network.safetensors"
    whole = file.read_bytes()
    file.write_bytes(change(whole))  # type: ignore[operator]
    with pytest.raises(WeightsError) as failed:
        parts_of(tmp_path / "tiny")
    said = said.format(less=len(whole) - 10, size=len(whole))
    assert failed.value.message == f"{file} is {said}"
    assert failed.value.hint == "fetch the model again"
