"""Reading torch's archive of a pickle and its tensors, within a budget and without running it.

The archive is a zip whose members are stored as they are: data.pkl, and a file of numbers for each
storage. torch.load builds whatever the pickle counts up, and a small file can count up gigabytes.
Here its opcodes are followed by a machine that makes plain containers and records of where a tensor
lies, nothing else; their sizes are held against those of the members, and a tensor is mapped when
it is asked for.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtg_cli.ground.units import size_text

if TYPE_CHECKING:
    from torch import Tensor

BYTES = 16 * 2**20
"""Most bytes of data.pkl, and of the archive's list of members; one with 10,000 tensors has 2 MB of
each."""
OPCODES = 2_000_000
"""Most opcodes of data.pkl; a tensor has 30. What so many can make stays under 0.5 GB."""

DTYPES = {
    "DoubleStorage": ("float64", 8), "FloatStorage": ("float32", 4), "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2), "LongStorage": ("int64", 8), "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2), "CharStorage": ("int8", 1), "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1), "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
}  # fmt: skip
"""And bytes of a number, by the names of torch's storages."""
_TENSORS = {f"torch._utils.{name}" for name in ("_rebuild_tensor", "_rebuild_tensor_v2")}
_PARAMETER, _DICT = "torch._utils._rebuild_parameter", "collections.OrderedDict"
_BESIDE = {
    *("torch.Size", "torch.device", "torch.serialization._get_layout", "collections.Counter"),
    *("_codecs.encode", "builtins.set", "builtins.bytearray", "__builtin__.set"),
    *("__builtin__.bytearray", *(f"torch.{dtype}" for dtype, _ in DTYPES.values())),
}
"""Other names that torch lets through: they may lie beside the tensors and become None."""


AXES = 64
"""Most axes of a tensor, as many as torch takes."""


class Refused(Exception):
    """A pickle that wants more than tensors, or than the budget; the message says what."""


def _more(wanted: str) -> Refused:
    return Refused(f"its pickle wants more than tensors ({wanted})")


@dataclass(frozen=True)
class Stored:
    """A tensor in a file. begin: bytes before its storage; numbers: of that storage; offset and
    stride: of the tensor in it, in numbers.
    """

    dtype: str
    begin: int
    numbers: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """A class or function that the pickle names; it is never looked up."""

    name: str


def read(path: Path) -> Any:
    """Return what the archive's pickle holds: each tensor as a `Stored`, none of it in memory.

    Refused where it wants more; whatever zipfile, pickletools or a lookup raise where it is
    damaged.
    """
    whole = path.stat().st_size
    with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.partition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError("it has no data.pkl")
        place = pickles[0].removesuffix("data.pkl")
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise ValueError("its members are compressed, which torch never does")
        order = members.get(f"{place}byteorder")
        if order is not None and archive.read(order) != sys.byteorder.encode():
            raise ValueError("its numbers are in the byte order of another machine")
        if (size := members[pickles[0]].file_size) > BYTES:
            raise Refused(f"its pickle has {size_text(size)}, and {size_text(BYTES)} is the limit")
        content = archive.read(pickles[0])
        data = f"{place}data/"
        spans = {
            name.removeprefix(data): (_begin(file, info), info.file_size)
            for name, info in members.items()
            if name.startswith(data)
        }
    if any(begin + size > whole for begin, size in spans.values()):
        raise ValueError("it is cut short")
    return _Machine(spans).run(content)


def mapped(path: Path) -> Callable[[Stored], Tensor]:
    """Return what gives the tensors of a file: parts of one map of it."""
    import torch

    whole = torch.UntypedStorage.from_file(str(path), False, path.stat().st_size)

    def tensor(stored: Stored) -> Tensor:
        dtype: torch.dtype = getattr(torch, stored.dtype)
        if not math.prod(stored.shape):
            return torch.empty(stored.shape, dtype=dtype)
        part = whole[stored.begin : stored.begin + stored.numbers * dtype.itemsize]
        return torch.empty(0, dtype=dtype).set_(part, stored.offset, stored.shape, stored.stride)

    return tensor


class _Bounded(io.FileIO):
    """A file of which nobody reads more than the budget at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > BYTES:
            raise Refused(
                f"its list of members has {size_text(size)}, and {size_text(BYTES)} is the limit"
            )
        return super().read(size)


def _begin(file: io.FileIO, info: zipfile.ZipInfo) -> int:
    """Return how many bytes of the file lie before a member's content."""
    file.seek(info.header_offset + 26)  # of a header of 30: the lengths of what follows it
    name, extra = struct.unpack("<HH", file.read(4))
    return int(info.header_offset + 30 + name + extra)


_MARK = object()


