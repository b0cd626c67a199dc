"""Transparency of clips: kept where the output holds it, else laid on a colour and told.

The clips show a red square that moves over pixels that are clear and, hidden there, green.
"""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from reading import read_video

from vtg_cli.clips.bridge import prepared
from vtg_cli.clips.bridge import save as save_bridge
from vtg_cli.clips.retime import opened, save
from vtg_cli.job.jobs import Bridge, Interpolate, Retime
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.media.ffmpeg import run
from vtg_cli.media.scenes import change

RED, HIDDEN, COUNT = (230, 40, 30, 255), (0, 255, 0, 0), 4
CODECS = {
    "mov": ("-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le"),
    "mkv": ("-c:v", "ffv1", "-g", "1", "-pix_fmt", "bgra"),
    "webm": ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-crf", "4", "-b:v", "0"),
    "apng": ("-f", "apng"),
}


def pictures(hidden: tuple[int, ...] = HIDDEN) -> list[NDArray[np.uint8]]:
    frames = []
    for i in range(COUNT):
        frame = np.empty((24, 48, 4), np.uint8)
        frame[:] = hidden
        frame[8:16, 8 + 2 * i : 20 + 2 * i] = RED
        frames.append(frame)
    return frames


def clip(folder: Path, suffix: str, hidden: tuple[int, ...] = HIDDEN) -> Path:
    for i, frame in enumerate(pictures(hidden)):
        Image.fromarray(frame).save(folder / f"{i}.png")
    path = folder / f"sprite.{suffix}"
    if suffix == "gif":
        first, *others = (Image.fromarray(frame) for frame in pictures(hidden))
        first.save(path, save_all=True, append_images=others, duration=80, disposal=2)
        return path
    source = ("-framerate", "12", "-i", str(folder / "%d.png"))
    done = run(*source, *CODECS[suffix], str(path))
    assert done.returncode == 0, done.stderr.decode()
    return path


def slowed(path: Path, output: Path, **more: Any) -> dict[str, Any]:
    name = str(path)
    between = Interpolate(
        keyframes=(name, name), output=str(output), model="flow", encoding=Encoding(sidecar=False)
    )
    job = Retime(clip=Input(path=name), between=replace(between, **more), factor=Fraction(2))
    with opened(job) as (made, source):
        return save(made, source)


@pytest.mark.parametrize("suffix", [*CODECS, "gif"])
def test_it_is_kept_through_flow(tmp_path: Path, suffix: str) -> None:
    # halved chroma mixes hidden green into the square's edge when VP9 is made, before we see it
    hidden = (0, 0, 0, 0) if suffix == "webm" else HIDDEN
    report = slowed(clip(tmp_path, suffix, hidden), tmp_path / "slow.mkv")
    assert (report["clip"]["alpha"], report["notes"]) == (True, [])
    frames, _ = read_video(str(tmp_path / "slow.mkv"), alpha=True)
    assert frames.shape == (2 * COUNT, 24, 48, 4)
    for i, picture in enumerate(pictures()):
        near = np.abs(frames[2 * i, ..., 3].astype(int) - picture[..., 3]).mean()
        assert near <= (2 if suffix == "webm" else 0)  # VP9's alpha is coded with loss
    seen = frames[frames[..., 3] > 128].astype(int)
    # red everywhere: of green hidden under clear pixels nothing comes forth
    assert (seen[:, 0] - seen[:, 1]).min() > (20 if suffix == "webm" else 150)
    middle = frames[1, ..., 3].astype(int)
    assert abs(middle.sum() / 255 - 12 * 8) < 8  # the square moved one pixel, and did not grow


