"""What goes with a clip beside picture and sound, held against what ffmpeg itself says of files."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from vtg_cli.clips.bridge import prepared
from vtg_cli.clips.retime import opened, save
from vtg_cli.job.jobs import Bridge, Interpolate, Retime
from vtg_cli.media import extras
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.media.ffmpeg import run

WORDS = """1
00:00:00,100 --> 00:00:00,300
one

2
00:00:00,350 --> 00:00:00,450
two
"""
ABOUT = """;FFMETADATA1
title=A film\\; and more
date=2020-01-02
comment=shot by me
[CHAPTER]
TIMEBASE=1/1000
START=0
END=200
title=first
[CHAPTER]
TIMEBASE=1/1000
START=200
END=500
title=last = end
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second with two sound tracks, subtitles, two chapters, a cover and tags."""
    folder = tmp_path_factory.mktemp("film")
    (folder / "a.srt").write_text(WORDS)
    (folder / "a.txt").write_text(ABOUT)
    tones = [word for hertz in (440, 880) for word in ("-f", "lavfi", "-i", f"sine={hertz}:d=0.5")]
    done = run(
        *("-f", "lavfi", "-i", "testsrc2=s=32x18:r=24:d=0.5", *tones),
        *("-i", str(folder / "a.srt"), "-i", str(folder / "a.txt")),
        *("-f", "lavfi", "-i", "color=s=16x16:d=0.04"),
        *("-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map", "5"),
        *("-map_metadata", "4", "-map_chapters", "4", "-c:v:0", "libx264", "-pix_fmt", "yuv420p"),
        *("-c:v:1", "mjpeg", "-disposition:v:1", "attached_pic", "-c:s", "mov_text"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra"),
        *("-metadata:s:s:0", "language=ger", "-disposition:s:0", "forced"),
        *("-metadata", "creation_time=2021-03-04T05:06:07Z", str(folder / "a.mp4")),
    )
    assert done.returncode == 0, done.stderr.decode()
    return folder / "a.mp4"


def slowed(film: Path, output: Path, **more: object) -> list[str]:
    """The notes of a clip twice as long."""
    name = str(film)
    between = Interpolate(
        keyframes=(name, name), output=str(output), model="flow", encoding=Encoding(sidecar=False)
    )
    job = Retime(clip=Input(path=name), between=between, factor=Fraction(2))
    with opened(replace(job, **more)) as (made, source):  # type: ignore[arg-type]
        return list(save(made, source)["notes"])


def bridged(first: Path, last: Path, output: Path) -> list[str]:
    """What is told before a bridge is drawn."""
    paths = str(first), str(last)
    between = Interpolate(keyframes=paths, output=str(output), model="flow", frames=(3,))
    job = Bridge(first=Input(path=paths[0]), last=Input(path=paths[1]), between=between)
    with prepared(job) as made:
        return list(made.notes)


def said(path: Path) -> str:
    return run("-loglevel", "info", "-i", str(path)).stderr.decode()


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "webm"])
def test_slow_keeps_what_it_need_not_change(film: Path, tmp_path: Path, suffix: str) -> None:
    new = tmp_path / f"b.{suffix}"
    notes = slowed(film, new)
    assert notes == [f"a cover picture of {film} is left out"]
    listed = said(new)
    tags = {line.partition(":")[0].strip().lower(): line for line in listed.splitlines()}
    assert tags["date"].endswith(": 2020-01-02")
    assert "2021-03-04T05:06:07" in tags["creation_time"]
    assert ": A film; and more\n" in listed
    assert ": shot by me; made with vtg" in tags["comment"]
    streams = [
        line for line in listed.splitlines() if "Stream #0" in line and "bin_data" not in line
    ]
    languages = [line.partition("(")[2][:3] for line in streams if "Audio" in line or "Sub" in line]
    assert languages == ["eng", "fra", "ger"]
    assert "(default)" in streams[1]
    assert ("(forced)" in streams[-1]) == (suffix != "mov")  # QuickTime has no such role
    words = run("-i", str(new), "-map", "0:s", "-f", "srt", "-").stdout.decode()
    times = [line for line in words.splitlines() if "-->" in line]
    assert times == [
        "00:00:00,200 --> 00:00:00,600",
        "00:00:00,700 --> 00:00:00,900",
    ]
    chapters = run("-i", str(new), "-f", "ffmetadata", "-").stdout.decode().split("[CHAPTER]")[1:]
    held = [dict(line.split("=", 1) for line in each.split() if "=" in line) for each in chapters]
    seconds = [
        Fraction(int(each[end])) * Fraction(each["TIMEBASE"])
        for each in held
        for end in ("START", "END")
    ]
    assert seconds == [0, Fraction(2, 5), Fraction(2, 5), 1]
    assert "title=last \\= end" in chapters[1]


def test_what_a_format_does_not_hold_is_told(film: Path, tmp_path: Path) -> None:
    held = extras.extras(str(film))
    _, notes = extras.kept(held, "gif", Fraction(0), Fraction(2))
    assert notes == [
        f"a cover picture of {film} is left out",
        f"subtitles 1 (ger, mov_text) of {film} are left out: gif does not hold them",
        f"the chapters of {film} are left out: gif does not hold them",
        f"the tags of {film} (creation_time, title, date, comment, language) are left out: gif "
        "does not hold them",
    ]
    drawn = replace(held, subtitles=(extras.Track("dvd_subtitle", {}, ()),), others=())
    (subtitles,) = extras.kept(drawn, "mkv", Fraction(0), Fraction(1))[0].subtitles
    assert subtitles == (0, "copy")  # bitmaps carry their own length, which nobody can move
    _, notes = extras.kept(drawn, "mkv", Fraction(0), Fraction(2))
    assert notes == [f"subtitles 1 (dvd_subtitle) of {film} are left out: they cannot be moved"]


def test_tags_that_were_not_taken_up_are_told(film: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.mkv"
    run("-i", str(film), "-map", "0:v:0", "-c", "copy", "-metadata", "camera=mine", str(odd))
    assert slowed(odd, tmp_path / "b.mp4") == ["b.mp4 has no place for camera"]
    assert slowed(odd, tmp_path / "b.mkv") == []


def test_our_own_comment_does_not_pile_up(film: Path, tmp_path: Path) -> None:
    slowed(film, tmp_path / "b.mkv")
    slowed(tmp_path / "b.mkv", tmp_path / "c.mkv")
    (comment,) = (line for line in said(tmp_path / "c.mkv").splitlines() if "COMMENT" in line)
    assert comment.count("made with") == 1 and "shot by me; made" in comment


def test_a_turned_clip_is_made_upright_and_that_is_told(film: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    run("-display_rotation", "90", "-i", str(film), "-map", "0:v:0", "-c", "copy", str(turned))
    (note,) = slowed(turned, tmp_path / "b.mp4")
    assert note == f"{turned} is stored turned: the new clip is upright"
    listed = said(tmp_path / "b.mp4")
    assert "18x32" in listed and "Display Matrix" not in listed


def test_what_a_bridge_leaves_out_is_told_before_it_is_drawn(film: Path, tmp_path: Path) -> None:
    ours, turned = tmp_path / "ours.mp4", tmp_path / "turned.mp4"
    bare = ("-map", "0:v:0", "-c", "copy", "-map_metadata", "-1", "-map_chapters", "-1")
    run("-i", str(film), *bare, "-metadata", "comment=made with vtg 0", str(ours))
    run("-display_rotation", "90", "-i", str(film), *bare, str(turned))
    notes = bridged(film, ours, tmp_path / "ab.mp4")
    assert notes == [
        f"only the first of the 2 sound tracks of {film} is kept",
        f"a cover picture of {film} is left out",
        f"subtitles 1 (ger, mov_text) of {film} are left out: a bridge does not hold them",
        f"the chapters of {film} are left out: a bridge does not hold them",
        f"the tags of {film} (creation_time, title, date, comment, language) are left out: a "
        "bridge does not hold them",
    ]
    notes = bridged(turned, turned, tmp_path / "ab.mp4")
    assert notes[-1] == f"{turned} is stored turned: the new clip is upright"


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv"])
def test_a_timecode_is_told_once(tmp_path: Path, suffix: str) -> None:
    clip = tmp_path / f"a.{suffix}"
    how = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-timecode", "01:02:03:04")
    run("-f", "lavfi", "-i", "testsrc2=s=32x18:r=24:d=0.2", *how, str(clip))
    assert "timecode" in said(clip).lower()
    told = f"the timecode 01:02:03:04 of {clip} is left out"
    assert slowed(clip, tmp_path / f"b.{suffix}") == [told]
    assert bridged(clip, clip, tmp_path / "ab.mkv").count(told) == 1


def test_a_data_track_is_told(tmp_path: Path) -> None:
    clip, data = tmp_path / "a.ts", tmp_path / "data.bin"
    data.write_bytes(b"where it was")
    source = ("-f", "lavfi", "-i", "testsrc2=s=32x18:r=24:d=0.2", "-f", "data", "-i", str(data))
    both = ("-map", "0", "-map", "1", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:d", "copy")
    run(*source, *both, str(clip))
    assert "Data: bin_data" in said(clip)
    assert slowed(clip, tmp_path / "b.mp4") == [f"a data track of {clip} is left out"]
    assert f"a data track of {clip} is left out" in bridged(clip, clip, tmp_path / "ab.mp4")
