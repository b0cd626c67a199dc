"""Bytes and seconds in words."""

from __future__ import annotations

import pytest

from vtg_cli.ground.units import size_text, time_text


def test_sizes() -> None:
    counts = (4_512_345_678, 87_600_000, 2200, 999)
    assert [*map(size_text, counts)] == ["4.5 GB", "88 MB", "2 kB", "999 bytes"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.123, "0.12 s"), (3.06, "3.1 s"), (99, "99 s"), (99.6, "2 min"), (5369, "89 min")],
)
def test_times(seconds: float, text: str) -> None:
    assert time_text(seconds) == text
    assert (time_text(5400), time_text(36000)) == ("1.5 h", "10 h")
