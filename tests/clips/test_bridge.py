"""Two clips made one: which frames, how many, what is copied, what is heard."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reading import read_video

from vtg_cli.clips.bridge import prepared, save
from vtg_cli.errors import UsageError
from vtg_cli.job.jobs import Bridge, Interpolate
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.media.ffmpeg import run
from vtg_cli.media.probe import extent, probe

FILM = Fraction(24000, 1001)
LOSSLESS = ("-c:v", "ffv1", "-g", "4", "-pix_fmt", "bgr0")
H264 = ("-c:v", "libx264", "-g", "8", "-pix_fmt", "yuv420p")


def clip(
    path: Path, *how: str, hue: int = 0, rate: str = "24000/1001", tone: int = 0, more: str = ""
) -> Path:
    source = f"testsrc2=s=32x18:r={rate},hue=h={hue}{more}"
    heard = ("-f", "lavfi", "-i", f"sine={tone}:r=48000:d=1") if tone else ()
    done = run("-f", "lavfi", "-i", source, *heard, "-frames:v", "24", *how, str(path))
    assert done.returncode == 0, done.stderr.decode()
    return path


def bridge(first: Path, last: Path, output: Path, **more: Any) -> dict[str, Any]:
    paths = str(first), str(last)
    between = Interpolate(
        keyframes=paths,
        output=str(output),
        model="flow",
        frames=(5,),
        encoding=Encoding(overwrite=True),
    )
    job = Bridge(first=Input(path=paths[0]), last=Input(path=paths[1]), between=between, **more)
    with prepared(job) as made:
        return save(made)


def same(found: NDArray[np.uint8], wanted: Sequence[NDArray[np.uint8]]) -> bool:
    return np.array_equal(found, np.array(wanted))


@pytest.mark.parametrize("copy", ["auto", "never"])
def test_every_frame_is_there_once(tmp_path: Path, copy: str) -> None:
    """Lossless, so that frames can be told apart; trimmed so that a cut falls within a GOP."""
    a = clip(tmp_path / "a.mkv", *LOSSLESS)
    b = clip(tmp_path / "b.mkv", *LOSSLESS, hue=120)
    told = bridge(a, b, tmp_path / "ab.mkv", trim=2, copy=copy)
    frames, _ = read_video(str(tmp_path / "ab.mkv"))
    old_a, old_b = read_video(str(a))[0], read_video(str(b))[0]
    assert len(frames) == 22 + 3 + 22 == told["clip"]["frames"]
    assert same(frames[:22], old_a[:22]) and same(frames[25:], old_b[2:])
    assert all(not np.array_equal(frames[i], old_a[21]) for i in (22, 23, 24))
    copied = told["copied"]
    assert (copied["first"], copied["last"]) == ((20, 20) if copy == "auto" else (0, 0))


def test_h264_is_kept_and_its_neighbours_match(tmp_path: Path) -> None:
    a = clip(tmp_path / "a.mp4", *H264)
    b = clip(tmp_path / "b.mp4", *H264, "-preset", "ultrafast", hue=120)
    told = bridge(a, b, tmp_path / "ab.mp4", trim=3)
    assert (told["copied"]["first"], told["copied"]["last"]) == (16, 16)
    long, facts = extent(str(tmp_path / "ab.mp4")), probe(str(tmp_path / "ab.mp4"))
    assert (long.frames, long.seconds) == (45, 45 / FILM)
    assert (facts.video.codec, facts.video.pixels) == ("h264", "yuv420p")
    frames, old_a, old_b = (
        read_video(str(path))[0].astype(int) for path in (tmp_path / "ab.mp4", a, b)
    )
    assert np.array_equal(frames[:16], old_a[:16]) and np.array_equal(frames[-16:], old_b[-16:])
    for again, old in ((frames[16:21], old_a[16:21]), (frames[24:29], old_b[3:8])):
        # little shift of colour, clipped colours count; 16 columns of chroma are softened again
        assert np.abs((again - old).mean((0, 1, 2))).max() < 4
        assert np.abs(again - old).mean() < 12


def test_what_does_not_match_is_brought_to_the_first_ones_terms(tmp_path: Path) -> None:
    a = clip(tmp_path / "a.mp4", *H264)
    b = clip(tmp_path / "b.mp4", *H264, "-vf", "scale=64:64,setsar=1", rate="48000/1001")
    told = bridge(a, b, tmp_path / "ab.mp4")
    facts = probe(str(tmp_path / "ab.mp4")).video
    assert (facts.width, facts.height, facts.rate) == (32, 18, FILM)
    assert told["clip"]["frames"] == 24 + 3 + 12
    assert told["copied"] == {"first": 24, "last": 0}
    said = "\n".join(told["notes"])
    assert "is encoded anew: it is not 32x18 as stored" in said
    assert "has 48000/1001 frames a second and is shown at 24000/1001" in said
    assert "is cropped to 32x18" in said


def test_blank_frames_at_the_join_are_left_out(tmp_path: Path) -> None:
    black = ",drawbox=c=black:t=fill:enable='gte(n,20)'"
    a = clip(tmp_path / "a.mkv", *LOSSLESS, more=black)
    white = ",drawbox=c=white:t=fill:enable='lt(n,1)'"
    b = clip(tmp_path / "b.mkv", *LOSSLESS, more=white)
    told = bridge(a, b, tmp_path / "ab.mkv")
    assert (told["clip"]["leaves_at"], told["clip"]["arrives_at"]) == (19, 1)
    assert told["notes"][:2] == [
        f"the last 4 frames of {a.name} are blank and left out (--from and --to choose others)",
        f"the first frame of {b.name} is blank and left out (--from and --to choose others)",
    ]


def test_a_moment_is_a_frame(tmp_path: Path) -> None:
    a, b = clip(tmp_path / "a.mkv", *LOSSLESS), clip(tmp_path / "b.mkv", *LOSSLESS, hue=90)
    told = bridge(a, b, tmp_path / "ab.mkv", from_=Fraction("0.48"), to=Fraction(0))
    assert (told["clip"]["leaves_at"], told["clip"]["arrives_at"]) == (
        11,
        0,
    )  # from 0.459 to 0.501 s
    with pytest.raises(UsageError, match="--from 9 lies beyond") as caught:
        bridge(a, b, tmp_path / "no.mkv", from_=Fraction(9))
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match="nothing is left of"):
        bridge(a, b, tmp_path / "no.mkv", trim=24)


def loudness(path: Path, hertz: int) -> NDArray[np.float64]:
    """Of one tone, in blocks of 20 ms."""
    raw = run("-i", str(path), "-ac", "1", "-ar", "48000", "-f", "s16le", "-").stdout
    wave = np.frombuffer(raw, np.int16).astype(float)[: len(raw) // 2 // 960 * 960].reshape(-1, 960)
    turn = np.exp(2j * np.pi * hertz * np.arange(960) / 48000)
    return np.abs(wave @ turn) / 480


def test_sound_fades_over_the_bridge_where_there_is_some(tmp_path: Path) -> None:
    """6 frames trimmed on both sides leave a quarter of a second to fade with; 3 are between."""
    a = clip(tmp_path / "a.mp4", *H264, tone=400)
    b = clip(tmp_path / "b.mp4", *H264, tone=1000)
    bridge(a, b, tmp_path / "ab.mp4", trim=6)
    low, high = loudness(tmp_path / "ab.mp4", 400), loudness(tmp_path / "ab.mp4", 1000)
    leaves, arrives = 18 / float(FILM), 21 / float(FILM)
    before, after = slice(5, int(leaves * 50) - 12), slice(int(arrives * 50) + 14, 75)
    full = np.median(low[before])
    assert full > 1000
    assert high[before].max() < full / 20 and low[after].max() < full / 20
    middle = int((leaves + arrives) * 25)
    assert min(low[middle], high[middle]) > full / 4  # both are heard half way
    assert len(low) == pytest.approx(39 / float(FILM) * 50, abs=2)


@pytest.mark.parametrize("which", ["a", "b"])
def test_one_clip_without_sound(tmp_path: Path, which: str) -> None:
    a = clip(tmp_path / "a.mp4", *H264, tone=400 if which == "a" else 0)
    b = clip(tmp_path / "b.mp4", *H264, tone=400 if which == "b" else 0)
    bridge(a, b, tmp_path / "ab.mp4")
    loud = loudness(tmp_path / "ab.mp4", 400)
    quiet, sounding = (loud[62:], loud[5:30]) if which == "a" else (loud[:45], loud[75:100])
    assert sounding.min() > 1000 > 50 > quiet.max()


def test_no_sound_where_none_is_wanted(tmp_path: Path) -> None:
    a, b = clip(tmp_path / "a.mp4", *H264, tone=400), clip(tmp_path / "b.mp4", *H264, tone=400)
    bridge(a, b, tmp_path / "ab.mp4", audio="drop")
    assert probe(str(tmp_path / "ab.mp4")).audio == ()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "a.mp4",
        "ab.mp4",
        "ab.mp4.json",
        "b.mp4",
    ]


def test_copying_that_does_not_hold_is_withdrawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = clip(tmp_path / "a.mp4", *H264), clip(tmp_path / "b.mp4", *H264, hue=120)
    monkeypatch.setattr("vtg_cli.media.splice.verify", lambda *_: "its times are uneven")
    told = bridge(a, b, tmp_path / "ab.mp4")
    assert told["copied"] == {"first": 0, "last": 0}
    said = "copying did not hold, all is encoded anew: its times are uneven"
    assert told["notes"][-1] == said
    assert extent(str(tmp_path / "ab.mp4")).frames == 24 + 3 + 24
    assert len([*tmp_path.iterdir()]) == 4


def test_two_frames_are_a_plain_cut(tmp_path: Path) -> None:
    """Nothing lies between, and nothing is encoded."""
    a, b = clip(tmp_path / "a.mp4", *H264), clip(tmp_path / "b.mp4", *H264, hue=120)
    paths = str(a), str(b)
    between = Interpolate(
        keyframes=paths, output=str(tmp_path / "ab.mp4"), model="flow", frames=(2,)
    )
    job = Bridge(first=Input(path=paths[0]), last=Input(path=paths[1]), between=between)
    with prepared(job) as made:
        told = save(made)
    assert (told["clip"]["frames"], told["copied"]) == (48, {"first": 24, "last": 24})
    frames, old = read_video(str(tmp_path / "ab.mp4"))[0], [read_video(path)[0] for path in paths]
    assert np.array_equal(frames, np.concatenate(old))


def test_what_slow_tells_is_told(tmp_path: Path) -> None:
    """A second sound track, HDR, and chapters that would stand at times of the old clip."""
    marks = tmp_path / "chapters.txt"
    marks.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=one\n")
    hdr = "setparams=color_trc=smpte2084:color_primaries=bt2020:colorspace=bt2020nc"
    one = clip(tmp_path / "one.mkv", "-pix_fmt", "yuv420p", "-vf", hdr, tone=400)
    a = tmp_path / "a.mkv"
    two = ("-map", "0", "-map", "0:a", "-map_chapters", "1", "-c:v", "libx264")
    assert run("-i", str(one), "-i", str(marks), *two, str(a)).returncode == 0
    b = clip(tmp_path / "b.mkv", *LOSSLESS, tone=400)
    told = bridge(a, b, tmp_path / "ab.mkv", copy="never")
    assert told["notes"] == [
        f"{a.name} is HDR, and the new clip is 8-bit BT.709: its tones are not mapped",
        f"only the first of the 2 sound tracks of {a.name} is kept",
        f"the chapters of {a.name} are left out: a bridge does not hold them",
    ]
    listed = run("-i", str(tmp_path / "ab.mkv")).stderr.decode()
    assert listed.count("Audio:") == 1 and "Chapter" not in listed
    assert bridge(b, b, tmp_path / "bb.mkv")["notes"] == []
