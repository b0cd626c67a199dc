"""Clips that are not all there: told, or taken as far as they go where that is allowed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vtg_cli.errors import MediaError
from vtg_cli.media import libav
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.media.ffmpeg import run
from vtg_cli.media.probe import probe

SOURCE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=1")
TONE = ("-f", "lavfi", "-i", "sine=440:d=2")
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")

WHOLE = {
    "frames_across.mp4": H264,
    "index_first.mp4": (*H264, "-movflags", "+faststart"),
    "fragments.mp4": (*H264, "-movflags", "frag_keyframe+empty_moov"),
    "longer_sound.mp4": (*TONE, *H264, "-movflags", "+faststart"),
    "a.mov": ("-c:v", "prores_ks"),
    "a.mkv": (*TONE, *H264),
    "a.ts": H264,
    "a.webm": ("-c:v", "libvpx-vp9", "-cpu-used", "8"),
    "a.avi": ("-c:v", "mpeg4", "-bf", "2"),
    "a.gif": (),
    "a.apng": ("-f", "apng"),
    "a.flv": H264,
    "a.mpg": ("-c:v", "mpeg2video"),
    "a.ogv": ("-c:v", "libtheora"),
    "a.webp": ("-c:v", "libwebp_anim"),
    "uneven.mkv": (*H264, "-vf", "select='not(eq(mod(n,3),1))'", "-fps_mode", "vfr"),
}


def clip(path: Path, *how: str) -> Path:
    done = run(*SOURCE, *how, str(path))
    assert done.returncode == 0, done.stderr.decode()
    return path


def count(path: Path, **more: bool) -> int:
    with open_clip(Input(path=str(path), **more)) as opened:
        return sum(1 for _ in opened.frames())


def decoded(path: Path, *how: str) -> int:
    """How many frames ffmpeg gets out of it."""
    to = ("-map", "0:V", "-fps_mode", "passthrough", *how, "-f", "framecrc", "-")
    return sum(line[:1] != "#" for line in run("-i", str(path), *to).stdout.decode().splitlines())


@pytest.mark.parametrize("name", WHOLE)
def test_whole_clips_are_taken_and_cut_ones_are_not(tmp_path: Path, name: str) -> None:
    path = clip(tmp_path / name, *WHOLE[name])
    assert probe(str(path)).damage == ""
    assert count(path) == decoded(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(
        MediaError, match=r"(ends|is cut short|is damaged|shows no picture)"
    ) as caught:
        count(path)
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("seconds", ["0.3", "0.8"])
def test_an_edit_list_is_no_damage(tmp_path: Path, seconds: str) -> None:
    """Packets before the cut stay in the file, for the frames after it to be decoded from."""
    whole = clip(tmp_path / "whole.mp4", "-g", "12", *H264)
    cut = tmp_path / "cut.mp4"
    assert run("-ss", seconds, "-i", str(whole), "-c", "copy", str(cut)).returncode == 0
    assert probe(str(cut)).damage == ""
    assert probe(str(cut)).skipped == 0
    assert count(cut) == decoded(cut)


def test_how_much_is_missing_is_told(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", *H264, "-g", "1", "-movflags", "+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    begun = decoded(path, "-c", "copy")
    said = f"{path} ends in the middle of frame {begun} of 24"
    with pytest.raises(MediaError) as caught:
        count(path)
    assert caught.value.message == said
    assert "--allow-damaged" in caught.value.hint
    with open_clip(Input(path=str(path), allow_damaged=True)) as opened:
        assert opened.notes == [f"{said}: what is there is used"]
        assert begun - 1 <= len([*opened.frames()]) <= begun


def test_what_cannot_be_decoded_midway(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", *H264, "-g", "1")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2  # of 24 frames of about one size
    data[middle : middle + 60] = bytes(byte ^ 0x55 for byte in data[middle : middle + 60])
    path.write_bytes(data)
    with open_clip(Input(path=str(path))) as opened, pytest.raises(MediaError) as caught:
        list(opened.frames())
    assert caught.value.message.startswith(f"{path} is damaged: frame ")
    assert 11 <= int(caught.value.message.split("frame ")[1].split()[0]) <= 14
    with open_clip(Input(path=str(path), allow_damaged=True)) as opened:
        assert 23 <= len([*opened.frames()]) <= 24
        assert opened.damage.startswith(caught.value.message)


@pytest.mark.parametrize("which", [0, 12, 23])
def test_a_slice_with_a_wrong_checksum_is_damage(tmp_path: Path, which: int) -> None:
    """FFV1 shows what it makes of such a slice, and says so in libav's log alone."""
    path = clip(tmp_path / "a.mkv", "-c:v", "ffv1", "-level", "3", "-slices", "4", "-g", "1")
    with libav.opened(str(path)) as (container, stream):
        stored = [(each.pos, each.size) for each in container.demux(stream) if each.size]
    whole, (place, size) = path.read_bytes(), stored[which]
    place += size // 2
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    spoken = run("-v", "error", "-i", str(path), "-f", "null", "-")
    assert (spoken.returncode, spoken.stderr.count(b"slice CRC mismatch")) == (0, 1)
    said = f"{path} is damaged: frame {which + 1} is not what was stored"
    with pytest.raises(MediaError) as caught:
        count(path)
    assert (caught.value.message, caught.value.exit_code) == (said, 7)
    for _ in range(2):  # and again, when it is read again
        with open_clip(Input(path=str(path), allow_damaged=True)) as opened:
            assert len([*opened.frames()]) == decoded(path) == 24
            assert opened.damage == f"{said}: what is there is used"


