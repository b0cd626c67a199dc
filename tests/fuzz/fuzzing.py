"""The net: inputs that are nearly right, many of each family, and what holds for every one of them.

    A reader returns, or raises a VtgError with an exit code of 2 to 7 and a message. It raises
    nothing else, warns of nothing, ends within SECONDS, leaves no file and no process behind, and
    the whole of them stays under MEMORY.

A case is its number: all chance in it comes from the family's name and that number, so that

    VTG_FUZZ_FIRST=417 VTG_FUZZ_CASES=1 python -m pytest tests/fuzz -k png

is case 417 of the family again. VTG_FUZZ_CASES says how many there are of each (`make fuzz`:
100,000), in tests of CHUNK cases each, so that pytest-xdist can share them out.
"""

from __future__ import annotations

import io
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from random import Random
from types import FrameType
from typing import NoReturn, TypeVar
from unicodedata import category

import pytest

from vtg_cli.cli import main
from vtg_cli.errors import VtgError
from vtg_cli.ground.printable import printable

CASES = int(os.environ.get("VTG_FUZZ_CASES", "2000"))
FIRST = int(os.environ.get("VTG_FUZZ_FIRST", "0"))
CHUNK = 1000
SECONDS = 60  # nothing here takes one: room for a machine that is busy with other things
MEMORY = 2 * 10**9
CODES = {2, 3, 4, 5, 6, 7}

COMMAND = 100
"""A case that goes through the command line costs as much as so many that only read: 20 are left
of 2,000."""

T = TypeVar("T")


class Hang(BaseException):
    """A case that did not end; no `except Exception` holds it."""


def cases(slower: int = 1) -> pytest.MarkDecorator:
    """Give a test its `numbers`, a range of cases each. slower: only a share of them is run."""
    last = FIRST + max(1, CASES // slower)
    parts = [range(at, min(at + CHUNK, last)) for at in range(FIRST, last, CHUNK)]
    return pytest.mark.parametrize("numbers", parts, ids=lambda part: f"{part[0]}-{part[-1]}")


def hold(
    family: str,
    numbers: range,
    make: Callable[[Random], T],
    read: Callable[[T], object],
    folder: Path,
    tidy: Callable[[], object] = lambda: None,
) -> None:
    """Assert the promise for every case of these numbers.

    make: an input, written into `folder` if it is a file; read: what must hold it; tidy: takes
    away what a reader may rightly leave, such as a finished clip.
    """
    failures: dict[str, list[int]] = {}
    for number in numbers:
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        said = _broken(make(Random(f"{family} {number}")), read, folder, tidy)
        if said:
            failures.setdefault(said.replace(str(folder), "."), []).append(number)
    if failures:
        kinds = sorted(failures.items(), key=lambda item: -len(item[1]))
        told = [f"{len(numbers)} of {family}: {said}: {numbers[:5]}" for said, numbers in kinds]
        pytest.fail("\n".join(told[:20]), pytrace=False)


def _broken(
    given: T, read: Callable[[T], object], folder: Path, tidy: Callable[[], object]
) -> str | None:
    """What the promise is broken by, in a line; None: it is kept."""
    files, children, peak = _files(folder), _children(), _peak()
    try:
        with _alarm():
            read(given)
    except VtgError as error:
        if error.exit_code not in CODES:
            return f"exit code {error.exit_code}: {error.message}"
        if not error.message.strip() or not _quiet(printable(error.message)):
            return f"no message: {error.message!r}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    tidy()
    if left := _files(folder) ^ files:
        return f"left or took away {sorted(left)}"
    if left := _children() - children:
        return f"left processes {sorted(left)}"
    if _peak() > max(peak, MEMORY):
        return f"took {_peak() / 1e9:.1f} GB"
    return None


def command(arguments: Sequence[str]) -> None:
    """Assert that a command line ends well, or with a code and without a traceback."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(arguments)
    said = err.getvalue()
    assert code in {0, *CODES}, f"exit code {code} of {arguments}: {said[-300:]}"
    assert "Traceback" not in said and "a bug in vtg" not in said, said[-300:]
    assert all(map(_quiet, said.split("\n"))), repr(said[-300:])
    assert code == 0 or said.strip(), f"nothing is said of exit code {code} of {arguments}"


def _quiet(line: str) -> bool:
    """Whether nothing in it moves the cursor, ends the line or cannot be encoded."""
    return not any(category(each) in ("Cc", "Cs", "Zl", "Zp") for each in line)


def _files(folder: Path) -> set[str]:
    return {os.path.join(where, name) for where, _, names in os.walk(folder) for name in names}


def _children() -> set[str]:
    try:  # whether there is any at all, which is quicker to ask
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    pids: set[str] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            pids |= set((task / "children").read_text().split())
    return pids


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> NoReturn:
        raise Hang(f"it did not end in {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
