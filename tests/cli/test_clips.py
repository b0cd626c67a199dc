"""vtg slow, retime and bridge, and pipes, as a person or a script meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from reading import read_video

from vtg_cli.cli import main
from vtg_cli.media.ffmpeg import run
from vtg_cli.media.probe import extent, probe

ROOT = Path(__file__).resolve().parents[2]
ALONE = {**os.environ, "PYTHONPATH": str(ROOT)}
VTG = [sys.executable, "-m", "vtg_cli"]
FILM = Fraction(24000, 1001)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip of 6 frames and one of 6 others, both with sound."""
    monkeypatch.chdir(tmp_path)
    for name, hue in (("a.mp4", 0), ("b.mp4", 120)):
        source = f"testsrc2=s=32x18:r=24000/1001,hue=h={hue}"
        how = ("-f", "lavfi", "-i", "sine=d=0.25025", "-frames:v", "6", "-pix_fmt", "yuv420p")
        done = run("-f", "lavfi", "-i", source, *how, "-g", "3", name)
        assert done.returncode == 0, done.stderr.decode()
    return tmp_path


def test_slow_makes_a_clip_its_report_and_the_same_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["slow", "a.mp4", "--factor", "2", "-o", "s.mp4", "--duplicates", "keep"]) == 0
    assert capfd.readouterr() == ("s.mp4\n", "")
    told = json.loads(Path("s.mp4.json").read_text(encoding="utf-8"))
    assert (told["job"]["kind"], told["job"]["factor"]) == ("retime", "2")
    assert (told["clip"]["frames"], told["clip"]["audio"]) == (12, True)
    assert extent("s.mp4").seconds == 12 / FILM
    assert main(["run", "s.mp4.json", "-o", "again.mp4"]) == 0
    assert Path("again.mp4").read_bytes() == Path("s.mp4").read_bytes()
    Path("a.mp4").write_bytes(Path("b.mp4").read_bytes())
    assert main(["run", "s.mp4.json", "-o", "third.mp4"]) == 7
    assert "a.mp4 has changed since s.mp4.json was written" in capfd.readouterr().err
    assert not Path("third.mp4").exists()


def test_bridge_and_the_same_again(capfd: pytest.CaptureFixture[str]) -> None:
    how = ["bridge", "a.mp4", "b.mp4", "-o", "ab.mp4", "--frames", "4", "--model", "flow"]
    assert main([*how, "--dry-run"]) == 0
    assert capfd.readouterr().out.splitlines()[:-3] == [  # cost: test_preflight.py
        "clip      ab.mp4: 24000/1001 a second, 32x18",
        "leaves    a.mp4 at frame 5",
        "between   2 frames",
        "arrives   b.mp4 at frame 0",
        "copied    6 frames of the first, 6 of the last",
        "model     flow",
    ]
    assert main(how) == 0
    assert extent("ab.mp4").frames == 14
    assert main(["run", "ab.mp4.json", "-o", "again.mp4"]) == 0
    assert Path("again.mp4").read_bytes() == Path("ab.mp4").read_bytes()
    kept = {"a.mp4", "b.mp4", "ab.mp4", "ab.mp4.json", "again.mp4", "again.mp4.json"}
    assert {file.name for file in Path().iterdir()} == kept


def test_dry_run_of_retime(capfd: pytest.CaptureFixture[str]) -> None:
    how = ["retime", "a.mp4", "--fps", "60", "-o", "r.mp4", "--dry-run"]
    assert main(how) == 0
    assert capfd.readouterr().out.splitlines()[:-3] == [
        "clip      r.mp4: 15 frames, 0.25 s, 60 a second, 32x18",
        "from      a.mp4: 6 frames, 24000/1001 a second",
        "lasts     1 times as long",
        "sound     stretch",
        "model     flow",
    ]
    assert not Path("r.mp4").exists()


