"""Damaged clips, and streams that break off or say what is not so.

A clip is decoded three times, 10 ms of a core: the default run takes 200 of each kind, and 500 of
streams.
"""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from random import Random

import numpy as np
import pytest
from fuzzing import COMMAND, cases, command, hold
from mutators import damaged, summed
from PIL import Image

from vtg_cli.errors import MediaError
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.media.ffmpeg import ffmpeg
from vtg_cli.media.probe import packets

CLIPS = {
    "mp4": ("-c:v", "libx264", "-g", "3", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "mkv": ("-c:v", "ffv1", "-c:a", "pcm_s16le"),
    "gif": ("-an",),
}
SOURCE = (
    *("-f", "lavfi", "-i", "testsrc=s=32x24:r=10:d=0.6"),
    *("-f", "lavfi", "-i", "sine=d=0.6", "-shortest"),
)


def made(suffix: str, *how: str) -> bytes:
    """A clip of six frames."""
    form = {"mp4": "mp4", "mkv": "matroska", "gif": "gif"}.get(suffix, suffix)
    flags = ("-movflags", "frag_keyframe+empty_moov") if suffix == "mp4" else ()
    command = [ffmpeg(), "-v", "error", *SOURCE, *how, *flags, "-f", form, "pipe:1"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def looked_at(source: Input) -> None:
    """Every frame of it, as a command would read them."""
    with open_clip(source) as clip:
        for count, frame in enumerate(clip.frames()):
            assert frame.pixels.shape[:2] == clip.size
            if count > 200:  # a damaged time may ask for any number of them
                break


@pytest.mark.parametrize("suffix", CLIPS)
@cases(10)
def test_clips(suffix: str, numbers: range, tmp_path: Path) -> None:
    place, seed = tmp_path / f"case.{suffix}", made(suffix, *CLIPS[suffix])

    def read(_: object) -> None:
        packets(str(place))
        looked_at(Input(path=str(place)))

    hold(suffix, numbers, lambda rng: place.write_bytes(damaged(rng, seed)), read, tmp_path)


@pytest.mark.parametrize("suffix", CLIPS)
@cases(COMMAND)
def test_clips_by_command(suffix: str, numbers: range, tmp_path: Path) -> None:
    place, seed = tmp_path / f"case.{suffix}", made(suffix, *CLIPS[suffix])

    def make(rng: Random) -> list[str]:
        place.write_bytes(damaged(rng, seed))
        out = ["--model", "flow", "-o", str(tmp_path / "slow.mp4"), "--dry-run"]
        return ["slow", str(place), "--factor", "2", *out]

    hold(f"{suffix} by command", numbers, make, command, tmp_path)


def pictures(kind: str) -> bytes:
    """Three pictures end to end."""
    file = io.BytesIO()
    for k in range(3):
        Image.fromarray(np.full((12, 20, 3), 80 * k, np.uint8)).save(file, kind)
    return file.getvalue()


STREAMS = {
    "y4m": lambda: made("yuv4mpegpipe", "-an", "-pix_fmt", "yuv420p"),
    "nut": lambda: made("nut", "-an", "-c:v", "rawvideo", "-pix_fmt", "rgb24"),
    "rawvideo": lambda: bytes(32 * 24 * 3 * 3),
    "png": lambda: pictures("png"),
    "jpeg": lambda: pictures("jpeg"),
}


@pytest.mark.parametrize("form", STREAMS)
@cases(4)
def test_streams(
    form: str, numbers: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, seed = tmp_path / "case", STREAMS[form]()

    def make(rng: Random) -> None:
        content = damaged(rng, seed)
        place.write_bytes(summed(content) if form == "png" and rng.random() < 0.5 else content)

    def read(_: object) -> None:
        size = (32, 24) if form == "rawvideo" else None
        with place.open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            looked_at(Input(path="-", format=form, size=size))

    hold(f"{form} stream", numbers, make, read, tmp_path)


@pytest.mark.parametrize("case", [4, 971])
def test_packets_that_cannot_be_read(case: int, tmp_path: Path) -> None:
    """Boxes that ask for more memory than there is, or make no sense, between whole packets."""
    place = tmp_path / "case.mp4"
    place.write_bytes(damaged(Random(f"mp4 {case}"), made("mp4", *CLIPS["mp4"])))
    with pytest.raises(MediaError, match="its packets cannot be read to the end"):
        packets(str(place))
