"""Cutting and joining without encoding: pictures stay the very same bits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from vtg_cli.media import splice
from vtg_cli.media.ffmpeg import run
from vtg_cli.media.formats import FILES
from vtg_cli.media.probe import Packet, Packets, packets, probe

FILM = Fraction(24000, 1001)


def clip(path: Path, *how: str, hue: int = 0) -> str:
    source = f"testsrc2=s=64x36:r=24000/1001,hue=h={hue}"
    codec = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", "8", *how)
    done = run("-f", "lavfi", "-i", source, "-frames:v", "24", *codec, str(path))
    assert done.returncode == 0, done.stderr.decode()
    return str(path)


def row(pts: int, key: bool = False) -> Packet:
    return Packet(0, pts, 1, 10, key, True)


def test_a_cut_is_clean_where_nothing_looks_across() -> None:
    closed = [row(0, True), row(2), row(1), row(3, True), row(5), row(4)]
    assert splice.cuts(Packets(FILM, tuple(closed))) == [0, 3]
    open_gop = [row(0, True), row(2), row(1), row(5, True), row(4), row(3), row(6, True)]
    assert splice.cuts(Packets(FILM, tuple(open_gop))) == [0, 6]


def test_pieces_are_joined_bit_for_bit(tmp_path: Path) -> None:
    """Two encodings with different parameter sets; the second from its second keyframe on."""
    first = clip(tmp_path / "a.mp4")
    last = clip(tmp_path / "b.mp4", "-crf", "35", "-preset", "ultrafast", hue=90)
    tick, out = packets(first).tick, tmp_path / "out.mp4"
    parts = [tmp_path / "1.mp4", tmp_path / "2.mp4"]
    splice.copy_part(first, 0, 16, parts[0], tick)
    splice.copy_part(last, 8, None, parts[1], tick)
    splice.join(parts, out, FILES[".mp4"], rate=FILM, sound=None, comment="said")
    kept: list[splice.Copied] = [(first, 0, 16, 0), (last, 8, None, 16)]
    assert splice.verify(str(out), FILM, 32, kept) == ""
    assert splice.verify(str(out), FILM, 31, kept) == "it has 32 frames, not 31"
    wrong: list[splice.Copied] = [(last, 0, 8, 0)]
    assert splice.verify(str(out), FILM, 32, wrong) == f"packets of {last} changed"

    def decoded(path: str | Path) -> list[str]:
        lines = run("-i", str(path), "-fps_mode", "passthrough", "-f", "framemd5", "-").stdout
        return [line.split(",")[-1] for line in lines.decode().splitlines() if line[0] != "#"]

    assert decoded(out) == [*decoded(first)[:16], *decoded(last)[8:]]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ((), ""),
        (("-pix_fmt", "yuv444p"), "its codec or its colours differ from the first clip's"),
        (("-s", "32x18"), "it is not 64x36 as stored"),
        (("-c:v", "mpeg4"), "mpeg4 is not spliced in mp4"),
        (("-vf", "setsar=2"), "it is not 64x36 as stored"),
    ],
)
def test_what_cannot_be_copied_says_why(tmp_path: Path, how: tuple[str, ...], why: str) -> None:
    like = probe(clip(tmp_path / "a.mp4")).video
    facts = probe(clip(tmp_path / "b.mp4", *how))
    assert splice.obstacle(facts, FILES[".mp4"], (36, 64), like) == why