REFUSALS = [
    (["slow", "nope.mp4", "-o", "s.mp4"], 7, "no such file: nope.mp4"),
    (["slow", "a.mp4", "-o", "a.mp4", "--overwrite"], 2, "a.mp4 is one of the inputs"),
    (["slow", "a.mp4", "-o", "s.mp4", "--factor", "0"], 2, "--factor 0 is not a factor"),
    (["slow", "a.mp4", "-o", "s.mp4", "--input-fps", "9"], 2, "--input-fps is for standard input"),
    (["slow", "a.mp4", "-o", "s.mp4", "--steps", "9"], 2, "--steps is for diffusion models"),
    (["retime", "a.mp4", "-o", "s.mp4"], 2, "nothing to change"),
    (["retime", "a.mp4", "-o", "s.xyz", "--fps", "60"], 2, "unknown suffix '.xyz'"),
    (["bridge", "a.mp4", "-o", "s.mp4"], 2, "missing argument 'CLIP_B'"),
    (["bridge", "a.mp4", "b.mp4", "-o", "s.mp4", "--trim", "6"], 2, "nothing is left of a.mp4"),
    (["bridge", "a.mp4", "b.mp4", "-o", "s.mp4", "--to", "9"], 2, "--to 9 lies beyond b.mp4"),
    (["interpolate", "a.mp4", "-", "-o", "s.mp4"], 2, "standard input stands for all keyframes"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSALS)
def test_refusals(
    arguments: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert said in capfd.readouterr().err.splitlines()[0]
    assert sorted(file.name for file in Path().iterdir()) == ["a.mp4", "b.mp4"]


def stream(frames: int, *how: str, source: str = "testsrc2=s=32x18:r=24000/1001") -> bytes:
    return run("-f", "lavfi", "-i", source, "-frames:v", str(frames), *how, "-").stdout


def piped(arguments: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*VTG, *arguments], input=given, capture_output=True, env=ALONE)


def test_y4m_in_and_out() -> None:
    how = ["slow", "-", "--factor", "2", "-o", "-", "--format", "y4m", "--duplicates", "keep"]
    done = piped(how, stream(4, "-f", "yuv4mpegpipe"))
    assert (done.returncode, done.stderr) == (0, b"")
    head, _, rest = done.stdout.partition(b"\n")
    assert head.split()[:4] == [b"YUV4MPEG2", b"W32", b"H18", b"F24000:1001"]
    assert rest.count(b"FRAME\n") == 8


def test_pictures_in_and_raw_video_out() -> None:
    """Every picture is a keyframe: 3 of them, 4 frames from each to the next."""
    given = stream(3, "-f", "image2pipe", "-c:v", "png", "-pix_fmt", "rgb24")
    how = ["interpolate", "-", "--input-format", "png", "--frames", "4", "--model", "flow"]
    done = piped([*how, "-o", "-", "--format", "rawvideo"], given)
    assert (done.returncode, done.stderr) == (0, b"")
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 18, 32, 3)
    keys = np.frombuffer(stream(3, "-f", "rawvideo", "-pix_fmt", "rgb24"), np.uint8)
    assert len(frames) == 7
    assert np.array_equal(frames[::3], keys.reshape(3, 18, 32, 3))


def test_a_bridge_from_a_pipe() -> None:
    how = ["bridge", "-", "b.mp4", "--frames", "4", "--trim", "1", "--model", "flow", "-o", "o.mkv"]
    done = piped(how, stream(6, "-f", "yuv4mpegpipe"))
    assert (done.returncode, done.stdout) == (0, b"o.mkv\n"), done.stderr
    assert extent("o.mkv").frames == 5 + 2 + 5
    assert [audio.codec for audio in probe("o.mkv").audio] == ["flac"]
    assert not Path("o.mp4.json").exists()  # what came through a pipe cannot be made again


def test_one_keyframe_is_not_enough() -> None:
    given = stream(1, "-f", "image2pipe", "-c:v", "png")
    done = piped(["interpolate", "-", "--input-format", "png", "-o", "o.mp4"], given)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-2] == "vtg: 1 keyframe came, two are needed"
    assert not Path("o.mp4").exists()


def test_what_is_no_stream_is_refused() -> None:
    done = piped(["slow", "-", "-o", "o.mp4"], b"nothing of the kind\n" * 99)
    assert done.returncode == 7
    assert b"standard input is not a video that can be read" in done.stderr
    assert not Path("o.mp4").exists()


