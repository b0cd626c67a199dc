"""What an output may replace: its own older files and no others, whichever command writes it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtg_cli.cli import main
from vtg_cli.media.image import read_image


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a.png and b.png to stand in."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("a.png", 40), ("b.png", 200)):
        Image.fromarray(np.full((16, 24, 3), value, np.uint8)).save(name)
    return tmp_path


def draw(*arguments: str, first: str = "a.png", last: str = "b.png", frames: int = 3) -> int:
    how = ("--frames", str(frames), "--model", "flow", "-q")
    return main(["interpolate", first, last, *how, *arguments])


def contents(folder: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}


def test_numbered_output_never_replaces_its_keyframes(capfd: pytest.CaptureFixture[str]) -> None:
    Path("kk").mkdir()
    for name, source in (("0000.png", "a.png"), ("0007.png", "b.png")):
        Path("kk", name).write_bytes(Path(source).read_bytes())
    before = contents("kk")
    keys = {"first": "kk/0000.png", "last": "kk/0007.png"}
    assert draw("-o", "kk/%04d.png", "--overwrite", **keys) == 2
    assert capfd.readouterr().err.startswith(
        "vtg: kk/0000.png is one of the inputs and a name of kk/%04d.png\n"
    )
    os.link("kk/0007.png", "copy.png")  # by another name as well
    keys = {"first": "a.png", "last": "copy.png"}
    assert draw("-o", "kk/%04d.png", "--overwrite", **keys) == 2
    assert "kk/0007.png is one of the inputs" in capfd.readouterr().err
    assert contents("kk") == before


def test_only_numbers_that_a_report_names_are_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    assert draw("-o", "ph/IMG_%d.png", frames=5) == 0
    Path("ph/IMG_2024.png").write_bytes(b"a holiday")
    assert draw("-o", "ph/IMG_%d.png", "--overwrite") == 2
    assert capfd.readouterr().err.startswith(
        "vtg: ph/IMG_2024.png exists, and no report says that it was made as ph/IMG_%d.png\n"
    )
    Path("ph/IMG_2024.png").rename("ph/holiday.png")
    assert draw("-o", "ph/IMG_%d.png", "--overwrite") == 0
    report = "IMG_%d.png.json"
    assert [*contents("ph")] == [report, *(f"IMG_{i}.png" for i in range(3)), "holiday.png"]
    assert json.loads(Path("ph", report).read_text())["clip"]["frames"] == 3


def test_an_older_report_says_as_well_what_is_ours() -> None:
    assert draw("-o", "out/%02d.png", frames=5) == 0
    report = json.loads(Path("out/%02d.png.json").read_text())
    report["job"] |= {"output": "out/%02d.png", "keyframes": ["a.png", "b.png"]}
    Path("out.json").write_text(json.dumps(report))
    Path("out/%02d.png.json").unlink()
    assert main(["run", "out.json", "-o", "again/%02d.png", "-q"]) == 0
    assert np.array_equal(read_image("again/03.png"), read_image("out/03.png"))
    assert draw("-o", "out/%02d.png", "--overwrite") == 0
    assert [*contents("out")] == ["%02d.png.json", "00.png", "01.png", "02.png"]


def test_a_report_replaces_no_other_json(capfd: pytest.CaptureFixture[str]) -> None:
    for output in ("two.mp4", "two.gif", "f5/%02d.png"):
        assert draw("-o", output) == 0
        assert json.loads(Path(f"{output}.json").read_text())["job"]["output"] == Path(output).name
    for content in ('{"mine": 1}', Path("two.gif.json").read_text(), "[" * 100_000):
        Path("c.mp4.json").write_text(content)
        assert draw("-o", "c.mp4", "--overwrite") == 2
        assert capfd.readouterr().err.startswith(
            "vtg: c.mp4.json exists and is not a report of c.mp4\n"
        )
        assert Path("c.mp4.json").read_text() == content and not Path("c.mp4").exists()
    assert draw("-o", "two.mp4", "--overwrite") == 0


def test_a_report_alone_writes_in_its_own_folder_only(capfd: pytest.CaptureFixture[str]) -> None:
    Path("sub").mkdir()
    assert draw("-o", "sub/c.mp4") == 0
    report = json.loads(Path("sub/c.mp4.json").read_text())
    report["job"]["output"] = "../d.mp4"
    Path("sub/evil.json").write_text(json.dumps(report))
    assert main(["run", "sub/evil.json", "-q"]) == 2
    assert capfd.readouterr().err == (
        "vtg: sub/evil.json names the output sub/../d.mp4, outside of its own folder\n"
        "     say that you want it there: -o sub/../d.mp4\n"
    )
    assert not Path("d.mp4").exists()
    assert main(["run", "sub/evil.json", "-q", "-o", "d.mp4"]) == 0
    Path("sub/c.mp4").unlink()
    assert main(["run", "sub/c.mp4.json", "-q", "--overwrite"]) == 0 and Path("sub/c.mp4").exists()


def test_a_sheet_takes_no_name_that_is_in_use(capfd: pytest.CaptureFixture[str]) -> None:
    Path("link.png").symlink_to("b.png")
    for sheet in ("link.png", "f_7.png", "./f_7.png"):
        assert draw("-o", "f_%d.png", "--sheet", sheet, "--overwrite") == 2
        assert f"--sheet {sheet} is already in use" in capfd.readouterr().err
    assert not Path("f_0.png").exists() and read_image("b.png").mean() == 200


def test_a_clip_that_appeared_meanwhile_stays(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from vtg_cli.media.video import Sink

    close = Sink.close

    def late(self: Sink) -> None:
        close(self)
        Path("c.mp4").write_bytes(b"the other's")

    monkeypatch.setattr(Sink, "close", late)
    assert draw("-o", "c.mp4") == 7
    assert "cannot write c.mp4: c.mp4 appeared meanwhile" in capfd.readouterr().err
    left = sorted(file.name for file in Path().iterdir())
    assert left == ["a.png", "b.png", "c.mp4"] and Path("c.mp4").read_bytes() == b"the other's"


def test_a_rendered_clip_never_replaces_its_timeline_or_keyframes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """By a link to the timeline, by the report's name, by a number; --overwrite or not."""
    Path("kk").mkdir()
    for name, source in (("0000.png", "a.png"), ("0003.png", "b.png")):
        Path("kk", name).write_bytes(Path(source).read_bytes())
    assert main(["timeline", "init", "kk/0000.png", "kk/0003.png", "-o", "clip.mp4.json.toml"]) == 0
    Path("clip.mp4.json.toml").rename("clip.mp4.json")
    os.link("clip.mp4.json", "link.mp4")
    timeline, pictures = Path("clip.mp4.json").read_bytes(), contents("kk")
    for output, named in (
        ("link.mp4", "link.mp4 is one of the inputs"),
        ("clip.mp4", "clip.mp4.json is one of the inputs"),
        ("kk/%04d.png", "kk/0000.png is one of the inputs and a name of kk/%04d.png"),
    ):
        for more in ([], ["--overwrite"]):
            capfd.readouterr()
            command = ["render", "clip.mp4.json", "-o", output, "--model", "flow", "-q", *more]
            assert main(command) == 2
            assert capfd.readouterr().err == f"vtg: {named}\n     give the output another name\n"
    assert (Path("clip.mp4.json").read_bytes(), contents("kk")) == (timeline, pictures)
    assert sorted(contents("kk")) == ["0000.png", "0003.png"] and not Path("clip.mp4").exists()
