"""How clips are read: from their first frame, their fields, their shape, and what is no clip."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtg_cli.errors import MediaError
from vtg_cli.job.jobs import Bridge, Interpolate, Retime
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.media.ffmpeg import CONTAINERS, reading, run
from vtg_cli.media.probe import probe

H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def made(path: Path, *how: str) -> str:
    done = run(*how, f"file:{path}")
    assert done.returncode == 0, done.stderr.decode()
    return str(path)


def lavfi(source: str) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", source)


def decoded(path: str, filters: str = "null") -> np.ndarray:
    """What ffmpeg makes of it, through the filters, as [N, 3 * pixels]."""
    exact = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp:in_h_chr_pos=0"
    chain = f"{filters},scale={exact},format=rgb24"
    raw = run("-i", path, "-vf", chain, "-fps_mode", "passthrough", "-f", "rawvideo", "-").stdout
    with open_clip(Input(path=path)) as clip:
        height, width = clip.size
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def frames(path: str, **more: str) -> np.ndarray:
    with open_clip(Input(path=path, **more)) as clip:
        return np.array([frame.pixels for frame in clip.frames()])


@pytest.fixture(scope="module")
def midway(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two streams of a flash and a beep, the second from within a group of pictures."""
    folder = tmp_path_factory.mktemp("midway")
    when = r"between(t\,2.6\,2.8)"
    picture = f"color=gray:s=96x64:r=25:d=4,drawbox=c=white:t=fill:enable={when}"
    tone = f"aevalsrc=if({when}\\,0.8*sin(1000*2*PI*t)\\,0):s=48000:d=4"
    coded = (*H264, "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-bf", "2")
    full = made(folder / "full.ts", *lavfi(picture), *lavfi(tone), *coded, "-c:a", "aac")
    data = Path(full).read_bytes()
    packets = len(data) // 188 * 12 // 100
    (folder / "mid.ts").write_bytes(data[packets * 188 :])
    return full, str(folder / "mid.ts")


def first_shown(path: str) -> tuple[Fraction, Fraction]:
    """Of ffmpeg: seconds of the first stored packet and of the first frame that it shows."""
    times = []
    for how in (("-c", "copy", "-copyinkf"), ()):
        table = run("-copyts", "-i", path, "-map", "0:V", *how, "-f", "framecrc", "-").stdout
        lines = table.decode().splitlines()
        up, down = next(line for line in lines if line.startswith("#tb 0:"))[6:].split("/")
        stored = [int(line.split(",")[2]) for line in lines if line[:1] != "#"]
        times.append(min(stored) * Fraction(int(up), int(down)))
    return times[0], times[1]


def onsets(path: str) -> tuple[float, float]:
    """Seconds at which the picture turns white and the sound begins."""
    light = frames(path).mean(axis=(1, 2, 3))
    raw = run("-i", path, "-ac", "1", "-ar", "48000", "-f", "f32le", "-").stdout
    loud = np.abs(np.frombuffer(raw, np.float32)) > 0.2
    rate = probe(path).video.rate
    return float(np.argmax(light > 200) / rate), float(np.argmax(loud) / 48000)


def test_time_zero_is_the_first_frame_that_can_be_shown(
    midway: tuple[str, str], tmp_path: Path
) -> None:
    full, mid = midway
    stored, shown = first_shown(mid)
    facts = probe(mid)
    assert (facts.extent.start, facts.skipped) == (shown, shown - stored)
    assert facts.skipped > 1
    assert probe(full).skipped == 0
    with open_clip(Input(path=mid)) as clip:
        assert clip.notes == [
            f"the first {float(facts.skipped):.3g} s of {mid} cannot be decoded: time zero, for "
            "picture and sound, is its first frame that can"
        ]
        assert len([*clip.frames()]) == facts.extent.frames == 50


def test_picture_and_sound_of_such_a_clip_stay_together(
    midway: tuple[str, str], tmp_path: Path
) -> None:
    from vtg_cli.clips.retime import opened, save

    between = Interpolate(
        keyframes=(midway[1],) * 2,
        model="flow",
        output=str(tmp_path / "a.mkv"),
        encoding=Encoding(sidecar=False),
    )
    with opened(Retime(clip=Input(path=midway[1]), between=between)) as (made_of, clip):
        save(made_of, clip)
    flash, beep = onsets(str(tmp_path / "a.mkv"))
    assert flash == pytest.approx(0.6)  # 2.6 s, less the group of two seconds that is not there
    assert beep == pytest.approx(flash, abs=0.025)  # a coded block of sound is 1024 samples


