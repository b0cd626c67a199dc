"""What ffmpeg's lines say, read right: recorded lines, and files made for it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from vtg_cli.errors import MediaError
from vtg_cli.media.ffmpeg import run
from vtg_cli.media.probe import extent, packets, probe, sound_starts

TAGS = "range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """48 frames at 24000/1001 with B-frames, BT.709, and a tone that starts 0.25 s late."""
    path = str(tmp_path_factory.mktemp("probe") / "it's a:clip.mp4")
    made = run(
        *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=24000/1001", "-itsoffset", "0.25"),
        *("-f", "lavfi", "-i", "sine=r=48000:d=1", "-frames:v", "48", "-c:v", "libx264"),
        *("-g", "12", "-vf", f"format=yuv420p,setparams={TAGS}", "-c:a", "pcm_s16le", "-f", "mov"),
        f"file:{path}",
    )
    assert made.returncode == 0, made.stderr.decode()
    return path


def test_streams_and_tags(clip: str) -> None:
    facts = probe(clip)
    video, (audio,) = facts.video, facts.audio
    assert (video.codec, video.pixels, video.width, video.height) == ("h264", "yuv420p", 64, 36)
    assert (video.rate, video.sar, video.turned, video.fields) == (
        Fraction(24000, 1001),
        1,
        False,
        False,
    )
    assert (video.range, video.matrix, video.primaries, video.transfer) == ("tv", *["bt709"] * 3)
    assert (audio.codec, audio.rate, audio.layout) == ("pcm_s16le", 48000, "mono")


def test_packets_tell_exact_times_and_keyframes(clip: str) -> None:
    found = packets(clip)
    assert found.tick == Fraction(1, 24000)
    assert sorted(packet.pts for packet in found.packets) == [1001 * i for i in range(48)]
    keys = [packet.pts // 1001 for packet in found.packets if packet.key]
    assert keys == [0, 12, 24, 36]
    long = extent(clip)
    assert (long.frames, long.start, long.seconds) == (48, 0, Fraction(48 * 1001, 24000))
    assert sound_starts(clip) == Fraction(1, 4)


def test_what_is_no_video_says_why(tmp_path: Path, clip: str) -> None:
    with pytest.raises(MediaError, match="no such file"):
        probe(str(tmp_path / "nope.mp4"))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(Path(clip).read_bytes()[:2000])
    with pytest.raises(
        MediaError, match=r"cut\.mp4 is cut short: nothing of it can be read"
    ) as caught:
        probe(str(cut))
    assert caught.value.exit_code == 7
    tone = tmp_path / "tone.wav"
    run("-f", "lavfi", "-i", "sine=d=0.1", str(tone))
    with pytest.raises(MediaError, match="has sound but no picture"):
        probe(str(tone))
