"""What ffmpeg is told about sound."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vtg_cli.media import sound
from vtg_cli.media.probe import Audio, Facts, Video

VIDEO = Video(
    codec="h264",
    pixels="yuv420p",
    width=64,
    height=36,
    sar=Fraction(1),
    rate=Fraction(24),
    range=None,
    matrix=None,
    primaries=None,
    transfer=None,
    turned=False,
    fields=False,
)
HEARD = Facts("a.mp4", VIDEO, (Audio("aac", 48000, "stereo"),))
MUTE = Facts("b.mp4", VIDEO, ())
AT_ONCE = {"start": Fraction(0), "sound_start": Fraction(0), "seconds": Fraction(8)}


def test_sound_is_copied_only_where_it_fits() -> None:
    copied = sound.retimed(HEARD, "mp4", factor=Fraction(1), **AT_ONCE)
    assert copied is not None
    assert copied.arguments == (
        ["-i", "file:a.mp4"],
        ["-map", "0:v:0", "-map", "1:a:0", "-c:a", "copy"],
    )
    for form, factor, late in (("webm", 1, 0), ("mp4", 2, 0), ("mp4", 1, 1)):
        when = AT_ONCE | {"sound_start": Fraction(late)}
        made = sound.retimed(HEARD, form, factor=Fraction(factor), **when)
        assert made is not None and made.graph != ""


def test_there_may_be_none() -> None:
    assert sound.retimed(MUTE, "mp4", factor=Fraction(2), **AT_ONCE) is None
    assert sound.retimed(HEARD, "gif", factor=Fraction(2), **AT_ONCE) is None


@pytest.mark.parametrize(
    ("factor", "steps"),
    [
        (Fraction(4), ["atempo=0.5", "atempo=0.5"]),
        (Fraction(3), ["atempo=0.5", "atempo=0.666666666667"]),
        (Fraction(1, 5), ["atempo=2", "atempo=2", "atempo=1.25"]),
        (Fraction(1), []),
    ],
)
def test_pace_without_rubberband(
    factor: Fraction, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "_has_rubberband", lambda: False)
    when = AT_ONCE | {"sound_start": Fraction(1, 3)}
    made = sound.retimed(HEARD, "mp4", factor=factor, **when)
    assert made is not None
    assert made.graph.split(",")[2:] == [*steps, "apad=whole_dur=8", "atrim=end=8[sound]"]


def test_fades_lie_beyond_the_join_as_far_as_there_is_sound() -> None:
    sides = [
        sound.Side(HEARD, Fraction(0), Fraction(0)),
        sound.Side(HEARD, Fraction(2), Fraction(2)),
    ]
    when = {"leaves": Fraction(3), "arrives": Fraction(4), "seconds": Fraction(9)}
    made = sound.joined(*sides, "mp4", **when)
    assert made is not None
    first, last, _ = made.graph.split(";")
    assert "afade=t=out:curve=qsin:st=2.75:d=0.25" in first  # nothing beyond: within itself
    assert "afade=t=in:curve=qsin:st=0:d=1" in last and "adelay=delays=144000S" in last
    assert "asetpts=PTS-(1)/TB" in last
    alone = sound.joined(None, sides[1], "mp4", **when)
    assert alone is not None and alone.inputs == ("a.mp4",)
    assert sound.joined(None, sound.Side(MUTE, Fraction(0), Fraction(0)), "mp4", **when) is None
