"""Frames out and in: counts, rates, colours and tags, streams, and every way it can go wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from reading import read_video

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media import formats, video
from vtg_cli.media.encoding import Encoding
from vtg_cli.media.ffmpeg import ffmpeg
from vtg_cli.media.video import open_sink

Frames = NDArray[np.uint8]

FILM = Fraction(24000, 1001)
SIZES = [(48, 64), (47, 63)]  # even and odd


def clip(count: int, height: int, width: int, channels: int = 3) -> Frames:
    """A smooth picture that moves: sines of different phase in every channel."""
    t, y, x, c = np.mgrid[:count, :height, :width, :channels]
    waves = 127.5 + 60 * np.sin(x / (20 + c) + y / (22 - c) + 0.4 * t + 2 * c)
    frames: Frames = np.rint(waves).astype(np.uint8)
    return frames


def save(
    path: Path | str,
    frames: Frames,
    fps: Fraction = FILM,
    encoding: Encoding | None = None,
    comment: str | None = None,
) -> tuple[str, ...]:
    _, height, width, channels = frames.shape
    with open_sink(
        str(path),
        encoding or Encoding(),
        height=height,
        width=width,
        channels=channels,
        fps=fps,
        comment=comment,
    ) as sink:
        for frame in frames:
            sink.write(frame)
    assert sink.written == len(frames)
    return sink.notes


def psnr(a: Frames, b: Frames) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def told(path: Path) -> str:
    """What ffmpeg says about a file; it complains that no output is named, after telling."""
    done = subprocess.run([ffmpeg(), "-hide_banner", "-i", str(path)], capture_output=True)
    return done.stderr.decode()


def decoded(path: Path, *how: str) -> bytes:
    """The first frame's bytes as stored: no conversion of pixels."""
    command = [ffmpeg(), "-v", "error", *how, "-i", str(path), "-frames:v", "1", "-f", "rawvideo"]
    return subprocess.run([*command, "-"], capture_output=True, check=True).stdout


# ------------------------------------------------------------------ frames, counts and rates


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_ffv1_is_bit_exact(channels: int, height: int, width: int, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, height, width, channels), np.uint8)
    save(tmp_path / "a.mkv", frames)
    back, fps = read_video(str(tmp_path / "a.mkv"), alpha=channels == 4)
    np.testing.assert_array_equal(back, frames)
    assert fps == FILM


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_sequence_is_bit_exact_and_numbered_from_0(channels: int, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (11, 9, 7, channels), np.uint8)
    save(tmp_path / "new" / "out" / "f_%03d.png", frames)
    files = sorted((tmp_path / "new" / "out").glob("*.png"))
    assert [file.name for file in files] == [f"f_{i:03d}.png" for i in range(11)]
    for file, frame in zip(files, frames, strict=True):
        with Image.open(file) as image:
            assert image.mode == ("RGB" if channels == 3 else "RGBA")
            np.testing.assert_array_equal(np.asarray(image), frame)


def test_an_older_sequence_is_replaced_as_a_whole(tmp_path: Path) -> None:
    save(tmp_path / "%02d.png", clip(5, 8, 8))
    save(tmp_path / "%02d.png", clip(3, 8, 8), encoding=Encoding(overwrite=True))
    assert sorted(file.name for file in tmp_path.glob("*.png")) == ["00.png", "01.png", "02.png"]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("fps", [FILM, Fraction(30000, 1001), Fraction(25), Fraction(15, 2)])
def test_the_rate_and_the_count_are_exact(suffix: str, fps: Fraction, tmp_path: Path) -> None:
    frames = clip(7, 48, 64)
    frames[3:5] = frames[2]  # equal neighbours count too
    save(tmp_path / f"a.{suffix}", frames, fps)
    back, found = read_video(str(tmp_path / f"a.{suffix}"))
    assert back.shape == frames.shape
    assert found == fps


