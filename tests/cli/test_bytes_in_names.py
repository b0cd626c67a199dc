"""File names that are not UTF-8: commands work on them, and reports keep every byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from reading import read_video

from vtg_cli.cli import main

BYTES = os.fsdecode(b"caf\xe9")


def test_clips_of_such_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / f"in{BYTES}"
    folder.mkdir()
    for name, shade in (("_a", "white"), ("_b", "black")):
        Image.new("RGB", (32, 18), shade).save(folder / f"{BYTES}{name}.png")
    pictures = [str(folder / f"{BYTES}_{name}.png") for name in "ab"]
    options = ["--frames", "3", "--model", "flow"]
    assert main(["interpolate", *pictures, "-o", f"{BYTES}.mkv", *options]) == 0
    assert capfd.readouterr().out == "caf\\xe9.mkv\n"
    (report,) = tmp_path.glob(f"{BYTES}*.json")
    text = report.read_bytes()
    assert b"caf\\udce9_a.png" in text
    assert json.loads(text.decode())["job"]["keyframes"][0] == f"in{BYTES}/{BYTES}_a.png"
    assert main(["run", str(report), "-o", f"again{BYTES}.mkv"]) == 0
    assert (read_video(f"again{BYTES}.mkv")[0] == read_video(f"{BYTES}.mkv")[0]).all()
    assert main(["slow", f"{BYTES}.mkv", "--factor", "2", "-o", f"slow{BYTES}.mkv"]) == 0
    assert main(["batch", str(folder), "-o", f"out{BYTES}", *options]) == 0
    assert (tmp_path / f"out{BYTES}" / f"{BYTES}.mp4").is_file()
    capfd.readouterr()
    assert main(["batch", str(folder), "-o", f"out{BYTES}", *options, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["skipped"], told["items"][0]["output"]) == (1, f"{BYTES}.mp4")
    assert main(["timeline", "init", *pictures, "-o", "t.toml"]) == 2
    assert "its name is not UTF-8" in capfd.readouterr().err


def test_bridge_retime_render(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(f"in{BYTES}")
    folder.mkdir()
    for name, shade in (("a", "white"), ("b", "black")):
        Image.new("RGB", (32, 18), shade).save(folder / f"{name}.png")
    pictures = [str(folder / f"{name}.png") for name in "ab"]
    clip, model = str(folder / f"{BYTES}.mkv"), ["--model", "flow"]
    assert main(["interpolate", *pictures, "-o", clip, "--frames", "3", *model]) == 0
    for suffix in ("mkv", "mp4"):
        joined = f"joined{BYTES}.{suffix}"
        assert main(["bridge", clip, clip, "-o", joined, "--frames", "3", *model]) == 0
        assert len(read_video(joined)[0]) == 3 + 1 + 3  # one between both clips
        assert json.loads((tmp_path / f"{joined}.json").read_text())["job"]["first"]["path"] == (
            f"in{BYTES}/{BYTES}.mkv"
        )
    assert main(["retime", clip, "--fps", "48", "-o", f"{BYTES}.mkv"]) == 0
    timeline = str(folder / f"{BYTES}.toml")
    assert main(["timeline", "init", *pictures, "-o", timeline]) == 0
    assert main(["render", timeline, "-o", f"rendered{BYTES}.mkv", *model]) == 0
    assert len(read_video(f"rendered{BYTES}.mkv")[0]) == 25
    capfd.readouterr()


def test_names_of_255_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Temporary files and reports have names of their own; one of 256 is refused as such."""
    monkeypatch.chdir(tmp_path)
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for name, shade in (("a", "white"), ("b", "black")):
        Image.new("RGB", (32, 18), shade).save(pairs / f"{'p' * 249}_{name}.png")
    pictures, options = sorted(map(str, pairs.iterdir())), ["--frames", "3", "--model", "flow"]
    clips = {name: name * 251 + ".mkv" for name in "xyz"}
    assert main(["interpolate", *pictures, "-o", clips["x"], *options]) == 0
    assert main(["slow", clips["x"], "--factor", "2", "-o", clips["y"]]) == 0
    assert main(["bridge", clips["x"], clips["x"], "-o", clips["z"], *options]) == 0
    assert main(["batch", str(pairs), "-o", "out", *options]) == 0
    assert (tmp_path / "out" / ("p" * 249 + ".mp4")).is_file()
    assert sorted(path.name for path in tmp_path.glob("*.mkv")) == sorted(clips.values())
    lengths = {len(path.name) for path in tmp_path.glob("*.json")}
    assert len([*tmp_path.glob("*.json")]) == 3 and max(lengths) == 255
    before = sorted(os.listdir())
    capfd.readouterr()
    assert main(["interpolate", *pictures, "-o", "x" * 252 + ".mkv", *options]) == 7
    assert "is too long for a file name" in capfd.readouterr().err
    assert sorted(os.listdir()) == before
