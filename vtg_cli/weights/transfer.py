"""The transfer of a file over an unsteady line: what came is kept, and the next attempt goes on
from there.

Nothing in here knows a hub. Waiting is an argument, so that tests need not wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")
Sleep = Callable[[float], object]
Wait = Callable[[Exception, int], float | None]
"""Function wait(error, attempts so far) -> seconds after which to try again; None: it is of
no use."""

ATTEMPTS = 5
"""Attempts in a row without one new byte, after which it is given up."""
LONGEST_WAIT = 120.0
"""Seconds; a server that asks for more is reported to the user, who can come back later."""


@dataclass(frozen=True)
class Answer:
    """A server's answer. offset: bytes of the file before the first of `chunks`."""

    offset: int
    chunks: Iterator[bytes]


Ask = Callable[[int], AbstractContextManager[Answer]]
"""Function ask(offset) -> the file from there on, or from its start if the server knows no
ranges."""


class TooShort(OSError):
    """The server ended a file before its announced size, as if that were all."""


class TooLong(OSError):
    """The server sends more than the announced size."""


def pause(seconds: float) -> None:
    """Sleep between two attempts."""
    time.sleep(seconds)


def backoff(attempts: int) -> float:
    """Return the seconds before the next attempt: 1, 2, 4, 8, ..."""
    return float(2 ** (attempts - 1))


def patiently(attempt: Callable[[], T], wait: Wait, sleep: Sleep) -> T:
    """Return `attempt`'s value, called again after failures that `wait` holds to be passing."""
    for failures in range(1, ATTEMPTS + 1):
        try:
            return attempt()
        except Exception as error:
            seconds = wait(error, failures) if failures < ATTEMPTS else None
            if seconds is None or seconds > LONGEST_WAIT:
                raise
            sleep(seconds)
    raise AssertionError("the last attempt returns or raises")


def fetch(
    ask: Ask,
    part: Path,
    size: int,
    *,
    wait: Wait,
    sleep: Sleep,
    on_bytes: Callable[[int], None] | None = None,
) -> None:
    """Bring `part` to `size` bytes, going on from what it holds. on_bytes: called with those held.

    A failure that `wait` holds to be passing is answered by another attempt, up to ATTEMPTS in a
    row without a new byte. Whatever is raised, what came stays in `part`; TooLong alone empties it.
    """
    failures, most = 0, _size(part)  # most: bytes that were ever held
    while (held := _size(part)) != size or not part.exists():
        try:
            with ask(held if held < size else 0) as answer, _opened(part) as file:
                file.truncate(answer.offset)
                file.seek(answer.offset)
                for chunk in answer.chunks:
                    held = file.tell() + len(chunk)
                    if held > size:
                        file.truncate(0)
                        raise TooLong(f"more than the announced {size} bytes came")
                    file.write(chunk)
                    if held > most:  # the same bytes again are no progress
                        failures, most = 0, held
                    if on_bytes is not None:
                        on_bytes(held)
            if _size(part) < size:
                raise TooShort(f"{_size(part)} of the announced {size} bytes came")
        except Exception as error:
            failures += 1
            seconds = wait(error, failures) if failures < ATTEMPTS else None
            if seconds is None or seconds > LONGEST_WAIT:
                raise
            sleep(seconds)


def _opened(part: Path) -> BinaryIO:
    part.parent.mkdir(parents=True, exist_ok=True)
    return part.open("r+b" if part.exists() else "w+b")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