@pytest.mark.parametrize("suffix", ["mov", "mkv", "gif"])
def test_it_is_laid_on_the_background_where_it_cannot_be_kept(tmp_path: Path, suffix: str) -> None:
    path = clip(tmp_path, suffix)
    report = slowed(path, tmp_path / "slow.mp4", background="#4080ff")
    assert not report["clip"]["alpha"]
    assert report["notes"] == [f"transparent parts of {path} are laid on #4080ff (--background)"]
    frames, _ = read_video(str(tmp_path / "slow.mp4"))
    far = frames[:, :4].astype(int) - (64, 128, 255)  # rows that the square does not come near
    assert np.abs(far).max() <= 16  # of a coder, not of hidden green, which is 127 off
    assert np.median(np.abs(far)) <= 2


def test_room_for_transparency_is_none(tmp_path: Path) -> None:
    """Opaque pictures in a format that has alpha come out as they always did."""
    report = slowed(clip(tmp_path, "mkv", (10, 20, 30, 255)), tmp_path / "slow.mkv")
    assert (report["clip"]["alpha"], report["notes"]) == (False, [])
    assert read_video(str(tmp_path / "slow.mkv"))[0][0, 0, 0].tolist() == [10, 20, 30]


def bridged(first: Path, last: Path, output: Path) -> dict[str, Any]:
    paths = str(first), str(last)
    between = Interpolate(
        keyframes=paths,
        output=str(output),
        model="flow",
        frames=(4,),
        encoding=Encoding(sidecar=False),
    )
    job = Bridge(first=Input(path=paths[0]), last=Input(path=paths[1]), between=between)
    with prepared(job) as made:
        return save_bridge(made)


@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_a_bridge_keeps_it_and_the_packets(tmp_path: Path, suffix: str) -> None:
    path = clip(tmp_path, suffix)
    report = bridged(path, path, tmp_path / f"both.{suffix}")
    assert (report["clip"]["alpha"], report["notes"]) == (True, [])
    assert report["copied"] == {"first": COUNT, "last": COUNT}
    frames, _ = read_video(str(tmp_path / f"both.{suffix}"), alpha=True)
    assert len(frames) == 2 * COUNT + 2
    assert frames[:, :4, :, 3].max() == 0 and frames[:, 12, 14:20, 3].min() > 250


def test_beside_an_opaque_clip_it_is_kept_too(tmp_path: Path) -> None:
    (tmp_path / "opaque").mkdir()
    opaque = clip(tmp_path / "opaque", "mkv", (10, 20, 30, 255))
    clear = clip(tmp_path, "mkv")
    assert bridged(clear, opaque, tmp_path / "both.mkv")["clip"]["alpha"]
    frames, _ = read_video(str(tmp_path / "both.mkv"), alpha=True)
    assert frames[0, 0, 0, 3] == 0 and frames[-1, 0, 0].tolist() == [10, 20, 30, 255]
    report = bridged(clear, opaque, tmp_path / "both.mp4")
    assert f"transparent parts of {clear} are laid on white (--background)" in report["notes"]
    frames, _ = read_video(str(tmp_path / "both.mp4"))
    assert frames[0, 0, 0].min() > 250


@pytest.mark.parametrize("command", ["interpolate", "slow"])
def test_pictures_from_a_pipe_keep_it(tmp_path: Path, command: str) -> None:
    pipe = io.BytesIO()
    for picture in pictures()[:2]:
        Image.fromarray(picture).save(pipe, "png")
    options = {"interpolate": ("--model", "flow", "--frames", "3"), "slow": ("--factor", "2")}
    call = [sys.executable, "-m", "vtg_cli", command, "-", *options[command]]
    call += ["--input-format", "png", "-o", str(tmp_path / "a.mkv")]
    done = subprocess.run(call, input=pipe.getvalue(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    frames, _ = read_video(str(tmp_path / "a.mkv"), alpha=True)
    assert len(frames) == (3 if command == "interpolate" else 4)
    assert np.array_equal(frames[0, ..., 3], pictures()[0][..., 3])
    seen = frames[frames[..., 3] > 128]
    assert seen[:, 1].max() < 80


def test_hidden_colours_are_no_change() -> None:
    first, other = pictures()[0], pictures((255, 0, 255, 0))[0]
    assert change(first, other) == 0
    assert change(first, pictures()[1]) > 0
