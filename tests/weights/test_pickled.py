"""Pickles of tensors against torch's own reader, and small ones that count up gigabytes."""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vtg_cli.errors import WeightsError
from vtg_cli.weights import pickled
from vtg_cli.weights.checkpoint import open_checkpoint

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64]
WHOLE = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def rich() -> dict[str, Tensor]:
    """Tensors of every kind of number, cut, turned, shared, empty and of no axes."""
    base = torch.arange(24.0).reshape(4, 6)
    kinds = {str(dtype): torch.arange(5).to(dtype) for dtype in (*DTYPES, *WHOLE)}
    return kinds | {
        "whole": base, "turned": base.T, "cut": base[1:3, ::2], "one": base[2, 3],
        "none": base[:0], "empty": torch.empty(0), "parameter": nn.Parameter(torch.ones(2)),
    }  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_it_is_what_torch_reads(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "model.ckpt"
    beside = {
        "ordered": OrderedDict(a=1.5), "counts": Counter("aa"), "bytes": b"x", "set": {1},
        "size": torch.Size([2]), "device": torch.device("cpu"), "dtype": torch.float16,
        "list": [None, True, False, -1, 2**40], "array": bytearray(b"x") if protocol < 5 else 0,
        7: ("a", (1, 2), 3, 4),
    }  # fmt: skip
    module = nn.BatchNorm1d(3)
    torch.save(
        {"state_dict": rich() | module.state_dict(), "beside": beside}, file,
        pickle_protocol=protocol,
    )  # fmt: skip
    found = open_checkpoint(file)
    theirs = torch.load(file, weights_only=False)["state_dict"]
    assert list(found.shapes) == list(theirs)
    for name, tensor in theirs.items():
        ours = found.read(name)
        assert ours.dtype == tensor.dtype and found.shapes[name] == tuple(tensor.shape)
        assert ours.stride() == tensor.stride() and torch.equal(ours, tensor), name
    turned, whole = found.read("turned"), found.read("whole")
    assert turned.data_ptr() == whole.data_ptr()  # mapped once, no copy


def archive(file: Path, pickle: bytes, way: int = zipfile.ZIP_STORED, **more: bytes) -> Path:
    with zipfile.ZipFile(file, "w", way) as members:
        members.writestr("archive/data.pkl", pickle)
        members.writestr("archive/data/0", bytes(8))
        for name, content in more.items():
            members.writestr(f"archive/{name}", content)
    return file


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def integer(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


def tensor(numbers: int, offset: int, shape: list[int], stride: list[int]) -> bytes:
    """A state_dict with one tensor of two float32 in the archive that says it is of other sizes."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    sides = [b"(" + b"".join(map(integer, each)) + b"t" for each in (shape, stride)]
    called = b"ctorch._utils\n_rebuild_tensor_v2\n("
    made = called + storage + integer(numbers) + b"tQ" + integer(offset) + sides[0] + sides[1]
    return b"\x80\x02}" + text("state_dict") + b"}" + text("a") + made + b"\x89NtRss."


@pytest.mark.parametrize(
    ("numbers", "offset", "shape", "stride", "reason"),
    [
        (2, 0, [2], [1], ""),
        (2, 1, [1, 1], [7, 7], ""),
        (3, 0, [2], [1], "a tensor of 12 bytes, of which 8 came"),
        (2**62, 0, [2], [1], f"a tensor of {2**64} bytes, of which 8 came"),
        (2, 0, [3], [1], "a tensor of 3 numbers, of which 2 came"),
        (2, 1, [2], [1], "a tensor of 2 numbers, of which 2 came"),
        (2, 0, [10**9], [0], f"a tensor of {10**9} numbers, of which 2 came"),
        (2, 0, [2, 2**61], [0, 0], f"a tensor of {2**62} numbers, of which 2 came"),
        (2, -1, [2], [1], "a tensor of no size"),
        (2, 0, [2], [-1], "a tensor of no size"),
        (2, 0, [1] * 65, [1] * 65, "a tensor without numbers"),
        (2**64, 0, [2], [1], "a number of more than 64 bits"),
    ],
)
def test_sizes_are_held_against_what_is_there(
    tmp_path: Path, numbers: int, offset: int, shape: list[int], stride: list[int], reason: str
) -> None:
    file = archive(tmp_path / "a.ckpt", tensor(numbers, offset, shape, stride))
    if not reason:
        assert torch.equal(open_checkpoint(file).read("a"), torch.zeros(shape))
        return
    with pytest.raises(WeightsError) as caught:
        open_checkpoint(file)
    assert caught.value.message == f"{file} cannot be read as a checkpoint: {reason}"
    assert caught.value.exit_code == 5


def test_numbers_of_another_byte_order_and_packed_ones_are_refused(tmp_path: Path) -> None:
    good = tensor(2, 0, [2], [1])
    other: Any = {"little": b"big", "big": b"little"}[sys.byteorder]
    with pytest.raises(WeightsError, match="byte order of another machine"):
        open_checkpoint(archive(tmp_path / "a.ckpt", good, byteorder=other))
    with pytest.raises(WeightsError, match="its members are compressed, which torch never does"):
        open_checkpoint(archive(tmp_path / "b.ckpt", good, zipfile.ZIP_DEFLATED))


ARRAY = b"\x80\x02c__builtin__\nbytearray\nJ" + struct.pack("<i", 2 * 10**9) + b"\x85R."
MAKE = b"(ctorch._utils\n_rebuild_parameter\nq\0(}}}tq\x01"
BOMBS = {
    "array": (ARRAY, "holds no weights"),
    "tensor": (ARRAY.replace(b"__builtin__\nbytearray", b"torch\nTensor"), "torch.Tensor"),
    "memo": (b"\x80\x02}r\xff\xff\xff\x0f.", "holds no weights"),
    "steps": (b"\x80\x02(" + b"}" * 2_900_000 + b"t.", "its pickle has more than 2,000,000 steps"),
    "calls": (b"\x80\x02" + MAKE + b"h\0h\x01R" * 200_000 + b"t.", "holds no weights"),
    "bytes": (b"\x80\x02" + text("a" * 2**25) + b".", "its pickle has 34 MB, and 17 MB"),
    "keys": (b"\x80\x02}N" + b"2\x86" * 60 + b"Ns.", "pickle's DUP"),
}
CHILD = """
import re, sys
from pathlib import Path
from vtg_cli.errors import WeightsError
from vtg_cli.weights.checkpoint import open_checkpoint
for name in sys.argv[1:]:
    try:
        open_checkpoint(Path(name))
    except WeightsError as error:
        print(error.message)
# of this program alone: ru_maxrss would begin with the peak of the one that started it
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_bombs_are_refused_within_the_budget(tmp_path: Path) -> None:
    """torch.load takes 2.2 GB for the first of them, which has 400 bytes; the last one would hash
    a tuple of 2**60 parts.
    """
    files = [archive(tmp_path / f"{name}.ckpt", bomb) for name, (bomb, _) in BOMBS.items()]
    packed = archive(tmp_path / "packed.ckpt", b"}" * 10**8, zipfile.ZIP_DEFLATED)
    asked = [sys.executable, "-c", CHILD, *map(str, (*files, packed))]
    *messages, peak = subprocess.run(
        asked, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for message, (_, reason) in zip(messages, (*BOMBS.values(), (b"", "compressed")), strict=True):
        assert reason in message
    assert int(peak) * 1024 < 400e6


def test_a_list_of_members_beyond_the_budget_is_not_read(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 2**25, 0, 0)
    (tmp_path / "a.ckpt").write_bytes(bytes(2**25) + end)
    with pytest.raises(pickled.Refused, match="list of members has 34 MB, and 17 MB is the limit"):
        pickled.read(tmp_path / "a.ckpt")