class _Machine:
    """Pickle's machine, as far as tensors need it. spans: where each storage begins in the file,
    and how many bytes it has there.
    """

    def __init__(self, spans: Mapping[str, tuple[int, int]]) -> None:
        self._spans = spans
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        """Return what the pickle leaves on the stack."""
        for count, (opcode, value, _) in enumerate(pickletools.genops(content)):
            if count >= OPCODES:
                raise Refused(f"its pickle has more than {OPCODES:,} steps")
            if opcode.name in _PUSHED:
                self._stack.append(_PUSHED[opcode.name](value))
            elif opcode.name in _STEPS:
                _STEPS[opcode.name](self, value)
            elif opcode.name not in ("PROTO", "FRAME", "STOP"):
                raise _more(f"pickle's {opcode.name}")
        return self._stack.pop()

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("nothing on the stack")
        return value

    def _marked(self) -> list[Any]:
        """Take what lies above the last mark, and the mark."""
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark on the stack")
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _put(self, value: int) -> None:
        self._memo[value] = self._stack[-1]

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(values)

    def _update(self, values: list[Any]) -> None:
        """Update a dictionary; pairs that no weights can have are skipped, such as those of a
        counter.
        """
        if isinstance(self._stack[-1], dict):
            pairs = zip(values[::2], values[1::2], strict=True)
            self._stack[-1].update((k, v) for k, v in pairs if type(k) in (str, int))

    def _global(self, name: str) -> None:
        allowed = {*_TENSORS, *_BESIDE, _PARAMETER, _DICT}
        if name not in allowed and name.removeprefix("torch.") not in DTYPES:
            raise _more(name)
        self._push(_Name(name))

    def _reduce(self) -> None:
        values, called = self._pop(), self._pop()
        name = called.name if isinstance(called, _Name) else "a call of what it made"
        if name in _TENSORS:
            self._push(_tensor(*values[:4]))
        elif name == _PARAMETER:
            self._push(values[0])
        elif name == _DICT and not values:
            self._push({})
        elif name in _BESIDE:
            self._push(None)
        else:
            raise _more(name)

    def _storage(self) -> None:
        word, kind, key, _, numbers = self._pop()
        dtype, item = DTYPES[kind.name.removeprefix("torch.")]
        if word != "storage" or not isinstance(key, str) or not _are_counts(numbers):
            raise ValueError("a tensor without numbers")
        begin, size = self._spans[key]
        if numbers * item > size:
            raise ValueError(f"a tensor of {numbers * item} bytes, of which {size} came")
        self._push(Stored(dtype, begin, numbers, 0, (numbers,), (1,)))


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any) -> Stored:
    """Take a part of a storage as a tensor. ValueError where it reaches out of it, or takes one
    number for many.
    """
    if not isinstance(storage, Stored) or len(shape) > AXES:
        raise ValueError("a tensor without numbers")
    if not _are_counts(offset, *shape, *stride):
        raise ValueError("a tensor of no size")
    sides = list(zip(shape, stride, strict=True))
    count, last = math.prod(shape), offset + sum((side - 1) * step for side, step in sides)
    if count and (last >= storage.numbers or count > storage.numbers):
        raise ValueError(f"a tensor of {count} numbers, of which {storage.numbers} came")
    return replace(storage, offset=offset, shape=tuple(shape), stride=tuple(stride))


def _are_counts(*values: object) -> bool:
    return all(type(value) is int and 0 <= value < 2**63 for value in values)


def _same(value: object) -> object:
    return value


def _integer(value: int) -> int:
    if value.bit_length() > 64:
        raise ValueError("a number of more than 64 bits")
    return value


_PUSHED: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4"), _integer),
    **dict.fromkeys(("BINFLOAT", "NONE", "EMPTY_SET", "SHORT_BINSTRING", "BINSTRING"), _same),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), _same),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _same),
    "NEWTRUE": lambda value: True,
    "NEWFALSE": lambda value: False,
    "EMPTY_DICT": lambda value: {},
    "EMPTY_LIST": lambda value: [],
    "EMPTY_TUPLE": lambda value: (),
    "MARK": lambda value: _MARK,
}
"""Functions from an opcode's argument to what it pushes."""
_STEPS: dict[str, Callable[[_Machine, Any], object]] = {
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": lambda m, value: m._memoize(),
    "BINGET": lambda m, value: m._push(m._memo[value]),
    "LONG_BINGET": lambda m, value: m._push(m._memo[value]),
    "TUPLE": lambda m, value: m._push(tuple(m._marked())),
    "TUPLE1": lambda m, value: m._tuple(1),
    "TUPLE2": lambda m, value: m._tuple(2),
    "TUPLE3": lambda m, value: m._tuple(3),
    "APPEND": lambda m, value: m._extend([m._pop()]),
    "APPENDS": lambda m, value: m._extend(m._marked()),
    "ADDITEMS": lambda m, value: m._marked(),
    "SETITEM": lambda m, value: m._update([m._pop(), m._pop()][::-1]),
    "SETITEMS": lambda m, value: m._update(m._marked()),
    "GLOBAL": lambda m, value: m._global(value.replace(" ", ".", 1)),
    "STACK_GLOBAL": lambda m, value: m._global(".".join([m._pop(), m._pop()][::-1])),
    "REDUCE": lambda m, value: m._reduce(),
    "BUILD": lambda m, value: m._pop(),
    "BINPERSID": lambda m, value: m._storage(),
}
"""Steps of the opcodes."""
