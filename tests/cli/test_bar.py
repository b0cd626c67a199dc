"""The bar's time left: predicted, then measured."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from vtg_cli.cli import bar, main, pulling
from vtg_cli.cli.bar import TimeLeft


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


def test_the_prediction_stands_until_a_step_is_done_and_the_rate_after(clock: list[float]) -> None:
    left = TimeLeft(123.0, lambda: clock[0])
    said = [left.text]
    for at, share in (
        (105, 0.0),  # loading
        (160, 0.0),  # loaded, sampling begins
        (170, None),  # in the first step
        (180, 0.1),  # which took 20 s: 180 s for the rest
        (190, None),  # and so 170 s ten seconds later
        (200, 0.2),
        (460, 0.9),  # the rest went faster: 300 s for nine tenths
        (600, None),  # more than that
        (601, 1.0),
    ):
        clock[0] = at
        if share is not None:
            left.told(share)
        said.append(left.text)
    assert said[:4] == ["about 2 min"] * 4
    assert said[4:] == ["0:03:00", "0:02:50", "0:02:40", "0:00:33", "0:00:00", "0:00:00"]


def test_hours_and_nothing_predicted(clock: list[float]) -> None:
    left = TimeLeft(None, lambda: clock[0])
    assert left.text == "-:--:--"
    left.told(0.0)
    clock[0] += 100
    left.told(0.01)
    assert left.text == "2:45:00"
    assert TimeLeft(5400.0).text == "about 1.5 h" and TimeLeft(3.06).text == "about 3.1 s"


def drawn(text: str) -> list[str]:
    """What a terminal was shown, a line for each state of the bar, without colours or bars."""
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)
    lines = (re.sub(r"[━╸╺ ]+", " ", line).strip() for line in re.split(r"[\r\n]+", plain))
    return [line for line in lines if line]


def test_a_terminal_is_shown_both(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(TimeLeft.__init__, "__defaults__", (None, lambda: clock[0]))
    with bar.progress(quiet=False, expected=123.0) as show:
        assert show is not None
        show(0.0, "loading tiny")
    assert drawn(shown.getvalue())[-1] == "loading tiny 0% about 2 min"
    shown.truncate(shown.seek(0))
    with bar.progress(quiet=False, expected=123.0) as show:
        assert show is not None
        show(0.0, "sampling")
        clock[0] += 20
        show(0.1, "sampling")
    assert drawn(shown.getvalue())[-1] == "sampling 10% 0:03:00"


@pytest.mark.parametrize(("quiet", "term"), [(True, "xterm"), (False, "dumb")])
def test_where_no_bar_is_wanted_none_is_drawn(
    quiet: bool, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", term)
    with bar.progress(quiet=quiet, expected=123.0) as show:
        assert show is None
    assert shown.getvalue() == ""


def test_no_terminal_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with bar.progress(quiet=False, expected=123.0) as show:
        assert show is None
    assert capsys.readouterr() == ("", "")


def test_the_command_hands_its_prediction_to_the_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The time a dry run tells is what the bar of the run begins with."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Image.new("RGB", (64, 36), (name == "a" and "white") or "black").save(f"{name}.png")
    command = ["interpolate", "a.png", "b.png", "-o", "clip.mkv", "--frames", "4"]
    assert main([*command, "--dry-run"]) == 0
    told = re.search(r"^time +(about \S+ \w+) ", capfd.readouterr().out, re.MULTILINE)
    assert told is not None
    begun: list[str] = []
    whole = TimeLeft.__init__

    def watched(self: TimeLeft, expected: float | None = None) -> None:
        whole(self, expected)
        begun.append(self.text)

    monkeypatch.setattr(TimeLeft, "__init__", watched)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert main(command) == 0
    assert begun == [told[1]]


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        ("loading [red]m[/nope]", "loading [red]m[/nope]"),
        ("loading \x1b]0;owned\x07\x9b31m[/]\n", r"loading \x1b]0;owned\x07\u009b31m[/]\n"),
    ],
)
def test_markup_and_escapes_are_text_to_the_bars(
    phase: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rich's markup once ended the thread that draws."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    with bar.progress(quiet=False) as show:
        assert show is not None
        show(0.0, phase)
    assert drawn(shown.getvalue())[-1].startswith(f"{text} 0%")
    shown.truncate(shown.seek(0))
    with pulling.bar(100) as report:
        report(0.5, phase)
    assert any(line.startswith(text) for line in drawn(shown.getvalue()))
    assert "\x07" not in shown.getvalue() and "\x9b" not in shown.getvalue()
