"""vtg render, vtg timeline and keyframes with times, as a person meets them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import read_video

from vtg_cli.cli import main

TIMELINE = """\
fps = 12
[[keyframe]]
picture = "a.png"
[[keyframe]]
picture = "b.png"
at = 0.5
[[keyframe]]
picture = "c.png"
at = "18f"
[[segment]]
carry = true
[[segment]]
ease = "ease-in"
carry = true
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three pictures and a timeline to stand in; no weights on the machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate("abc"):
        y, x = np.mgrid[:32, :48]
        waves = [np.sin((x + 3 * i) / 6) + np.cos((y - i) / (4 + c)) for c in range(3)]
        Image.fromarray((np.stack(waves, -1) * 60 + 128).astype(np.uint8)).save(f"{name}.png")
    Path("t.toml").write_text(TIMELINE, encoding="utf-8")
    return tmp_path


def test_a_timeline_becomes_a_clip_and_its_report_the_clip_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["render", "t.toml", "-o", "clip.mkv"]) == 0
    assert capfd.readouterr() == ("clip.mkv\n", "")
    frames, fps = read_video("clip.mkv")
    assert (len(frames), fps) == (19, 12)
    report = json.loads(Path("clip.mkv.json").read_text(encoding="utf-8"))
    assert report["job"]["kind"] == "timeline"
    assert report["clip"]["keyframes_at"] == [0, 6, 18]
    assert [each["name"] for each in report["models"]] == ["flow", "flow"]
    assert [each["frames"] for each in report["segments"]] == [7, 13]
    assert len(report["inputs"]) == 3 and report["weights"] == {}
    for i, name in enumerate("abc"):
        key = np.asarray(Image.open(f"{name}.png"))
        assert np.array_equal(frames[[0, 6, 18][i]], key)
    assert main(["run", "clip.mkv.json", "-o", "again.mkv", "-q"]) == 0
    assert np.array_equal(read_video("again.mkv")[0], frames)


def test_a_report_follows_its_pictures(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["render", "t.toml", "-o", "clip.mkv", "-q"]) == 0
    there = here / "elsewhere"
    there.mkdir()
    monkeypatch.chdir(there)
    assert main(["run", "../clip.mkv.json", "-o", "again.mkv", "-q"]) == 0
    assert np.array_equal(read_video("again.mkv")[0], read_video("../clip.mkv")[0])
    (here / "b.png").write_bytes((here / "a.png").read_bytes())
    assert main(["run", "../clip.mkv.json", "-o", "third.mkv", "-q"]) == 7