def test_the_film_rate_is_stored_as_a_rational(tmp_path: Path) -> None:
    """In mp4's own clock: 24000 ticks a second, each frame 1001 of them."""
    save(tmp_path / "a.mp4", clip(5, 48, 64))
    assert "24k tbn" in told(tmp_path / "a.mp4")
    command = [ffmpeg(), "-v", "error", "-i", str(tmp_path / "a.mp4"), "-c", "copy"]
    listed = subprocess.run([*command, "-f", "framecrc", "-"], capture_output=True, text=True)
    assert "#tb 0: 1/24000" in listed.stdout
    packets = [line.split(",") for line in listed.stdout.splitlines() if line[0] != "#"]
    assert sorted(int(packet[2]) for packet in packets) == [1001 * i for i in range(5)]
    assert {int(packet[3]) for packet in packets} == {1001}


# On a smooth clip: about one level of error (48 dB) for ProRes, two (42 dB) for the others at their
# defaults; gif has 256 colours for all frames together.
@pytest.mark.parametrize(
    ("suffix", "least"), [("mp4", 41), ("mov", 47), ("webm", 41), ("gif", 45), ("webp", 41)]
)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_no_size_is_rescaled_and_pictures_look_right(
    suffix: str, least: float, height: int, width: int, tmp_path: Path
) -> None:
    frames = clip(6, height, width)
    save(tmp_path / f"a.{suffix}", frames)
    if suffix == "webp":  # not every ffmpeg reads what every ffmpeg writes
        with Image.open(tmp_path / "a.webp") as image:
            back = np.stack(
                [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(image)]
            )
    else:
        back, _ = read_video(str(tmp_path / f"a.{suffix}"))
    assert back.shape == frames.shape
    for i in range(6):
        assert psnr(back[i], frames[i]) >= least


def test_an_odd_size_is_noted(tmp_path: Path) -> None:
    assert save(tmp_path / "a.mp4", clip(2, 48, 64)) == ()
    (note,) = save(tmp_path / "b.mp4", clip(2, 47, 64))
    assert note.startswith("64x47 is an odd size")
    assert "yuv420p(" in told(tmp_path / "a.mp4")
    assert "yuv444p(" in told(tmp_path / "b.mp4")


def test_crf_trades_size_for_quality(tmp_path: Path) -> None:
    frames = clip(6, 48, 64)
    for suffix in ("mp4", "webm"):
        found = []
        for crf in (4, 40):
            path = tmp_path / f"{crf}.{suffix}"
            save(path, frames, encoding=Encoding(crf=crf))
            found.append((path.stat().st_size, psnr(read_video(str(path))[0], frames)))
        assert found[0][0] > 1.5 * found[1][0]
        assert found[0][1] > found[1][1] + 3


def test_gif_keeps_count_time_and_few_colours(tmp_path: Path) -> None:
    frames = np.zeros((12, 16, 16, 3), np.uint8)
    frames[:, :8] = (255, 0, 0)
    frames[6:, 8:, 8:] = (10, 200, 90)  # and six equal neighbours on each side
    save(tmp_path / "a.gif", frames)
    with Image.open(tmp_path / "a.gif") as image:
        delays = []
        assert image.n_frames == 12
        assert image.info["loop"] == 0  # for ever
        for i in range(12):
            image.seek(i)
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), frames[i])
            delays.append(image.info["duration"])
    assert set(delays) == {40, 50}
    assert abs(sum(delays) - 1000 * 12 / FILM) <= 10  # a hundredth of a second over all


def test_webp_keeps_count_and_time(tmp_path: Path) -> None:
    frames = clip(12, 20, 31)
    frames[4:8] = frames[3]
    save(tmp_path / "a.webp", frames)
    with Image.open(tmp_path / "a.webp") as image:
        assert image.n_frames == 12
        assert image.info["loop"] == 0
        delays = []
        for i in range(12):
            image.seek(i)
            image.load()
            delays.append(image.info["duration"])
    assert set(delays) <= {41, 42}
    assert abs(sum(delays) - 1000 * 12 / FILM) <= 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.webp"])
def test_the_same_frames_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        save(tmp_path / folder / name, clip(6, 48, 64), comment="made with vtg")
    one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_the_comment_is_there_or_not(suffix: str, tmp_path: Path) -> None:
    save(tmp_path / f"a.{suffix}", clip(2, 48, 64), comment="made with vtg; model=flow")
    save(tmp_path / f"b.{suffix}", clip(2, 48, 64))
    assert re.search(r"(?i)comment\s*: made with vtg; model=flow\n", told(tmp_path / f"a.{suffix}"))
    assert not re.search(r"(?i)comment\s*:", told(tmp_path / f"b.{suffix}"))


