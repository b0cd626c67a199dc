from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from vtg_cli.errors import WeightsError
from vtg_cli.weights.checkpoint import open_checkpoint

TENSORS = {
    "a.weight": torch.arange(6.0).view(2, 3),
    "b": torch.tensor(2.5, dtype=torch.float16),
    "ids": torch.tensor([3, 1]),
}


class Bomb:
    """What a hostile file may hold: loading it the ordinary way runs a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def saved(folder: Path, content: Any, **options: Any) -> Path:
    file = folder / "model.ckpt"
    torch.save(content, file, **options)
    return file


def check(file: Path) -> None:
    checkpoint = open_checkpoint(file)
    assert checkpoint.path == file
    assert checkpoint.shapes == {"a.weight": (2, 3), "b": (), "ids": (2,)}
    for name, tensor in TENSORS.items():
        read = checkpoint.read(name)
        assert read.dtype == tensor.dtype and torch.equal(read, tensor)


def test_state_dict(tmp_path: Path) -> None:
    check(saved(tmp_path, {"state_dict": TENSORS, "global_step": 7, "epoch": 1}))


def test_deepspeeds_module_loses_its_wrapper(tmp_path: Path) -> None:
    check(saved(tmp_path, {"module": {f"_forward_module.{n}": t for n, t in TENSORS.items()}}))


def test_safetensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    check(tmp_path / "model.safetensors")


@pytest.mark.parametrize("inside", ["state_dict", "beside"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, inside: str) -> None:
    mark = tmp_path / "ran"
    content: dict[str, Any] = {"state_dict": dict(TENSORS)}
    (content["state_dict"] if inside == "state_dict" else content)["bomb"] = Bomb(mark)
    file = saved(tmp_path, content)
    with pytest.raises(WeightsError, match=r"refused.*system.*none of it was executed") as caught:
        open_checkpoint(file)
    assert str(file) in caught.value.message and "\n" not in caught.value.message
    assert caught.value.subject == str(file)
    assert not mark.exists()
    torch.load(file, weights_only=False)  # it was armed: in here, nothing but touch
    assert mark.exists()


@pytest.mark.parametrize("way", ["bare", "legacy"])
def test_a_hostile_pickle_of_an_old_format_is_refused_and_not_run(tmp_path: Path, way: str) -> None:
    mark = tmp_path / "ran"
    if way == "bare":
        file = tmp_path / "model.ckpt"
        file.write_bytes(pickle.dumps({"state_dict": Bomb(mark)}))
    else:
        file = saved(tmp_path, {"state_dict": Bomb(mark)}, _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError) as caught:
        open_checkpoint(file)
    assert "\n" not in caught.value.message and not mark.exists()


def test_code_of_other_libraries_is_not_wanted_either(tmp_path: Path) -> None:
    file = saved(tmp_path, {"state_dict": TENSORS, "hyper_parameters": Path("x")})
    with pytest.raises(
        WeightsError, match=r"refused: its pickle wants more than tensors \(pathlib"
    ):
        open_checkpoint(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weights": TENSORS}, "holds no weights"),
        (TENSORS["ids"], "holds no weights"),
        ({"state_dict": {}}, "holds no weights"),
        ({"state_dict": TENSORS | {"n": 3}}, "'n' in its state_dict is no tensor"),
        ({"module": TENSORS}, "begin differently"),
        ({"module": {"_forward_module.": TENSORS["ids"]}}, "begin differently"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        open_checkpoint(saved(tmp_path, content))


@pytest.mark.parametrize("name", ["model.ckpt", "model.safetensors"])
def test_damaged_and_missing_files(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with pytest.raises(WeightsError, match="there is no file"):
        open_checkpoint(file)
    if file.suffix == ".ckpt":
        saved(tmp_path, {"state_dict": {"a": torch.zeros(9000)}})
    else:
        save_file({"a": torch.zeros(9000)}, file)
    file.write_bytes(file.read_bytes()[:20000])
    with pytest.raises(WeightsError, match="cannot be read") as caught:
        open_checkpoint(file)
    assert "\n" not in caught.value.message


def test_an_archive_in_several_parts_is_refused(tmp_path: Path) -> None:
    """Python's zipfile raises where it is only asked whether that is an archive."""
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2)
    (tmp_path / "a.ckpt").write_bytes(b"PK\x03\x04" * 20 + locator + b"PK\x05\x06" + bytes(18))
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint: "):
        open_checkpoint(tmp_path / "a.ckpt")


def test_what_is_no_archive_is_told_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"\x89PNG" * 1000)
    with pytest.raises(WeightsError) as caught:
        open_checkpoint(tmp_path / "a.ckpt")
    reason = "it is no zip archive, as torch writes them"
    assert caught.value.message == f"{tmp_path / 'a.ckpt'} cannot be read as a checkpoint: {reason}"