def test_what_would_be_made(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "t.toml", "-o", "clip.mkv", "--dry-run"]) == 0
    out = capfd.readouterr().out
    assert out[: out.index("memory ")] == (  # of cost: test_preflight.py
        "clip      clip.mkv: 19 frames at 12 a second, 1.583 s, 48x32\n"
        "keyframes a.png at frame 0, b.png at frame 6, c.png at frame 18\n"
        "segment 1: frames 0 to 6, 0 to 0.5 s, linear, carried on\n"
        "  model     flow\n"
        "segment 2: frames 6 to 18, 0.5 to 1.5 s, ease-in\n"
        "  model     flow\n"
        "report    clip.mkv.json\n"
    )
    assert main(["render", "t.toml", "-o", "clip.mkv", "--dry-run", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["clip"]["frames"] == 19 and len(told["job"]["segments"]) == 2
    assert not list(Path().glob("clip*"))


def test_the_output_of_the_file_counts_from_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("t.toml").write_text(f'output = "o.gif"\n{TIMELINE}', encoding="utf-8")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert main(["render", "../t.toml", "-q"]) == 0
    assert Path("../o.gif").is_file()
    assert main(["render", "../t.toml", "-q"]) == 2  # it exists
    assert main(["render", "../t.toml", "-q", "--skip-existing"]) == 0
    assert main(["render", "../t.toml", "-q", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("at = 0.5", "at = 0"), 2, "t.toml:6: keyframe 2 is at 0 s"),
        (("at = 0.5", "at = "), 2, "t.toml:6: Invalid value"),
        (('"ease-in"', '"fast"'), 2, "t.toml:13: segment 2: --ease fast is not a curve"),
        (("ease =", "model ="), 2, "segment 2: there is no model called 'ease-in'"),
        (('"c.png"', '"none.png"'), 7, "t.toml:8: there is no picture none.png"),
        (("fps = 12", "fps = 12\nwidth = 0"), 2, "t.toml:2: width should be a whole number from 1"),
    ],
)
def test_what_is_wrong_is_said_in_two_lines(
    change: tuple[str, str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("t.toml").write_text(TIMELINE.replace(*change), encoding="utf-8")
    assert main(["render", "t.toml", "-o", "clip.mkv"]) == code
    out, err = capfd.readouterr()
    assert out == "" and err.startswith(f"vtg: {said}") and len(err.splitlines()) <= 2
    assert not list(Path().glob("clip*"))


def test_a_file_without_an_output_needs_one(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "t.toml"]) == 2
    assert capfd.readouterr().err == "vtg: t.toml names no output\n     name one with -o\n"


def test_a_file_to_start_from(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", "init", "a.png", "b.png", "c.png", "-o", "new.toml"]) == 0
    assert main(["timeline", "validate", "new.toml"]) == 0
    assert capfd.readouterr().out == (
        "new.toml\nnew.toml: 3 keyframes, 49 frames at 24 a second, 2.042 s\n"
    )
    assert main(["timeline", "init", "a.png", "b.png", "-o", "new.toml"]) == 2
    assert main(["timeline", "init", "a.png", "b.png", "-o", "new.toml", "--overwrite"]) == 0
    assert main(["timeline", "init", "a.png", "b.png", "-o", "new.yaml"]) == 2
    assert main(["timeline", "init", "a.png", "b.png", "-o", "no/new.toml"]) == 7
    capfd.readouterr()
    assert main(["timeline", "init", "a.png@0", "b.png@2s", "-o", "-"]) == 0
    assert "at = 2\n" in capfd.readouterr().out


def test_a_picture_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    Path("c.png").unlink()
    assert main(["timeline", "validate", "t.toml"]) == 7
    assert capfd.readouterr().err == "vtg: t.toml:8: there is no picture c.png\n"


def test_keyframes_with_times(capfd: pytest.CaptureFixture[str]) -> None:
    timed = ["interpolate", "a.png@0", "b.png@0.5s", "c.png@1.5", "-o", "clip.mkv"]
    assert main([*timed, "--fps", "24000/1001", "--dry-run"]) == 0
    assert "a.png at frame 0, b.png at frame 12, c.png at frame 36" in capfd.readouterr().out
    assert main([*timed, "--fps", "12", "--carry", "-q"]) == 0
    assert main(["render", "t.toml", "-o", "other.mkv", "-q"]) == 0
    report = json.loads(Path("clip.mkv.json").read_text(encoding="utf-8"))
    assert report["job"]["frames"] == [7, 13] and report["job"]["at"] is None
    one, other = read_video("clip.mkv")[0], read_video("other.mkv")[0]
    assert np.array_equal(one[:7], other[:7])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.png@0", "b.png@1s", "--frames", "9"), "--frames and keyframes with a time of their"),
        (("a.png@0", "b.png@1s", "--duration", "9"), "--duration and keyframes with a time of"),
        (("a.png@0", "b.png@12f", "--loop"), "--loop and keyframes with a time of their own"),
        (("a.png@0", "b.png@later"), "b.png@later: later is not a time"),
        (("a.png@0", "b.png"), "b.png has no time, and others have one"),
        (("a.png@0", "b.png@0.001"), "keyframes 1 and 2, at 0 s and 0.001 s, fall on one frame"),
    ],
)
def test_times_that_cannot_be(
    arguments: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["interpolate", *arguments, "-o", "clip.mkv"]) == 2
    assert capfd.readouterr().err.startswith(f"vtg: {said}")


def test_a_file_with_an_at_sign_in_its_name() -> None:
    Path("b.png").rename("b@2s")
    assert main(["interpolate", "a.png", "b@2s", "-o", "clip.mkv", "--frames", "3", "-q"]) == 0