# --------------------------------------------------------------------------------- colour

PATCHES = np.array(
    [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128),
     (200, 100, 50), (20, 180, 220), (255, 255, 0), (0, 255, 255), (255, 0, 255), (90, 40, 160)]
)  # fmt: skip


def bt709(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """ITU-R BT.709: [..., 3] RGB code values 0 to 255 to limited-range Y, Cb, Cr of 8 bits."""
    red, green, blue = np.moveaxis(rgb / 255, -1, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    cb, cr = (blue - luma) / 1.8556, (red - luma) / 1.5748
    return np.stack([16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr], -1)


def patches(height: int, width: int) -> Frames:
    """3 x 4 flat patches of 32 pixels, cut to the size, three frames."""
    frame = np.kron(PATCHES.reshape(3, 4, 3), np.ones((32, 32, 1))).astype(np.uint8)
    return np.repeat(frame[None, :height, :width], 3, 0)


def planes(
    raw: bytes, height: int, width: int, down: tuple[int, int], bits: int = 8
) -> list[NDArray[np.float64]]:
    """Y, Cb, Cr of the first frame of planar YUV, in units of 8 bits."""
    values = np.frombuffer(raw, np.uint8 if bits == 8 else np.uint16) / 2 ** (bits - 8)
    found, at = [], 0
    for rows, columns in ((1, 1), down, down):
        shape = -(-height // rows), -(-width // columns)
        size = shape[0] * shape[1]
        found.append(values[at : at + size].reshape(shape))
        at += size
    return found


def middles(plane: NDArray[np.float64], down: tuple[int, int]) -> NDArray[np.float64]:
    return plane[16 // down[0] :: 32 // down[0], 16 // down[1] :: 32 // down[1]].ravel()


YUV = [  # suffix, size, chroma subsampling (down, across), bits, what ffmpeg calls it
    ("mp4", (96, 128), (2, 2), 8, r"yuv420p\(tv, bt709, progressive\)"),
    ("mp4", (95, 127), (1, 1), 8, r"yuv444p\(tv, bt709, progressive\)"),
    ("mov", (96, 128), (1, 2), 10, r"yuv422p10le\((tv, )?bt709, progressive\)"),
    ("mov", (95, 127), (1, 2), 10, r"yuv422p10le\((tv, )?bt709, progressive\)"),
    ("webm", (96, 128), (2, 2), 8, r"yuv420p\(tv, bt709, progressive\)"),
    ("webm", (95, 127), (2, 2), 8, r"yuv420p\(tv, bt709, progressive\)"),
]


@pytest.mark.parametrize(("suffix", "size", "down", "bits", "tags"), YUV)
def test_colours_are_bt709_by_value_and_by_tag(
    suffix: str,
    size: tuple[int, int],
    down: tuple[int, int],
    bits: int,
    tags: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / f"a.{suffix}"
    save(path, patches(*size))
    # one word for matrix, primaries and transfer where all agree; ProRes is limited by definition
    assert re.search(tags, told(path))
    luma, cb, cr = planes(decoded(path), *size, down, bits)
    found = np.stack([middles(luma, (1, 1)), middles(cb, down), middles(cr, down)], -1)
    # rounding to 8 bits is half a level; flat patches cost the codecs nothing on top
    assert np.abs(found - bt709(PATCHES.astype(float))).max() <= 0.51
    back, _ = read_video(str(path))
    assert np.abs(back[0, 16::32, 16::32].reshape(-1, 3).astype(int) - PATCHES).max() <= 2


@pytest.mark.parametrize(("suffix", "size", "down", "bits", "tags"), YUV)
def test_chroma_lies_where_players_look_for_it(
    suffix: str,
    size: tuple[int, int],
    down: tuple[int, int],
    bits: int,
    tags: str,
    tmp_path: Path,
) -> None:
    """Halved chroma belongs level with the left luma column and between the two rows (the default
    of H.264, VP9 and ProRes). On ramps of blue, Cb says at which luma position it was taken; also
    for odd sizes, where a conversion to the next even size would make it drift."""
    height, width = size
    for axis, (length, step) in enumerate(((height, 2), (width, 2))):
        ramp = step * np.arange(length, dtype=np.uint8)
        frames = np.zeros((2, height, width, 3), np.uint8)
        frames[..., 2] = ramp[:, None] if axis == 0 else ramp[None]
        path = tmp_path / f"{axis}.{suffix}"
        save(path, frames, encoding=Encoding(crf=None if suffix == "mov" else 0))
        _, cb, _ = planes(decoded(path), height, width, down, bits)
        blue = (cb - 128) * 1.8556 * 255 / 224 / (1 - 0.0722)
        position = blue.mean(1 - axis) / step
        expected = down[axis] * np.arange(len(position)) + (0.5 if (axis, down[0]) == (0, 2) else 0)
        inner = slice(3, -3)
        # a level of Cb is 1.14 pixels of the ramp; averaged, it must be a small share of one
        assert abs((position - expected)[inner].mean()) <= 0.08
        halves = np.array_split((position - expected)[inner], 2)
        assert abs(halves[0].mean() - halves[1].mean()) <= 0.15  # no drift


# ---------------------------------------------------------------------------------- alpha


def transparent() -> Frames:
    """Flat colours with alphas in bands, three frames; colour also where alpha is 0."""
    frames = np.repeat(patches(96, 128)[..., :1], 4, -1)
    frames[..., :3] = patches(96, 128)
    frames[..., 3] = np.repeat(np.array([0, 85, 170, 255], np.uint8), 32)
    return frames


def test_prores_4444_keeps_alpha(tmp_path: Path) -> None:
    frames = transparent()
    save(tmp_path / "a.mov", frames)
    assert "prores (4444)" in told(tmp_path / "a.mov")
    back, _ = read_video(str(tmp_path / "a.mov"), alpha=True)
    gap = np.abs(back[0, 16::32, 16::32].astype(int) - frames[0, 16::32, 16::32])
    assert gap.max() <= 1  # 10 bits of colour, 16 of alpha, rounded to 8 by ffmpeg


def test_prores_422_is_used_without_alpha(tmp_path: Path) -> None:
    save(tmp_path / "a.mov", patches(96, 128), encoding=Encoding(alpha=True))
    assert "prores (HQ)" in told(tmp_path / "a.mov")


@pytest.mark.parametrize(("height", "width"), [(96, 128), (95, 127)])
def test_webm_keeps_alpha(height: int, width: int, tmp_path: Path) -> None:
    frames = np.ascontiguousarray(transparent()[:, :height, :width])
    save(tmp_path / "a.webm", frames)
    # ffmpeg's own vp9 decoder ignores alpha; libvpx reads it, as browsers do
    how = ("-c:v", "libvpx-vp9")
    raw = np.frombuffer(decoded(tmp_path / "a.webm", *how), np.uint8)
    alpha = raw[-height * width :].reshape(height, width)
    assert np.abs(alpha[16::32, 16::32].astype(int) - frames[0, 16::32, 16::32, 3]).max() <= 2


def moving() -> Frames:
    """A red square that goes to the right on clear black, under a half-transparent bar; two frames
    in the middle are equal.
    """
    frames = np.zeros((6, 40, 64, 4), np.uint8)
    for frame, place in zip(frames, (0, 6, 6, 12, 18, 24), strict=True):
        frame[12:30, 4 + place : 26 + place] = (230, 40, 30, 255)
        frame[:6] = (20, 40, 60, 128)
    return frames


def shown(path: Path) -> tuple[Frames, list[float]]:
    """What Pillow shows, RGBA [N, H, W, 4], and for how many ms each."""
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        frames, delays = [], []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGBA")))
            delays.append(image.info["duration"])
    return np.stack(frames), delays


def test_apng_is_lossless_with_and_without_alpha(tmp_path: Path) -> None:
    """Equal neighbours stay two, what has moved on leaves no trail, times are exact."""
    fps = Fraction(30000, 1001)
    save(tmp_path / "a.apng", moving(), fps=fps)
    frames, delays = shown(tmp_path / "a.apng")
    assert np.array_equal(frames, moving())
    assert delays == pytest.approx([float(1000 / fps)] * 6, abs=1e-9)
    opaque = np.ascontiguousarray(moving()[..., :3])
    save(tmp_path / "b.apng", opaque)
    with Image.open(tmp_path / "b.apng") as image:
        assert image.mode == "RGB"
    assert np.array_equal(shown(tmp_path / "b.apng")[0][..., :3], opaque)


def test_webp_keeps_alpha_exactly(tmp_path: Path) -> None:
    save(tmp_path / "a.webp", moving(), fps=Fraction(25))
    frames, delays = shown(tmp_path / "a.webp")
    assert delays == [40] * 6
    assert np.array_equal(frames[..., 3], moving()[..., 3])  # which webp stores without loss
    inside = (slice(None), slice(16, 26), slice(32, 36))  # where chroma has one colour all around
    solid = moving()[inside][..., 3] == 255
    gap = np.abs(frames[inside].astype(int) - moving()[inside])[solid]
    assert gap.max() <= 12  # quality 90: 4:2:0 and its quantizer


def test_gif_keeps_alpha_that_is_on_or_off(tmp_path: Path) -> None:
    save(tmp_path / "a.gif", moving(), fps=Fraction(25))
    frames, delays = shown(tmp_path / "a.gif")
    assert delays == [40] * 6
    assert np.array_equal(frames[..., 3], np.where(moving()[..., 3] >= 128, 255, 0))
    opaque = moving()[..., 3] >= 128
    assert np.array_equal(frames[opaque][:, :3], moving()[opaque][:, :3])  # two colours of 256


@pytest.mark.parametrize("name", ["a.mp4"])
def test_alpha_is_refused_where_it_cannot_be_kept(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot keep alpha"):
        save(tmp_path / name, transparent())
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------- streams

PROGRAM = """
import os, signal, sys, time
from fractions import Fraction
import numpy as np
from vtg_cli.media.encoding import Encoding
from vtg_cli.media.video import open_sink

def opened(output, frames, form=None):
    _, height, width, channels = frames.shape
    return open_sink(output, Encoding(format=form), height=height, width=width, channels=channels,
                     fps=Fraction(24000, 1001))
"""


def program(body: str, *arguments: object) -> list[str]:
    source = PROGRAM + textwrap.dedent(body)
    return [sys.executable, "-c", source, *map(str, arguments)]


STREAM = """
frames = np.load(sys.argv[1])
with opened("-", frames, sys.argv[2]) as sink:
    for frame in frames:
        sink.write(frame)
"""


def streamed(form: str, frames: Frames, folder: Path) -> bytes:
    np.save(folder / "frames.npy", frames)
    command = program(STREAM, folder / "frames.npy", form)
    done = subprocess.run(command, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.mark.parametrize(
    ("size", "down", "chroma"), [((96, 128), (2, 2), b"420mpeg2"), ((95, 127), (1, 1), b"444")]
)
def test_a_y4m_stream(
    size: tuple[int, int], down: tuple[int, int], chroma: bytes, tmp_path: Path
) -> None:
    frames = patches(*size)
    stream = streamed("y4m", frames, tmp_path)
    head, *rest = stream.split(b"FRAME\n")
    height, width = size
    assert head.startswith(b"YUV4MPEG2 W%d H%d F24000:1001 Ip" % (width, height))
    assert b" C" + chroma + b" " in head and b"XCOLORRANGE=LIMITED" in head
    assert len(rest) == 3
    luma, cb, cr = planes(rest[0], height, width, down)
    found = np.stack([middles(luma, (1, 1)), middles(cb, down), middles(cr, down)], -1)
    assert np.abs(found - bt709(PATCHES.astype(float))).max() <= 0.51


@pytest.mark.parametrize("channels", [3, 4])
def test_a_rawvideo_stream_is_the_frames_bytes(channels: int, tmp_path: Path) -> None:
    frames = clip(5, 13, 17, channels)
    assert streamed("rawvideo", frames, tmp_path) == frames.tobytes()


@pytest.mark.parametrize("channels", [3, 4])
def test_a_nut_stream_is_lossless(channels: int, tmp_path: Path) -> None:
    frames = clip(5, 13, 17, channels)
    (tmp_path / "a.nut").write_bytes(streamed("nut", frames, tmp_path))
    back, fps = read_video(str(tmp_path / "a.nut"), alpha=channels == 4)
    np.testing.assert_array_equal(back, frames)
    assert fps == FILM


@pytest.mark.parametrize("form", ["y4m", "nut"])
def test_another_ffmpeg_counts_the_frames_of_a_stream(form: str, tmp_path: Path) -> None:
    stream = streamed(form, clip(24, 48, 64), tmp_path)
    command = [ffmpeg(), "-hide_banner", "-i", "-", "-f", "null", "-"]
    said = subprocess.run(command, input=stream, capture_output=True, check=True).stderr.decode()
    assert re.findall(r"frame= *(\d+)", said)[-1] == "24"


@pytest.mark.parametrize("form", ["y4m", "rawvideo", "nut"])
def test_a_reader_that_leaves_ends_it_quietly(form: str) -> None:
    body = """
    frames = np.zeros((1, 480, 640, 3), np.uint8)
    with opened("-", frames, sys.argv[1]) as sink:
        for i in range(100):
            sink.write(frames[0])
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("closed:", sink.closed_by_reader, "all taken:", sink.written == 100, file=sys.stderr)
    """
    with subprocess.Popen(
        program(body, form), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        assert len(child.stdout.read(1000)) == 1000
        child.stdout.close()
        said = child.stderr.read().decode()
    assert (child.returncode, said) == (0, "closed: True all taken: False\n")


# ---------------------------------------------------------------- interruption and failure


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["a.mp4", "new/a.mov", "new/out/%04d.png"])
def test_an_exception_leaves_nothing_behind(
    error: type[BaseException], name: str, tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    frames = clip(3, 48, 64)
    with (
        pytest.raises(error),
        open_sink(
            str(tmp_path / name), Encoding(), height=48, width=64, channels=3, fps=FILM
        ) as sink,
    ):
        sink.write(frames[0])
        raise error
    assert list(tmp_path.iterdir()) == []
    assert children
    for child in children:
        with pytest.raises(ChildProcessError):  # reaped: no zombie waits for us
            os.waitpid(child.pid, os.WNOHANG)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The child processes that were started."""
    started: list[subprocess.Popen[bytes]] = []
    original = subprocess.Popen

    class Recorded(original):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(video.subprocess, "Popen", Recorded)  # type: ignore[attr-defined]
    yield started


HALF_WAY = """
frames = np.random.default_rng(0).integers(0, 256, (1, 480, 640, 3), np.uint8)
with opened(sys.argv[1], frames) as sink:
    for i in range(20):
        sink.write(frames[0])
    print("half way", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "out/%04d.png"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_no_half_file(how: signal.Signals, name: str, tmp_path: Path) -> None:
    """Ctrl-C reaches the whole process group, so the signal is sent to all of it."""
    with subprocess.Popen(
        program(HALF_WAY, tmp_path / name),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half way\n"
        os.killpg(child.pid, how)
        _, said = child.communicate()
    assert child.returncode == -how
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    if how == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
        assert said.splitlines()[-1] == b"KeyboardInterrupt"
    else:
        assert all(".vtg-" in str(path) for path in left)


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell script in the place of ffmpeg."""
    path = folder / "ffmpeg"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))


def test_a_full_disk_is_said_in_ffmpegs_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(
        tmp_path,
        """head -c 5000 > /dev/null
        echo "[out#0/mp4 @ 0x55d0c8] Error writing trailer" >&2
        echo "av_interleaved_write_frame(): No space left on device" >&2
        exit 228""",
        monkeypatch,
    )
    out = tmp_path / "out" / "a.mp4"
    with pytest.raises(MediaError) as caught:
        save(out, clip(50, 48, 64))
    message = f"cannot write {out}: av_interleaved_write_frame(): No space left on device"
    assert caught.value.message == message
    assert caught.value.hint == "ffmpeg began with: Error writing trailer"
    assert (caught.value.exit_code, caught.value.subject) == (7, str(out))
    assert not out.parent.exists()


def test_a_limit_on_file_sizes_is_said(tmp_path: Path) -> None:
    """ffmpeg is killed by SIGXFSZ then, without a word of its own."""
    body = """
    import resource
    from vtg_cli.errors import MediaError
    resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))
    frames = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), np.uint8)
    try:
        with opened(sys.argv[1], frames) as sink:
            for i in range(20):
                sink.write(frames[0])
    except MediaError as error:
        print(error.message)
    """
    path = tmp_path / "a.mkv"
    done = subprocess.run(program(body, path), capture_output=True, text=True)
    killed = f"cannot write {path}: ffmpeg was killed by signal {signal.SIGXFSZ.value}\n"
    assert (done.stdout, done.stderr) == (killed, "")
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_ffmpeg_lacks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = formats.Codec("yuv420p", ("-c:v", "no_such_encoder"))
    changed = formats.Format(name="mp4", suffix=".mp4", codec=lacking, muxer=("-f", "mp4"))
    monkeypatch.setitem(formats.FILES, ".mp4", changed)
    with pytest.raises(MediaError) as caught:
        save(tmp_path / "a.mp4", clip(3, 48, 64))
    assert caught.value.message.endswith("Encoder not found")
    assert caught.value.hint == "ffmpeg began with: Unknown encoder 'no_such_encoder'"
    assert list(tmp_path.iterdir()) == []


def test_a_talkative_ffmpeg_does_not_block_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far more messages than a pipe holds, before it reads the first frame."""
    stand_in(
        tmp_path,
        """head -c 3000000 /dev/zero | tr '\\0' 'x' >&2
        cat > /dev/null""",
        monkeypatch,
    )
    save(tmp_path / "a.mp4", clip(50, 48, 64))


@pytest.mark.parametrize("place", ["no/such/ffmpeg", "."])
def test_a_missing_ffmpeg_is_said(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / place))
    with pytest.raises(MediaError, match="ffmpeg is missing") as caught:
        save(tmp_path / "a.mp4", clip(3, 48, 64))
    assert "IMAGEIO_FFMPEG_EXE" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(MediaError, match=r"cannot write .*/file/a\.mp4: "):
        save(tmp_path / "file" / "a.mp4", clip(3, 48, 64))


@pytest.mark.parametrize("name", ["a.mp4", "%d.png"])
def test_no_frames_make_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=rf"no frame came for .*{name}"):
        save(tmp_path / name, clip(0, 48, 64))
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_shape_is_a_programming_error(tmp_path: Path) -> None:
    wrong: list[NDArray[Any]] = [np.zeros((48, 63, 3), np.uint8), np.zeros((48, 64, 3), np.float32)]
    for frame in wrong:
        with (
            pytest.raises(ValueError, match=r"expected uint8 \[48, 64, 3\], got "),
            open_sink(
                str(tmp_path / "a.mp4"), Encoding(), height=48, width=64, channels=3, fps=FILM
            ) as sink,
        ):
            sink.write(frame)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["a b.mp4", "12:30.mp4", "100%.mp4", "-dash.mp4", "naïve — ü.mp4", "a'b\".mp4", "CAPS.MP4"],
)
def test_any_file_name_will_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(name, clip(3, 48, 64))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_video(name)[0].shape == (3, 48, 64, 3)


def test_a_folder_with_a_percent_sign_will_do(tmp_path: Path) -> None:
    save(tmp_path / "50% off" / "%02d.png", clip(2, 48, 64))
    names = sorted(path.name for path in (tmp_path / "50% off").glob("*.png"))
    assert names == ["00.png", "01.png"]


def test_a_view_of_frames_is_written_as_it_looks(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), np.uint8)
    views = frames[::-1, ::-1, ::2]
    save(tmp_path / "a.mkv", views)
    np.testing.assert_array_equal(read_video(str(tmp_path / "a.mkv"))[0], views)


def test_the_cause_is_told_and_not_what_comes_of_it() -> None:
    """ffmpeg 9's own words for Opus with a layout it has not, and for a disk that is full."""
    said = video.spoken(
        b"[libopus @ 0x55] Invalid channel layout 5.1(side) for specified mapping family -1.\n"
        b"[aost#0:1/libopus @ 0x56] [enc:libopus @ 0x57] Error while opening encoder - maybe\n"
        b"[af#0:1 @ 0x58] Error sending frames to consumers: Invalid argument\n"
        b"[out#0/webm @ 0x59] Nothing was written into output file, because of no packets.\n"
    )
    assert video.cause(said) == (
        "Invalid channel layout 5.1(side) for specified mapping family -1."
    )
    assert video.cause(said[2:]) == said[-1]
    assert video.cause([]) == ""
