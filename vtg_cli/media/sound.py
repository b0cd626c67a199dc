"""Sound that goes with a clip: what ffmpeg is told to fetch, shape and encode beside the frames.

Times are seconds on the source's own clock; ffmpeg runs with `-copyts`, so that they mean the same
to it. Whatever a source does at its start, the sound lies where it lay against the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from vtg_cli.media.probe import Facts, run

CODECS = {
    "mp4": ("-c:a", "aac", "-b:a", "192k"),
    "mov": ("-c:a", "pcm_s16le"),
    "mkv": ("-c:a", "flac"),
    "webm": ("-c:a", "libopus", "-b:a", "160k"),
    "nut": ("-c:a", "pcm_s16le"),
}
"""How each format that holds sound gets it, where it cannot be copied."""

HELD = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    "mov": {"aac", "mp3", "ac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le"},
    "mkv": {"aac", "mp3", "ac3", "eac3", "flac", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "dts"},
    "webm": {"opus", "vorbis"},
    "nut": set[str](),
}
"""Codecs a format takes as they are."""


@dataclass(frozen=True)
class Sound:
    """What ffmpeg adds to the frames.

    inputs: files, in ffmpeg's words inputs 1, 2, ...
    graph:  ffmpeg's filters from their streams to [sound]; empty: the first one's is copied
    codec:  ffmpeg's encoder arguments
    """

    inputs: tuple[str, ...]
    graph: str
    codec: tuple[str, ...]

    @property
    def arguments(self) -> tuple[list[str], list[str]]:
        """ffmpeg's: before the output's options, and among them."""
        files = [word for path in self.inputs for word in ("-i", f"file:{path}")]
        if not self.graph:
            return files, ["-map", "0:v:0", "-map", "1:a:0", "-c:a", "copy"]
        graph = ["-filter_complex", self.graph, "-map", "0:v:0", "-map", "[sound]"]
        return ["-copyts", *files], [*graph, *self.codec, "-flags:a", "+bitexact"]


def retimed(
    facts: Facts,
    form: str,
    *,
    start: Fraction,
    sound_start: Fraction,
    factor: Fraction,
    seconds: Fraction,
) -> Sound | None:
    """The first audio stream beside a clip that lasts `factor` times as long, pitch kept.

    start, sound_start: when picture and sound begin in the source; seconds: of the whole new clip.
    Copied where nothing changes. None: there is none, or the format holds none.
    """
    if not facts.audio or form not in CODECS:
        return None
    if factor == 1 and start == sound_start and facts.audio[0].codec in HELD[form]:
        return Sound((facts.path,), "", ())
    steps = [_from(start), *_tempo(1 / factor), *_lasting(seconds)]
    return Sound((facts.path,), f"[1:a:0]{','.join(steps)}[sound]", CODECS[form])


def kept(facts: Facts, form: str, *, start: Fraction, seconds: Fraction) -> Sound | None:
    """The first audio stream at its own pace; it ends with the clip if not before."""
    if not facts.audio or form not in CODECS:
        return None
    graph = f"[1:a:0]{_from(start)},atrim=end={_number(seconds)}[sound]"
    return Sound((facts.path,), graph, CODECS[form])


def _from(start: Fraction) -> str:
    """Filters after which time 0 is `start`, what lies before is gone, and gaps are silence."""
    return f"asetpts=PTS-({_number(start)})/TB,aresample=async=1:first_pts=0"


def _tempo(tempo: Fraction) -> list[str]:
    """Filters that play sound `tempo` times as fast at its own pitch.

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
    """What a clip's sound does at a join. Seconds on the source's clock.

    start: where the new clip's picture of it begins; spare: how much sound lies beyond the join
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
    """The sound of two clips, faded into one another between `leaves` and `arrives`.

    leaves, arrives: seconds of the new clip at which the first one's picture ends and the last
    one's begins; seconds: of all of it. A fade lies beyond the join as far as there is sound, and
    for the rest, SHORT at the most, before it; between fades there is silence. None: no sound.
    """
    sides = [side for side in (first, last) if side is not None and side.facts.audio]
    if not sides or form not in CODECS:
        return None
    as_first = sides[0].facts.audio[0]
    alike = f"aformat=sample_rates={as_first.rate}:channel_layouts={as_first.layout}"
    way = arrives - leaves
    graphs, names = [], []
    for number, side in enumerate(sides, start=1):
        beyond = max(Fraction(0), min(way, side.spare))
        within = max(Fraction(0), SHORT - beyond)
        if side is first:
            begin, end = max(Fraction(0), leaves - within), leaves + beyond
            fade = f"afade=t=out:curve=qsin:st={_number(begin)}:d={_number(end - begin)}"
            steps = [_from(side.start), f"atrim=end={_number(end)}", fade]
        else:
            begin, end = arrives - beyond, min(seconds, arrives + within)
            fade = f"afade=t=in:curve=qsin:st=0:d={_number(end - begin)}"
            late = f"adelay=delays={round(begin * as_first.rate)}S:all=1"
            steps = [_from(side.start - beyond), alike, fade, late]
        graphs.append(f"[{number}:a:0]{','.join([*steps, alike])}[side{number}]")
        names.append(f"[side{number}]")
    mix = f"amix=inputs={len(names)}:normalize=0:duration=longest"
    whole = ",".join([f"{''.join(names)}{mix}", *_lasting(seconds)]) + "[sound]"
    inputs = tuple(side.facts.path for side in sides)
    return Sound(inputs, ";".join([*graphs, whole]), CODECS[form])


def _lasting(seconds: Fraction) -> list[str]:
    """Silence after what is too short, a cut in what is too long."""
    # an endless apad before atrim does not end in one of three runs (ffmpeg 9, short sounds)
    return [f"apad=whole_dur={_number(seconds)}", f"atrim=end={_number(seconds)}"]


SHORT = Fraction(1, 4)  # seconds of a fade that has to lie within its own clip
