"""Transfers against servers made of lists; no line, no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vtg_cli.weights.transfer import (
    ATTEMPTS,
    Answer,
    Ask,
    TooLong,
    TooShort,
    backoff,
    fetch,
    patiently,
)

CONTENT = bytes(range(256)) * 10


class Cut(Exception):
    """The line broke."""


def wait(error: Exception, attempts: int) -> float | None:
    return backoff(attempts) if isinstance(error, (Cut, TooShort)) else None


def server(asked: list[int], *lengths: int | None, ranges: bool = True) -> Ask:
    """Each attempt sends so many bytes in pieces of 100 and then breaks; None: all of them."""
    left = list(lengths)

    @contextmanager
    def ask(offset: int) -> Iterator[Answer]:
        asked.append(offset)
        length, begin = left.pop(0), offset if ranges else 0

        def chunks() -> Iterator[bytes]:
            end = len(CONTENT) if length is None else begin + length
            for start in range(begin, end, 100):
                yield CONTENT[start : min(start + 100, end)]
            if length is not None:
                raise Cut

        yield Answer(begin, chunks())

    return ask


def run(ask: Ask, part: Path) -> list[float]:
    waits: list[float] = []
    fetch(ask, part, len(CONTENT), wait=wait, sleep=waits.append)
    return waits


def test_at_one_go(tmp_path: Path) -> None:
    asked: list[int] = []
    held: list[int] = []
    part = tmp_path / "deep" / "part"
    ask = server(asked, None)
    fetch(ask, part, len(CONTENT), wait=wait, sleep=asked.append, on_bytes=held.append)
    assert part.read_bytes() == CONTENT and asked == [0]
    assert held == [*range(100, len(CONTENT), 100), len(CONTENT)]


def test_a_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    asked: list[int] = []
    waits = run(server(asked, 250, 1000, None), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert asked == [0, 250, 1250] and waits == [1, 1]  # there were new bytes each time


def test_another_run_goes_on_where_the_first_was(tmp_path: Path) -> None:
    asked: list[int] = []
    with pytest.raises(Cut):
        run(server(asked, 300, 0, 0, 0, 0), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT[:300]
    assert run(server(asked, None), tmp_path / "part") == []
    assert asked == [0, 300, 300, 300, 300, 300]
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_it_is_given_up_after_attempts_without_a_byte(tmp_path: Path) -> None:
    asked: list[int] = []
    waits: list[float] = []
    with pytest.raises(Cut):
        fetch(
            server(asked, *[0] * 9), tmp_path / "part", len(CONTENT), wait=wait, sleep=waits.append
        )
    assert len(asked) == ATTEMPTS and waits == [1, 2, 4, 8]


def test_a_server_without_ranges_starts_over(tmp_path: Path) -> None:
    asked: list[int] = []
    run(server(asked, 700, None, ranges=False), tmp_path / "part")
    assert asked == [0, 700] and (tmp_path / "part").read_bytes() == CONTENT


def test_a_part_that_is_too_long_starts_over(tmp_path: Path) -> None:
    asked: list[int] = []
    (tmp_path / "part").write_bytes(bytes(len(CONTENT) + 1))
    run(server(asked, None), tmp_path / "part")
    assert asked == [0] and (tmp_path / "part").read_bytes() == CONTENT


def test_a_whole_part_asks_nobody(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT)
    run(server([]), tmp_path / "part")


def test_an_empty_file_is_made(tmp_path: Path) -> None:
    @contextmanager
    def ask(offset: int) -> Iterator[Answer]:
        yield Answer(0, iter(()))

    fetch(ask, tmp_path / "part", 0, wait=wait, sleep=lambda s: None)
    assert (tmp_path / "part").read_bytes() == b""


@pytest.mark.parametrize(("sent", "error"), [(100, TooShort), (3000, TooLong)])
def test_another_length_than_announced(sent: int, error: type[OSError], tmp_path: Path) -> None:
    @contextmanager
    def ask(offset: int) -> Iterator[Answer]:
        yield Answer(offset, iter([bytes(sent)][: 0 if offset else 1]))

    with pytest.raises(error, match="the announced 2560 bytes"):
        run(ask, tmp_path / "part")
    assert (tmp_path / "part").stat().st_size == (sent if error is TooShort else 0)


def test_what_does_not_pass_is_raised_at_once() -> None:
    calls: list[int] = []

    def attempt() -> None:
        calls.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        patiently(attempt, wait, calls.append)  # type: ignore[arg-type]
    assert calls == [1]


def test_a_wait_too_long_is_not_waited() -> None:
    waits: list[float] = []

    def attempt() -> None:
        raise Cut

    with pytest.raises(Cut):
        patiently(attempt, lambda error, attempts: 60.0 * attempts, waits.append)
    assert waits == [60, 120]


def test_the_same_bytes_again_are_no_progress(tmp_path: Path) -> None:
    """A server without ranges that sends ten bytes of twenty, for ever."""
    from vtg_cli.weights import transfer

    asked: list[int] = []
    waits: list[float] = []

    @contextmanager
    def ask(offset: int) -> Iterator[transfer.Answer]:
        asked.append(offset)
        yield transfer.Answer(0, iter([b"12345", b"67890"]))

    with pytest.raises(transfer.TooShort):
        transfer.fetch(
            ask,
            tmp_path / "part",
            20,
            wait=lambda error, attempts: transfer.backoff(attempts),
            sleep=waits.append,
        )
    assert (asked, waits) == ([0, 10, 10, 10, 10], [1.0, 2.0, 4.0, 8.0])