Pipe = Callable[[bytes], None]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    """What makes standard input hold some bytes."""
    kept = os.dup(0)

    def hold(data: bytes) -> None:
        (tmp_path / "stdin").write_bytes(data)
        with open(tmp_path / "stdin", "rb") as file:
            os.dup2(file.fileno(), 0)

    yield hold
    os.dup2(kept, 0)
    os.close(kept)


STREAMS = {
    "y4m": ("-f", "yuv4mpegpipe", "-pix_fmt", "yuv420p"),
    "rawvideo": ("-f", "rawvideo", "-pix_fmt", "rgb24"),
    "nut": ("-f", "nut", "-c:v", "ffv1"),
    "png": ("-f", "image2pipe", "-c:v", "png"),
    "jpeg": ("-f", "image2pipe", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
}


def stream(kind: str) -> bytes:
    return run(*SOURCE, "-frames:v", "5", *STREAMS[kind], "-").stdout


@contextmanager
def reading(kind: str, allow_damaged: bool = False) -> Iterator[list[str]]:
    """The damage told, once all frames are read; their number before it."""
    size = (64, 48) if kind == "rawvideo" else None
    source = Input(path="-", format=kind, size=size, allow_damaged=allow_damaged)
    with open_clip(source) as opened:
        frames = sum(1 for _ in opened.frames())
        yield [str(frames), opened.damage]


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_that_ends_too_early(pipe: Pipe, kind: str) -> None:
    whole = stream(kind)
    pipe(whole)
    with reading(kind) as told:
        assert told == ["5", ""]
    cut = whole[: len(whole) * 9 // 10]
    pipe(cut)
    with pytest.raises(MediaError, match=r"^standard input .*(frame|picture) 5") as caught:
        reading(kind).__enter__()
    assert caught.value.exit_code == 7
    pipe(cut)
    with reading(kind, allow_damaged=True) as told:
        assert told[0] == "4"
        assert told[1].startswith("standard input ") and " 5" in told[1]


def test_another_kind_of_picture_among_those_of_a_pipe(pipe: Pipe) -> None:
    mixed = stream("jpeg") + stream("png") + stream("jpeg")
    for kind, number in (("jpeg", 6), ("png", 1)):
        pipe(mixed)
        with pytest.raises(MediaError) as caught:
            reading(kind).__enter__()
        said = f"standard input holds something that is no {kind} as picture {number}"
        assert caught.value.message == said


def test_pictures_with_pictures_inside(pipe: Pipe, tmp_path: Path) -> None:
    """A thumbnail within a JPEG has end marks of its own."""
    import io

    from PIL import Image

    large, small = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (16, 8), "red").save(small, "jpeg")
    about = b"Exif\0\0" + small.getvalue()
    Image.new("RGB", (64, 48), "blue").save(large, "jpeg", exif=about)
    pipe(large.getvalue() * 3)
    with reading("jpeg") as told:
        assert told == ["3", ""]