def test_a_bridge_keeps_the_beep_of_such_a_clip(midway: tuple[str, str], tmp_path: Path) -> None:
    from vtg_cli.clips.bridge import prepared, save

    full, mid = midway
    output = str(tmp_path / "ab.mkv")
    between = Interpolate(
        keyframes=(mid, full), model="flow", frames=(3,), output=output,
        encoding=Encoding(sidecar=False),
    )  # fmt: skip
    job = Bridge(first=Input(path=mid), last=Input(path=full), between=between)
    with prepared(job) as made_of:
        told = save(made_of)
    assert any("cannot be decoded" in note for note in told["notes"])
    flash, beep = onsets(output)
    assert flash == pytest.approx(0.6)
    assert beep == pytest.approx(flash, abs=0.025)


def test_frames_that_need_one_that_is_not_there_are_left_out(tmp_path: Path) -> None:
    """MPEG-4 shows grey with smears where it begins within a group of pictures."""
    source = lavfi("testsrc2=s=96x54:r=24:d=2")
    whole = made(tmp_path / "a.ts", *source, "-c:v", "mpeg4", "-g", "24", "-f", "mpegts")
    data = Path(whole).read_bytes()
    (tmp_path / "mid.ts").write_bytes(data[len(data) // 5 // 188 * 188 :])
    assert np.array_equal(frames(str(tmp_path / "mid.ts")), decoded(whole)[24:])


def test_holds_do_not_slow_a_clip(tmp_path: Path) -> None:
    kept = "select='eq(n,0)+between(n,60,70)+eq(n,119)'"
    source = lavfi("testsrc2=s=32x32:r=30:d=4")
    path = made(tmp_path / "a.mp4", *source, "-vf", kept, "-fps_mode", "vfr", *H264, "-bf", "0")
    assert probe(path).video.rate == 30
    with open_clip(Input(path=path)) as clip:
        assert clip.rate == 30
        times = [frame.time for frame in clip.frames()]
    assert times == [Fraction(n, 30) for n in (0, *range(60, 71), 119)]


@pytest.mark.parametrize(("delays", "rate"), [([100, 200, 100, 300], 10), ([40] * 4, 25)])
def test_delays_of_an_animation(tmp_path: Path, delays: list[int], rate: int) -> None:
    rest = [Image.new("RGB", (32, 32), (60 * i, 0, 0)) for i in range(4)]
    for name in ("a.gif", "a.webp"):
        path = str(tmp_path / name)
        rest[0].save(path, save_all=True, append_images=rest[1:], duration=delays, lossless=True)
        assert probe(path).video.rate == rate
        with open_clip(Input(path=path)) as clip:
            shown = [*clip.frames()]
        assert [frame.time * 1000 for frame in shown] == [sum(delays[:i]) for i in range(4)]
        assert [frame.pixels[0, 0, 0] for frame in shown] == [0, 60, 120, 180]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_containers_shape_wins(tmp_path: Path, suffix: str) -> None:
    square = made(tmp_path / "a.mp4", *lavfi("testsrc2=s=144x96:d=0.1"), "-vf", "setsar=1", *H264)
    path = made(tmp_path / f"b{suffix}", "-i", square, "-c", "copy", "-aspect", "16:9")
    with open_clip(Input(path=path)) as clip:
        assert clip.size == (96, 170)  # 144 * 32 / 27 = 170.7, the nearest even number


@pytest.mark.parametrize("first", ["top", "bottom"])
def test_fields_are_merged_in_their_order(tmp_path: Path, first: str) -> None:
    """The first field stays, line by line; the lines between become those of its time."""
    short, begins = ("tff", 0) if first == "top" else ("bff", 1)
    wave = r"color=s=96x64:r=50:d=0.2,geq=lum='128+80*sin(X/6+N/2)':cb=128:cr=128"
    source, grey = lavfi(wave), "format=yuv420p"
    whole = made(tmp_path / "whole.mkv", *source, "-vf", grey, "-c:v", "ffv1")
    woven = f"{grey},tinterlace=interleave_{first},setfield={short}"
    coded = ("-qp", "0", "-flags", "+ilme+ildct", "-x264-params", f"{short}=1")
    path = made(tmp_path / "a.mp4", *source, "-vf", woven, *H264, *coded)
    truth, stored = decoded(whole)[::2].astype(int), decoded(path).astype(int)
    merged, kept = frames(path).astype(int), frames(path, fields="keep")
    assert np.array_equal(kept, stored)
    assert np.array_equal(merged[:, begins::2], truth[:, begins::2])
    between = slice(1 - begins, None, 2)
    before, after = (abs(each - truth)[:, between].mean() for each in (stored, merged))
    assert after < 2 < 20 < before
    with open_clip(Input(path=path)) as clip:
        (note,) = clip.notes
    assert "is interlaced" in note and "--fields keep" in note
    assert probe(path).video.fields


def test_dv_is_interlaced_without_a_word(tmp_path: Path) -> None:
    """Its first field is the lower one."""
    source = lavfi("testsrc2=s=720x576:r=50:d=0.08")
    woven = "hue=s=0,tinterlace=interleave_bottom,setfield=prog,format=yuv420p"
    path = made(tmp_path / "a.avi", *source, "-vf", woven, "-c:v", "dvvideo")
    merged, stored = frames(path), decoded(path)
    assert np.array_equal(merged[:, 1::2], stored[:, 1::2])
    assert not np.array_equal(merged[:, ::2], stored[:, ::2])


def test_frames_are_believed_and_not_the_container(tmp_path: Path) -> None:
    """Whole frames in a file that calls itself interlaced stay as they are."""
    plain = made(tmp_path / "a.mp4", *lavfi("testsrc2=s=96x64:r=25:d=0.2"), *H264)
    path = made(tmp_path / "b.mkv", "-i", plain, "-c", "copy", "-field_order", "tt")
    assert "top" in run("-i", path).stderr.decode()
    assert np.array_equal(frames(path), decoded(path))
    with open_clip(Input(path=path)) as clip:
        assert clip.notes == []


@pytest.mark.parametrize(
    "turn", [["90"], ["180"], ["270"], ["0", "-display_hflip"], ["90", "-display_hflip"]]
)
def test_turned_clips_come_upright(tmp_path: Path, turn: list[str]) -> None:
    plain = made(tmp_path / "a.mp4", *lavfi("testsrc2=s=96x64:r=25:d=0.12"), *H264)
    how = ("-display_rotation", *turn, "-i", plain, "-c", "copy")
    path = made(tmp_path / "b.mp4", *how)
    assert probe(path).video.turned
    assert np.array_equal(frames(path), decoded(path))


LISTS = {
    "list.ffconcat": "ffconcat version 1.0\nfile a.mp4\n",
    "list.mp4": "ffconcat version 1.0\nfile a.mp4\n",
    "play.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n",
    "play.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "text.nfo": "hello\nworld\n" * 50,
    "text.ans": "\x1b[31mhello\n" * 50,
    "subtitles.srt": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_files_and_texts_are_no_clips(tmp_path: Path, name: str) -> None:
    for clip in ("a.mp4", "a.ts"):
        made(tmp_path / clip, *lavfi("testsrc2=s=32x32:d=0.1"), *H264)
    (tmp_path / name).write_text(LISTS[name])
    with pytest.raises(MediaError, match="is not a video that can be read") as caught:
        probe(str(tmp_path / name))
    assert caught.value.exit_code == 7
    done = run(*reading(str(tmp_path / name)), "-f", "null", "-")  # the encoder's ffmpeg, likewise
    assert done.returncode != 0


@pytest.mark.parametrize(
    "name", ["-y.mp4", "pipe:0.mp4", "c%03d.mp4", "concat:a|b.mp4", "a b'.mp4"]
)
def test_names_are_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made(tmp_path / "a.mp4", *lavfi("testsrc2=s=32x32:r=25:d=0.2"), *H264)
    shutil.copy(plain, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(name).extent.frames == 5
    assert run(*reading(name), "-f", "null", "-").returncode == 0


def test_what_starts_ffmpeg_starts_it_in_one_place() -> None:
    """No module but media/ffmpeg.py puts an input into a command line."""
    package = Path(probe.__code__.co_filename).parent.parent
    naming = [
        file.name
        for file in package.rglob("*.py")
        if '"-i"' in (text := file.read_text(encoding="utf-8")) and "pipe:0" not in text
    ]
    assert naming == ["ffmpeg.py"]
    assert reading("a.mp4")[:4] == [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS),
    ]
    assert not {"concat", "hls", "dash", "tty", "image2", "lavfi"} & {*CONTAINERS.split(",")}
