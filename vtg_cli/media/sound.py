"""Sound that goes with a clip: what ffmpeg is told to fetch, shape and encode beside the frames.

Times are seconds on the source's own clock; ffmpeg runs with `-copyts`, so that they mean the same
to it. Whatever a source does at its start, the sound lies where it lay against the picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from vtg_cli.media.ffmpeg import reading, run
from vtg_cli.media.probe import Facts

_TALL = {"5.1.4", "7.1.2", "7.1.4", "7.2.3", "9.1.4", "9.1.6", "hexadecagonal", "22.2"}

CODECS = {
    "mp4": ("-c:a", "aac", "-b:a", "192k"),
    "mov": ("-c:a", "pcm_s16le"),
    "mkv": ("-c:a", "flac"),
    "webm": ("-c:a", "libopus", "-b:a", "160k"),
    "nut": ("-c:a", "pcm_s16le"),
}
"""Encoder of each format that holds sound, used where the sound cannot be copied."""

HELD = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    "mov": {"aac", "mp3", "ac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le"},
    "mkv": {"aac", "mp3", "ac3", "eac3", "flac", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "dts"},
    "webm": {"opus", "vorbis"},
    "nut": set[str](),
}
"""Codecs a format takes as they are."""

LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""Layouts that every encoder takes, and the only ones of Opus."""

REFUSED = {
    "mp4": {"3.1.2", "5.1.2", "binaural", "cube", "downmix", *_TALL},
    "mkv": _TALL,
}
"""Layouts that an encoder refuses beside what Opus does: AAC, and FLAC beyond 8 channels."""


_RENAMED = {"quad(side)", "5.0(side)", "5.1(side)"}
"""Layouts of the same speakers as one that every encoder takes."""

_NAMED = {
    "mono": 1,
    "stereo": 2,
    "binaural": 2,
    "downmix": 2,
    "quad": 4,
    "quad(side)": 4,
    "hexagonal": 6,
    "octagonal": 8,
    "cube": 8,
    "hexadecagonal": 16,
}


@dataclass(frozen=True)
class Track:
    """A sound track of the new clip.

    source: where ffmpeg finds it: "1:a:0" is copied, "[sound0]" comes out of the graph
    codec: ffmpeg's encoder arguments, each flag without the track's number
    number: of the source's track
    """

    source: str
    codec: tuple[str, ...]
    number: int = 0


@dataclass(frozen=True)
class Sound:
    """The sound that ffmpeg adds to the frames.

    inputs: files, in ffmpeg's words inputs 1, 2, ...
    graph: ffmpeg's filters from their streams to the tracks' sources; empty: all are copied
    tracks: in order
    """

    inputs: tuple[str, ...]
    graph: str
    tracks: tuple[Track, ...]

    @property
    def arguments(self) -> tuple[list[str], list[str]]:
        """ffmpeg's arguments before the output's options, and among them, the picture apart."""
        files = [word for path in self.inputs for word in reading(path)]
        how = []
        for number, track in enumerate(self.tracks):
            numbered = (f"{word}:{number}" if word[0] == "-" else word for word in track.codec)
            how += ["-map", track.source, *numbered]
        shaped = ["-filter_complex", self.graph] if self.graph else []
        return ["-copyts", *files], [*shaped, *how, "-flags:a", "+bitexact"]


def conformed(layout: str, form: str) -> list[str]:
    """Return ffmpeg's filters to the nearest layout that the encoder takes, if any are needed."""
    refused = layout not in LAYOUTS if form == "webm" else layout in REFUSED.get(form, ())
    return [f"aformat=channel_layouts={'|'.join(LAYOUTS)}"] if refused else []


def mixed(facts: Facts, form: str, tracks: int) -> list[str]:
    """Return notes on the first `tracks` of a clip, for layouts that the format cannot hold."""
    layouts = [audio.layout for audio in facts.audio[:tracks]]
    return [
        f"{form} holds no sound of layout {layout}: that of {facts.path} is mixed to the nearest"
        for layout in dict.fromkeys(layouts)
        if conformed(layout, form) and layout not in _RENAMED
    ]


def channels(layout: str) -> int:
    """Return how many channels one of ffmpeg's layouts has: 6 for 5.1(side), 4 for "4 channels"."""
    return _NAMED.get(layout) or sum(map(int, re.findall(r"\d+", layout.partition("(")[0]))) or 1


def retimed(
    facts: Facts,
    form: str,
    *,
    start: Fraction,
    starts: Sequence[Fraction | None],
    factor: Fraction,
    seconds: Fraction,
) -> Sound | None:
    """Return every sound track for a clip that lasts `factor` times as long, pitch kept.

    start, starts: when the picture and each track begin in the source, None for a track that cannot
        be read
    seconds: of the whole new clip

    Tracks are copied where nothing changes. Returns None if there is no sound, or the format holds
    none.
    """
    steps = [_from(start), *_tempo(1 / factor), *_lasting(seconds)]
    same = [factor == 1 and begins == start for begins in starts]
    return _every(facts, form, steps, start, starts, same)


def kept(
    facts: Facts,
    form: str,
    *,
    start: Fraction,
    starts: Sequence[Fraction | None],
    seconds: Fraction,
) -> Sound | None:
    """Return every sound track at its own pace; it ends with the clip if not before."""
    steps = [_from(start), f"atrim=end={_number(seconds)}"]
    return _every(facts, form, steps, start, starts, [False] * len(starts))


