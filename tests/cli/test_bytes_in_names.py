"""File names that are not UTF-8: commands work on them, and reports keep every byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from vtg_cli.cli import main
from vtg_cli.media.video import read_video

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
