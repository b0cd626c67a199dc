"""PICTURE@TIME on the command line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from vtg_cli.errors import UsageError
from vtg_cli.job.shorthand import Keyframes, parse_time, split


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "me@home.png", "odd@2s", "c@d.png"):
        Path(name).touch()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("0", Fraction(0)),
        ("0.0s", Fraction(0)),
        ("0:00", Fraction(0)),
        ("1.5", Fraction(3, 2)),
        ("1.5s", Fraction(3, 2)),
        ("800ms", Fraction(4, 5)),
        ("1:30", Fraction(90)),
        ("0f", 0),
        ("36f", 36),
    ],
)
def test_a_time(text: str, time: Fraction | int) -> None:
    found = parse_time(text)
    assert found == time and type(found) is type(time)


@pytest.mark.parametrize("text", ["", "-1", "soon", "1.5f", "2 h", "nan", "1e3"])
def test_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time") as caught:
        parse_time(text)
    assert caught.value.hint == "write seconds or a frame: 1.5, 1.5s, 800ms, 0:01.5 or 36f"


def test_seconds() -> None:
    found = split(["a.png@0", "b.png@1.5s", "a.png@3"])
    assert found == Keyframes(("a.png", "b.png", "a.png"), at=(0, Fraction(3, 2), 3))


def test_frames_count_both_ends_of_a_segment() -> None:
    for first in ("a.png@0f", "a.png@0"):
        found = split([first, "b.png@12f", "a.png@36f"])
        assert found == Keyframes(("a.png", "b.png", "a.png"), frames=(13, 25))


def test_frames_beside_seconds_need_the_rate() -> None:
    mixed = ["a.png@0", "b.png@24f", "a.png@3s"]
    with pytest.raises(UsageError, match="need --fps"):
        split(mixed)
    rate = Fraction(24000, 1001)
    assert split(mixed, rate).at == (0, Fraction(1001, 1000), 3)


def test_names_without_times_are_names() -> None:
    assert split(["a.png", "b.png"]) == Keyframes(("a.png", "b.png"))


def test_a_file_of_that_name_is_that_file() -> None:
    assert split(["odd@2s", "a.png"]).names == ("odd@2s", "a.png")
    assert split(["me@home.png", "c@d.png"]).names == ("me@home.png", "c@d.png")
    assert split(["me@home.png@0", "c@d.png@2"]) == Keyframes(
        ("me@home.png", "c@d.png"), at=(0, Fraction(2))
    )
    assert split(["not@here.png", "a.png"]).names == ("not@here.png", "a.png")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.png@0", "b.png"], "b.png has no time, and others have one"),
        (["a.png@0", "b.png@soon"], "b.png@soon: soon is not a time"),
        (["a.png@0", "b.png@"], "b.png@:  is not a time"),
        (["a.png@0", "b.png@-2"], "b.png@-2: -2 is not a time"),
        (["a.png@3f", "b.png@5f"], "the first keyframe is on frame 3, and a clip begins with"),
        (["a.png@0f", "b.png@5f", "a.png@5f"], "keyframe 3 is on frame 5, and the one before it"),
    ],
)
def test_what_cannot_be_read(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        split(arguments)
    assert caught.value.message.startswith(said)
    assert caught.value.hint
