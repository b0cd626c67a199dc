"""vtg doctor: its lines, its JSON, its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from vtg_cli.cli import health, main
from vtg_cli.cli.health import Finding

GOOD = Finding("ffmpeg", "ok", "7.1")
LACKING = Finding("heif", "note", "is not installed", "pip install it")
BROKEN = Finding("torch", "bad", "does not work", "pip install --force-reinstall torch")


def on(monkeypatch: pytest.MonkeyPatch, *found: Finding) -> None:
    def check() -> Iterator[Finding]:
        yield from found

    monkeypatch.setattr(health, "CHECKS", (check,))


def test_a_line_for_each_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    on(monkeypatch, GOOD, LACKING)
    assert main(["doctor"]) == 0
    assert capfd.readouterr() == (
        "ok    ffmpeg        7.1\nnote  heif          is not installed -> pip install it\n",
        "",
    )


def test_what_is_broken_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    on(monkeypatch, BROKEN, GOOD)
    assert main(["doctor"]) == 1
    assert capfd.readouterr() == (
        "bad   torch         does not work -> pip install --force-reinstall torch\n"
        "ok    ffmpeg        7.1\n",
        "",
    )
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capfd.readouterr().out) == {
        "can_draw": False,
        "findings": [
            {
                "name": "torch",
                "state": "bad",
                "text": "does not work",
                "todo": "pip install --force-reinstall torch",
            },
            {"name": "ffmpeg", "state": "ok", "text": "7.1", "todo": ""},
        ],
    }


def test_this_machine_can_draw(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    names = [each["name"] for each in found["findings"]]
    assert [*dict.fromkeys(names)] == [
        *("ffmpeg", "torch", "GPU", "memory", "cache", "model", "hub", "ray", "heif")
    ]