def _every(
    facts: Facts,
    form: str,
    steps: list[str],
    start: Fraction,
    starts: Sequence[Fraction | None],
    same: Sequence[bool],
) -> Sound | None:
    """Return all tracks that can be read; those that stay the `same` are copied where possible."""
    if form not in CODECS:
        return None
    graphs, tracks = [], []
    for number, (audio, begins) in enumerate(zip(facts.audio, starts, strict=True)):
        source, name = f"1:a:{number}", f"[sound{number}]"
        if begins is None:
            continue
        if same[number] and audio.codec in HELD[form]:
            tracks.append(Track(source, ("-c:a", "copy", *_shift(start)), number))
            continue
        graphs.append(f"[{source}]{','.join([*steps, *conformed(audio.layout, form)])}{name}")
        tracks.append(Track(name, CODECS[form], number))
    return Sound((facts.path,), ";".join(graphs), tuple(tracks)) if tracks else None


def _shift(start: Fraction) -> tuple[str, ...]:
    """Return ffmpeg's arguments that move time 0 of copied packets to `start`."""
    late = f"({_number(start)})/TB"
    return ("-bsf:a", f"setts=pts=PTS-{late}:dts=DTS-{late}") if start else ()


def _from(start: Fraction) -> str:
    """Return filters that make `start` time 0, drop what is before and fill gaps with silence."""
    return f"asetpts=PTS-({_number(start)})/TB,aresample=async=1:first_pts=0"


def _tempo(tempo: Fraction) -> list[str]:
    """Return filters that play sound `tempo` times as fast at its own pitch.

    rubberband, where ffmpeg was built with it, keeps a beep's middle to within some milliseconds;
    atempo plays it early, by 46 ms at a quarter of the pace (docs/clips.md).
    """
    if tempo == 1:
        return []
    if _has_rubberband() and Fraction(1, 100) <= tempo <= 100:
        return [f"rubberband=tempo={_number(tempo)}"]
    steps = []
    while tempo < Fraction(1, 2):
        steps.append("atempo=0.5")
        tempo *= 2
    while tempo > 2:  # faster than that, one filter would skip samples
        steps.append("atempo=2")
        tempo /= 2
    return [*steps, f"atempo={_number(tempo)}"]


@cache
def _has_rubberband() -> bool:
    done = run("-h", "filter=rubberband")
    return b"tempo" in done.stdout


def _number(value: Fraction) -> str:
    return f"{float(value):.12g}"


@dataclass(frozen=True)
class Side:
    """The sound of a clip at a join, in seconds on the source's clock.

    start: where the new clip's picture of it begins
    spare: how much sound lies beyond the join
    """

    facts: Facts
    start: Fraction
    spare: Fraction


def joined(
    first: Side | None,
    last: Side | None,
    form: str,
    *,
    leaves: Fraction,
    arrives: Fraction,
    seconds: Fraction,
) -> Sound | None:
    """Return the sound of two clips, faded between `leaves` and `arrives`; None: no sound.

    leaves, arrives: seconds of the new clip at which the first one's picture ends and the last
        one's begins
    seconds: of all of it

    A fade lies beyond the join as far as there is sound, and for the rest, SHORT at the most,
    before it; between fades there is silence.
    """
    sides = [side for side in (first, last) if side is not None and side.facts.audio]
    if not sides or form not in CODECS:
        return None
    heard = [side.facts.audio[0] for side in sides]
    layout = max((audio.layout for audio in heard), key=channels)
    rate = max(audio.rate for audio in heard)
    alike = f"aformat=sample_rates={rate}:channel_layouts={layout}"
    way = arrives - leaves
    graphs, names = [], []
    for number, side in enumerate(sides, start=1):
        # as loud from both speakers as from one, which is how a lone channel is played
        alone = channels(side.facts.audio[0].layout) == 1 and channels(layout) == 2
        spread = ["pan=stereo|c0=c0|c1=c0"] if alone else []
        beyond = max(Fraction(0), min(way, side.spare))
        within = max(Fraction(0), SHORT - beyond)
        if side is first:
            begin, end = max(Fraction(0), leaves - within), leaves + beyond
            fade = f"afade=t=out:curve=qsin:st={_number(begin)}:d={_number(end - begin)}"
            steps = [_from(side.start), *spread, f"atrim=end={_number(end)}", fade]
        else:
            begin, end = arrives - beyond, min(seconds, arrives + within)
            fade = f"afade=t=in:curve=qsin:st=0:d={_number(end - begin)}"
            late = f"adelay=delays={round(begin * rate)}S:all=1"
            steps = [_from(side.start - beyond), *spread, alike, fade, late]
        graphs.append(f"[{number}:a:0]{','.join([*steps, alike])}[side{number}]")
        names.append(f"[side{number}]")
    mix = f"amix=inputs={len(names)}:normalize=0:duration=longest"
    whole = ",".join([f"{''.join(names)}{mix}", *_lasting(seconds), *conformed(layout, form)])
    inputs = tuple(side.facts.path for side in sides)
    return Sound(inputs, ";".join([*graphs, f"{whole}[sound]"]), (Track("[sound]", CODECS[form]),))


def _lasting(seconds: Fraction) -> list[str]:
    """Return filters that pad what is too short with silence and cut what is too long."""
    # an endless apad before atrim does not end in one of three runs (ffmpeg 9, short sounds)
    return [f"apad=whole_dur={_number(seconds)}", f"atrim=end={_number(seconds)}"]


SHORT = Fraction(1, 4)  # seconds of a fade that has to lie within its own clip
