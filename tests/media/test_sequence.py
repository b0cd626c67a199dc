"""Numbered pictures as clips, held against Pillow's own reading of them."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import read_video

from vtg_cli.cli import main
from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media import sequence
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.media.ffmpeg import run
from vtg_cli.media.probe import probe
from vtg_cli.render.report import read


def pictures(folder: Path, numbers: list[int], name: str = "shot_{:04d}.png") -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        pixels = np.full((18, 32, 3), 40, np.uint8)
        pixels[4:12, 2 * number % 20 : 2 * number % 20 + 8] = (200, number % 200, 60)
        Image.fromarray(pixels).save(folder / name.format(number), quality=95)
    return folder


def vtg(*arguments: object) -> tuple[int, str]:
    """The exit code of a command line, and what it says on stderr."""
    with redirect_stderr(io.StringIO()) as said:
        code = main([str(each) for each in arguments])
    return code, said.getvalue()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
def test_any_first_number_and_any_kind(tmp_path: Path, suffix: str) -> None:
    folder = pictures(tmp_path / "s", [998, 999, 1000], f"a1_{{}}.{suffix}")
    for path in (folder, folder / f"a1_%d.{suffix}", folder / f"a1_%04d.{suffix}"):
        source = Input(path=str(path), fps=Fraction(24))
        facts = sequence.facts_of(source)
        assert facts.extent.frames == 3 and facts.extent.seconds == Fraction(3, 24)
        with open_clip(source, facts) as clip:
            frames = list(clip.frames())
        assert [frame.time for frame in frames] == [0, Fraction(1, 24), Fraction(2, 24)]
        for frame, number in zip(frames, (998, 999, 1000), strict=True):
            with Image.open(folder / f"a1_{number}.{suffix}") as picture:
                assert np.array_equal(frame.pixels, np.asarray(picture))


def test_a_gap_keeps_its_time_and_is_told(tmp_path: Path) -> None:
    """Of 3, 4, 7, 8 the missing two are drawn between 4 and 7, at twice the rate three more."""
    folder = pictures(tmp_path / "s", [3, 4, 7, 8])
    code, said = vtg(
        *("retime", folder, "--input-fps", 12, "--fps", 24, "--cuts", "ignore"),
        *("-o", tmp_path / "a.mkv"),
    )
    assert code == 0, said
    assert f"vtg: {folder} lacks 5 to 6: their time is kept\n" in said
    assert "does not say its rate" not in said
    frames, rate = read_video(str(tmp_path / "a.mkv"))
    assert (len(frames), rate) == (12, 24)
    for place, number in ((0, 3), (2, 4), (8, 7), (10, 8)):
        with Image.open(folder / f"shot_{number:04d}.png") as picture:
            assert np.array_equal(frames[place], np.asarray(picture))
    assert all(not np.array_equal(frames[i], frames[i + 1]) for i in range(2, 8))


def test_pictures_beside_the_series_are_told(tmp_path: Path) -> None:
    """Of a folder; whoever writes a pattern has chosen."""
    folder = pictures(tmp_path / "s", [1, 2])
    assert sequence.found(str(folder)).notes == []
    for name, told in {
        "cover.png": f"cover.png in {folder} is no part of the series and left out",
        "a_7.jpg": f"2 pictures in {folder} are no part of the series and left out: a_7.jpg, "
        "cover.png",
        "Z.tif": f"3 pictures in {folder} are no part of the series and left out: Z.tif, "
        "a_7.jpg, cover.png",
        "zz.png": f"4 pictures in {folder} are no part of the series and left out: Z.tif, "
        "a_7.jpg, cover.png and 1 more",
    }.items():
        Image.new("RGB", (32, 18)).save(folder / name)
        assert sequence.found(str(folder)).notes == [told]
    assert sequence.found(str(folder / "shot_%d.png")).notes == []
    (folder / "notes.txt").write_text("no picture")
    out = tmp_path / "a.mkv"
    code, said = vtg("slow", folder, "--input-fps", 24, "--factor", 2, "-o", out)
    assert (code, said.count(f"vtg: {told}\n")) == (0, 1)
    code, said = vtg(
        "bridge", folder, folder, "--input-fps", 24, "--frames", 3, "-o", out, "--overwrite"
    )
    assert (code, said.count(f"vtg: {told}\n")) == (0, 1)


def test_the_rate_that_is_taken_is_told(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "s", [1, 2])
    code, said = vtg("slow", folder, "--factor", 2, "-o", tmp_path / "a.mkv")
    assert (code, read_video(str(tmp_path / "a.mkv"))[1]) == (0, 25)
    assert f"vtg: {folder} does not say its rate: 25 frames a second (--input-fps)\n" in said


def test_a_bridge_between_pictures_and_a_clip(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "s", [1, 2, 3])
    film = tmp_path / "film.mkv"
    run("-f", "lavfi", "-i", "testsrc2=s=32x18:r=12:d=0.25", "-c:v", "ffv1", str(film))
    for first, last in ((folder, film), (film, folder / "shot_%04d.png"), (folder, folder)):
        out = tmp_path / "out.mkv"
        code, said = vtg(
            *("bridge", first, last, "--input-fps", 12, "--frames", 4, "--model", "flow"),
            *("--overwrite", "-o", out),
        )
        assert code == 0, said
        facts = probe(str(out))
        assert (facts.extent.frames, facts.video.rate) == (8, 12)


def test_it_is_made_again_and_refused_once_a_picture_changed(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "s", [1, 2])
    assert vtg("slow", folder / "shot_%04d.png", "-o", tmp_path / "a.mkv")[0] == 0
    (report,) = tmp_path.glob("a*.json")
    assert read(report).inputs == (sequence.fingerprint(str(folder)),)
    again = tmp_path / "b.mkv"
    assert vtg("run", report, "-o", again)[0] == 0
    assert np.array_equal(read_video(str(again))[0], read_video(str(tmp_path / "a.mkv"))[0])
    pictures(folder, [1], "shot_000{}.png")
    Image.new("RGB", (32, 18), "red").save(folder / "shot_0002.png")
    code, said = vtg("run", report, "-o", tmp_path / "c.mkv")
    assert code == 7 and "has changed since" in said


def test_its_own_pictures_are_never_replaced(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "s", [1, 2])
    before = {file: file.read_bytes() for file in folder.iterdir()}
    name = folder / "shot_%04d.png"
    for source in (folder, name):
        code, said = vtg("slow", source, "--overwrite", "-o", name)
        assert code == 2 and f"would replace pictures of {source}" in said
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_what_is_no_sequence_is_said(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no numbered pictures") as caught:
        sequence.found(str(tmp_path))
    assert caught.value.exit_code == 7
    folder = pictures(pictures(tmp_path / "s", [1, 2]), [1, 2], "other_{}.png")
    with pytest.raises(UsageError, match=r"holds 2 sequences: other_%d\.png, shot_%d\.png"):
        sequence.found(str(folder))
    assert len(sequence.found(str(folder / "shot_%d.png")).files) == 2
    pictures(folder, [1], "shot_{}.png")
    with pytest.raises(UsageError, match="two pictures of one number"):
        sequence.found(str(folder / "shot_%d.png"))
    code, said = vtg("slow", tmp_path / "none" / "%d.png", "-o", tmp_path / "a.mkv")
    assert code == 7 and "there is no folder" in said


def test_a_damaged_picture_ends_it(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "s", [1, 2, 3])
    whole = (folder / "shot_0002.png").read_bytes()
    (folder / "shot_0002.png").write_bytes(whole[: len(whole) // 2])
    code, said = vtg("slow", folder, "-o", tmp_path / "a.mkv")
    assert code == 7 and "shot_0002.png" in said
    assert not list(tmp_path.glob("a*"))
