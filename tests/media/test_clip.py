"""Frames with exact times, whatever the container rounds them to."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.media.ffmpeg import run

FILM = Fraction(24000, 1001)


def made(path: Path, *how: str, frames: int = 24, size: str = "32x18") -> str:
    source = f"testsrc2=s={size}:r=24000/1001"
    done = run("-f", "lavfi", "-i", source, "-frames:v", str(frames), *how, str(path))
    assert done.returncode == 0, done.stderr.decode()
    return str(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm"])
def test_times_are_the_rates_own(tmp_path: Path, name: str) -> None:
    """Matroska and WebM keep whole milliseconds; the grid is seen through them."""
    path = made(tmp_path / name)
    with open_clip(Input(path=path)) as clip:
        assert (clip.size, clip.rate) == ((18, 32), FILM)
        times = [frame.time for frame in clip.frames()]
    assert times == [i / FILM for i in range(24)]


def test_uneven_times_stay_uneven(tmp_path: Path) -> None:
    how = ("-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "vfr")
    path = made(tmp_path / "vfr.mp4", *how)
    with open_clip(Input(path=path)) as clip:
        times = [frame.time for frame in clip.frames()]
    kept = [i for i in range(40) if i % 5 != 2][:24]
    assert times == [i / FILM for i in kept]


def test_frames_are_what_ffmpeg_decodes(tmp_path: Path) -> None:
    path = made(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0", frames=5)
    raw = run("-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-").stdout
    wanted = np.frombuffer(raw, np.uint8).reshape(5, 18, 32, 3)
    with open_clip(Input(path=path)) as clip:
        assert np.array_equal([frame.pixels for frame in clip.frames()], wanted)
    with open_clip(Input(path=path), after=2 / FILM - Fraction(1, 100), until=2) as clip:
        assert np.array_equal([frame.pixels for frame in clip.frames()], wanted[2:4])


def test_pixels_that_are_not_square_become_it(tmp_path: Path) -> None:
    path = made(tmp_path / "a.mp4", "-vf", "setsar=4/3", size="48x36", frames=2)
    with open_clip(Input(path=path)) as clip:
        assert clip.size == (36, 64)


def test_a_clip_that_changes_its_size_is_refused(tmp_path: Path) -> None:
    for name, size in (("a.h264", "32x18"), ("b.h264", "64x36")):
        made(tmp_path / name, size=size, frames=3)
    both = tmp_path / "both.h264"
    both.write_bytes((tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes())
    with open_clip(Input(path=str(both))) as clip, pytest.raises(MediaError) as caught:
        list(clip.frames())
    assert "changes its size from 32x18 to 64x36" in caught.value.message


def test_raw_video_needs_a_size() -> None:
    with (
        pytest.raises(UsageError, match="raw video says nothing of its size"),
        open_clip(Input(path="-", format="rawvideo")),
    ):
        pass


READ = """
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Input
from fractions import Fraction
with open_clip(Input(path="-", format={format!r}, size={size!r}, fps={fps!r})) as clip:
    frames = list(clip.frames())
    print(clip.size, clip.rate, len(frames), frames[-1].time, frames[-1].pixels.mean() > 10)
"""


@pytest.mark.parametrize(
    ("format", "how", "size", "fps"),
    [
        ("y4m", ["-f", "yuv4mpegpipe"], None, None),
        ("png", ["-f", "image2pipe", "-c:v", "png"], None, FILM),
        ("jpeg", ["-f", "image2pipe", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"], None, FILM),
        ("rawvideo", ["-f", "rawvideo", "-pix_fmt", "rgb24"], (32, 18), FILM),
        ("nut", ["-f", "nut", "-c:v", "ffv1"], None, None),
    ],
)
def test_what_comes_through_a_pipe(
    format: str, how: list[str], size: tuple[int, int] | None, fps: Fraction | None
) -> None:
    source = "testsrc2=s=32x18:r=24000/1001"
    stream = run("-f", "lavfi", "-i", source, "-frames:v", "6", *how, "-").stdout
    code = READ.format(format=format, size=size, fps=fps)
    done = subprocess.run([sys.executable, "-c", code], input=stream, capture_output=True)
    assert done.stdout.decode() == "(18, 32) 24000/1001 6 1001/4800 True\n", done.stderr.decode()
