"""What ffmpeg is told about sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vtg_cli.media import sound
from vtg_cli.media.ffmpeg import reading, run
from vtg_cli.media.probe import Audio, Facts, Video, probe
from vtg_cli.media.survey import Extent

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
WHOLE = Extent(192, Fraction(0), Fraction(8))
HEARD = Facts("a.mp4", VIDEO, (Audio("aac", 48000, "stereo"),), WHOLE)
MUTE = Facts("b.mp4", VIDEO, (), WHOLE)
AT_ONCE = {"start": Fraction(0), "starts": [Fraction(0)], "seconds": Fraction(8)}


def test_sound_is_copied_only_where_it_fits() -> None:
    copied = sound.retimed(HEARD, "mp4", factor=Fraction(1), **AT_ONCE)
    assert copied is not None
    assert copied.arguments == (
        ["-copyts", *reading("a.mp4")],
        ["-map", "1:a:0", "-c:a:0", "copy", "-flags:a", "+bitexact"],
    )
    for form, factor, late in (("webm", 1, 0), ("mp4", 2, 0), ("mp4", 1, 1)):
        when = AT_ONCE | {"starts": [Fraction(late)]}
        made = sound.retimed(HEARD, form, factor=Fraction(factor), **when)
        assert made is not None and made.graph != ""


def test_there_may_be_none() -> None:
    assert sound.retimed(MUTE, "mp4", factor=Fraction(2), **(AT_ONCE | {"starts": []})) is None
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
    when = AT_ONCE | {"starts": [Fraction(1, 3)]}
    made = sound.retimed(HEARD, "mp4", factor=factor, **when)
    assert made is not None
    assert made.graph.split(",")[2:] == [*steps, "apad=whole_dur=8", "atrim=end=8[sound0]"]


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


@pytest.mark.parametrize("layout", ["5.1(side)", "4.0", "2.1", "6.0", "7.1(wide)", "22.2"])
def test_opus_takes_any_layout_once_it_is_conformed(layout: str, tmp_path: Path) -> None:
    source = ("-f", "lavfi", "-i", f"anullsrc=cl={layout}:r=48000:d=0.1", "-c:a", "libopus")
    path = str(tmp_path / "a.webm")
    assert run(*source, path).returncode != 0  # as ffmpeg has it by itself
    (conform,) = sound.conformed(layout, "webm")
    assert run(*source, "-af", conform, "-y", path).returncode == 0


@pytest.mark.parametrize(("form", "codec"), [("mp4", "aac"), ("mkv", "flac"), ("webm", "libopus")])
def test_only_refused_layouts_are_conformed(form: str, codec: str) -> None:
    for layout in ("mono", "2.1", "5.1(side)", "5.1.4", "7.1"):
        source = ("-f", "lavfi", "-i", f"anullsrc=cl={layout}:r=48000:d=0.1", "-c:a", codec)
        taken = run(*source, "-f", "null", "-").returncode == 0
        assert sound.conformed(layout, form) == [] if taken else sound.conformed(layout, form)


def test_speakers_of_another_name_are_not_told_as_mixed() -> None:
    for layout, told in (("5.1(side)", 0), ("4.0", 1), ("stereo", 0)):
        facts = Facts("a.mkv", VIDEO, (Audio("ac3", 48000, layout),), WHOLE)
        assert len(sound.mixed(facts, "webm", 1)) == told
    layouts = ("mono", "stereo", "2.1", "quad(side)", "5.1(side)", "7.1", "7.1.4", "4 channels")
    assert [sound.channels(layout) for layout in layouts] == [1, 2, 3, 4, 6, 8, 12, 4]


def test_a_lone_channel_beside_two_is_as_loud_from_both(tmp_path: Path) -> None:
    """The join has the richer layout and the higher rate, whichever clip they come from."""
    poor = Facts(str(tmp_path / "a.wav"), VIDEO, (Audio("pcm_s16le", 8000, "mono"),), WHOLE)
    rich = Facts(str(tmp_path / "b.wav"), VIDEO, (Audio("pcm_s16le", 48000, "stereo"),), WHOLE)
    for facts, wave in ((poor, "0.5:s=8000"), (rich, "0.25|0.125:s=48000")):
        run("-f", "lavfi", "-i", f"aevalsrc={wave}:d=2", facts.path)
    sides = [sound.Side(facts, Fraction(0), Fraction(0)) for facts in (poor, rich)]
    when = {"leaves": Fraction(2), "arrives": Fraction(2), "seconds": Fraction(4)}
    made = sound.joined(*sides, "mov", **when)
    assert made is not None
    before, among = made.arguments
    path = str(tmp_path / "c.mov")
    picture = ("-f", "lavfi", "-i", "color=s=16x16:r=10:d=4")
    assert run(*picture, *before, "-map", "0:v", *among, path).returncode == 0
    (heard,) = probe(path).audio
    assert (heard.rate, heard.layout) == (48000, "stereo")
    raw = run("-i", path, "-f", "f32le", "-c:a", "pcm_f32le", "-").stdout
    wave = np.frombuffer(raw, np.float32).reshape(-1, 2)
    assert wave[48000] == pytest.approx([0.5, 0.5], abs=1e-3)
    assert wave[3 * 48000] == pytest.approx([0.25, 0.125], abs=1e-3)