def test_a_reader_that_leaves_is_no_failure() -> None:
    how = [*VTG, "slow", "-", "--factor", "1", "-o", "-", "--format", "rawvideo"]
    with subprocess.Popen(
        [*how, "--duplicates", "keep"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # nothing is left to be flushed into a closed pipe
        env=ALONE,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        feeder = threading.Thread(target=feed, args=(process.stdin, 100_000))
        feeder.start()
        process.stdout.read(4000)
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == b""
        feeder.join()


def feed(pipe: object, frames: int) -> None:
    """Noise as y4m; the far end may go away."""
    noise = np.random.default_rng(1).integers(16, 235, (8, 32 * 18 * 3 // 2)).astype(np.uint8)
    try:
        pipe.write(b"YUV4MPEG2 W32 H18 F24:1 Ip A1:1 C420jpeg\n")  # type: ignore[attr-defined]
        for i in range(frames):
            pipe.write(b"FRAME\n" + noise[i % 8].tobytes())  # type: ignore[attr-defined]
        pipe.close()  # type: ignore[attr-defined]
    except (BrokenPipeError, ValueError):
        pass


def resident(pid: int) -> int:
    """KiB. Linux."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("frames", [4000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_memory_stays_flat_however_much_comes(frames: int) -> None:
    """Frames of noise pass through unchanged; kept, they would be 1.7 KB each and their times more.
    The second half of them may not add to what the first half took.
    """
    how = ["slow", "-", "--factor", "1", "--duplicates", "keep", "-o", "-", "--format", "rawvideo"]
    with subprocess.Popen(
        [*VTG, *how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ALONE
    ) as process:
        assert process.stdin and process.stdout
        feeder = threading.Thread(target=feed, args=(process.stdin, frames))
        feeder.start()
        size, seen = 32 * 18 * 3, []
        for i in range(frames):
            rest = size
            while rest:
                rest -= len(process.stdout.read(rest))
            if i % (frames // 40) == 0:
                seen.append(resident(process.pid))
        assert process.stdout.read() == b""
        feeder.join()
    assert process.returncode == 0
    # a few pages more are the allocator's; the frames alone would be frames * 0.85 KiB
    assert max(seen[20:]) - max(seen[4:20]) < 0.2 * frames


def test_a_slow_reader_holds_up_the_source() -> None:
    """Back-pressure: with nobody reading, only so much of the input is taken."""
    how = [*VTG, "slow", "-", "--factor", "1", "-o", "-", "--format", "rawvideo"]
    process = subprocess.Popen(
        [*how, "--duplicates", "keep"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ALONE
    )
    assert process.stdin and process.stdout
    pipe = process.stdin.fileno()
    os.set_blocking(pipe, False)
    frame, taken, still = b"FRAME\n" + bytes(range(216)) * 4, 0, 0
    chunk = b"YUV4MPEG2 W32 H18 F24:1 Ip A1:1 C420jpeg\n"
    while still < 30:
        try:
            sent = os.write(pipe, chunk)
            taken, still, chunk = taken + sent, 0, chunk[sent:] or frame
        except BlockingIOError:
            still += taken > 65536  # it has begun to read
            time.sleep(0.1)
        assert taken < 4_000_000
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()


def test_a_clip_reads_back_as_it_was_piped() -> None:
    source = "mandelbrot=s=32x18"
    given = stream(5, "-f", "nut", "-c:v", "ffv1", "-pix_fmt", "bgr0", source=source)
    how = ["slow", "-", "--input-format", "nut", "--factor", "1", "--duplicates", "keep"]
    done = piped([*how, "-o", "o.mkv", "-q"], given)
    assert done.returncode == 0, done.stderr
    raw = stream(5, "-f", "rawvideo", "-pix_fmt", "rgb24", source=source)
    wanted = np.frombuffer(raw, np.uint8).reshape(5, 18, 32, 3)
    assert np.array_equal(read_video("o.mkv")[0], wanted)


def test_a_cut_clip_ends_with_a_line_or_is_taken_as_it_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Of six whole frames with their index before them, half a file holds three at most."""
    how = ("-g", "1", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
    assert run("-i", "a.mp4", *how, "cut.mp4").returncode == 0
    whole = Path("cut.mp4").read_bytes()
    Path("cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    listed = run("-i", "cut.mp4", "-c", "copy", "-f", "framecrc", "-").stdout.decode()
    begun = sum(line[:1] != "#" for line in listed.splitlines())
    said = f"cut.mp4 ends in the middle of frame {begun} of 6"
    slow = ["slow", "cut.mp4", "--factor", "1", "-o", "o.mkv"]
    bridge = ["bridge", "cut.mp4", "b.mp4", "--frames", "3", "--model", "flow", "-o", "o.mkv"]
    for command in (slow, bridge):
        assert main(command) == 7
        err = capfd.readouterr().err
        assert err.splitlines()[0] == f"vtg: {said}" and "--allow-damaged" in err
        assert sorted(each.name for each in Path().glob("o*")) == []
    assert main([*slow, "--allow-damaged"]) == 0
    assert f"vtg: {said}: what is there is used\n" in capfd.readouterr().err
    assert begun - 1 <= len(read_video("o.mkv")[0]) <= begun
    assert main([*bridge, "--allow-damaged", "--overwrite"]) == 0
    assert f"vtg: {said}: what is there is used\n" in capfd.readouterr().err


def test_keyframes_of_a_stream_that_is_cut(capfd: pytest.CaptureFixture[str]) -> None:
    pictures = stream(3, "-f", "image2pipe", "-c:v", "png")[:-20]
    how = ["interpolate", "-", "--input-format", "png", "--frames", "4", "--model", "flow"]
    done = piped([*how, "-o", "k.mkv"], pictures)
    assert done.returncode == 7 and not Path("k.mkv").exists()
    assert b"vtg: standard input ends in the middle of picture 3\n" in done.stderr
    done = piped([*how, "-o", "k.mkv", "--allow-damaged"], pictures)
    assert done.returncode == 0
    assert b"standard input ends in the middle of picture 3: what is there is used" in done.stderr
    assert len(read_video("k.mkv")[0]) == 4
    assert main(["interpolate", "a.png", "b.png", "-o", "k.mkv", "--allow-damaged"]) == 2
    assert "--allow-damaged is for standard input" in capfd.readouterr().err
