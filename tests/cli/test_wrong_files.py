"""Files of another kind than a command takes, links to nothing, and hints that can be pasted."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from PIL import Image

from vtg_cli.cli import main

DRAW = ["--frames", "3", "--model", "flow"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, shade in (("a.png", "white"), ("b.jpg", "black")):
        Image.new("RGB", (32, 18), shade).save(folder / name)
    pictures = [str(folder / name) for name in ("a.png", "b.jpg")]
    assert main(["interpolate", *pictures, "-o", str(folder / "c.mp4"), *DRAW, "-q"]) == 0
    for suffix in ("png", "mp4", "toml", "json", "csv", "safetensors"):
        (folder / f"link.{suffix}").symlink_to("nowhere")
    (folder / "empty").mkdir()
    (folder / "gone").symlink_to("nowhere")
    (folder / "d.toml").write_text("frames = 3\nframes = 4\n")
    (folder / "deep.toml").write_text("a = " + "[" * 100 + "]" * 100)
    (folder / "deep.jsonl").write_text("\n" + "[" * 100_000 + "]" * 100_000)
    (folder / "twice.jsonl").write_text('{"first": "a.png", "first": "b.jpg", "last": "a.png"}')
    return folder


SLOW, BRIDGE = ["--factor", "2", "-o", "o.mp4"], ["--frames", "3", "-o", "o.mp4"]
LINK, NO_CLIP = "is a link to a missing file", "is a picture (png), not a clip"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["interpolate", "link.png", "a.png", "-o", "o.mp4"], 7, f"link.png {LINK}"),
        (["inspect", "a.png", "link.png"], 7, f"link.png {LINK}"),
        (["slow", "link.mp4", *SLOW], 7, f"link.mp4 {LINK}"),
        (["retime", "link.mp4", "--fps", "9", "-o", "o.mp4"], 7, f"link.mp4 {LINK}"),
        (["bridge", "c.mp4", "link.mp4", *BRIDGE], 7, f"link.mp4 {LINK}"),
        (["render", "link.toml"], 7, f"link.toml {LINK}"),
        (["run", "link.json"], 7, f"link.json {LINK}"),
        (["batch", "link.csv", "-o", "o"], 7, f"link.csv {LINK}"),
        (["batch", "gone", "-o", "o"], 2, f"gone {LINK}"),
        (["models", "import", "link.safetensors", "-o", "m"], 5, f"link.safetensors {LINK}"),
        (["interpolate", "a.png", "empty", "-o", "o.mp4"], 7, "empty is a folder, not a picture"),
        (["interpolate", "c.mp4", "a.png", "-o", "o.mp4"], 7, "c.mp4 is a clip, not a picture"),
        (["inspect", "c.mp4", "a.png"], 7, "c.mp4 is a clip, not a picture"),
        (["slow", "a.png", *SLOW], 7, f"a.png {NO_CLIP}"),
        (["slow", "b.jpg", *SLOW], 7, "b.jpg is a picture (jpg), not a clip"),
        (["bridge", "c.mp4", "a.png", *BRIDGE], 7, f"a.png {NO_CLIP}"),
        (["slow", "empty", *SLOW], 7, "empty has no numbered pictures"),
        (["render", "empty"], 7, "empty is a folder, not a timeline"),
        (["run", "empty"], 7, "empty is a folder, not a report"),
        (["models", "import", "empty", "-o", "m"], 5, "empty is a folder, not a checkpoint"),
        (["render", "d.toml"], 2, "d.toml:2: Cannot overwrite a value"),
        (["batch", "d.toml", "-o", "o"], 2, "d.toml:2: Cannot overwrite a value"),
        (["batch", "deep.toml", "-o", "o"], 2, "deep.toml:1: nested deeper than 64 levels"),
        (["batch", "deep.jsonl", "-o", "o"], 2, "deep.jsonl line 2 is not JSON: nested deeper"),
        (["batch", "twice.jsonl", "-o", "o"], 2, "line 1 is not JSON: first appears in it twice"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_it_is_is_said(
    command: list[str],
    code: int,
    said: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(files)
    before = sorted(os.listdir())
    assert main(command) == code
    (line,) = [each for each in capfd.readouterr().err.splitlines() if each.startswith("vtg: ")]
    assert said in line
    assert sorted(os.listdir()) == before


def test_a_hint_can_be_pasted(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures, place = [str(files / "a.png"), str(files / "b.jpg")], "it's new; $HOME"
    for command in (
        ["interpolate", *pictures, "-o", f"{place}/c.mp4"],
        ["interpolate", *pictures, "-o", "c.mp4", "--sheet", f"{place}/s.png"],
        ["timeline", "init", *pictures, "-o", f"{place}/t.toml"],
    ):
        assert main(command) == 7
        hint = capfd.readouterr().err.splitlines()[-1].partition("make it first: ")[2]
        assert shlex.split(hint) == ["mkdir", "-p", place]
    assert main(["interpolate", *pictures, "-o", f"{files}/gone/c.mp4"]) == 7
    assert "gone is a link to a missing folder" in capfd.readouterr().err
    assert main(["interpolate", *pictures, "-o", f"{files}/a.png/c.mp4"]) == 7
    assert "a.png is no folder" in capfd.readouterr().err


def test_a_report_may_begin_with_a_mark(files: Path, tmp_path: Path) -> None:
    """As editors on Windows save it; of an output that is replaced, too."""
    clip = tmp_path / "c.mkv"
    command = ["interpolate", str(files / "a.png"), str(files / "b.jpg"), *DRAW, "-q"]
    assert main([*command, "-o", str(clip)]) == 0
    report = tmp_path / "c.mkv.json"
    report.write_bytes(b"\xef\xbb\xbf" + report.read_bytes())
    assert main(["run", str(report), "-o", str(tmp_path / "d.mkv"), "-q"]) == 0
    assert (tmp_path / "d.mkv").read_bytes() == clip.read_bytes()
    assert main([*command, "-o", str(clip), "--overwrite"]) == 0
    assert report.read_bytes().startswith(b"{")
