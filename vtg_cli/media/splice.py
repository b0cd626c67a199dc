"""Keeping what was encoded: clips are cut at their keyframes and only what lies between is made.

A cut is clean before a keyframe that no frame on either side looks across. The pieces are joined by
ffmpeg's concat demuxer, which puts each piece's parameter sets before its keyframes, and the times
of all packets are set to the rate's own grid. `verify` then compares the result with its sources,
packet by packet, and whoever calls falls back to encoding everything where it does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from vtg_cli.errors import MediaError
from vtg_cli.ground.atomic import workspace
from vtg_cli.media.ffmpeg import reading, run
from vtg_cli.media.formats import SCALING, Format
from vtg_cli.media.probe import Facts, Packets, Video, matrix_of, packets, probe
from vtg_cli.media.sound import Sound
from vtg_cli.media.video import Sink, cause, feeding, spoken

ENCODERS = {
    "h264": ("-c:v", "libx264", "-crf", "16"),
    "vp9": ("-c:v", "libvpx-vp9", "-b:v", "0", "-crf", "20", "-row-mt", "1"),
    "ffv1": ("-c:v", "ffv1", "-level", "3", "-g", "1"),
    "prores": ("-c:v", "prores_ks", "-vendor", "apl0"),
}
"""Encoder arguments for frames that go beside those of a codec."""

HOLDS = {
    "mp4": ("h264",),
    "mov": ("h264", "prores"),
    "mkv": ("h264", "vp9", "ffv1"),
    "webm": ("vp9",),
}
"""Codecs that are spliced in each format."""

Copied = tuple[str, int, int | None, int]
"""A source, its packets from ... to (None: the end), and where in the output they begin."""

# parameter sets and what else may be put before a frame: all but the coded picture itself
_PICTURES = "h264_mp4toannexb,filter_units=remove_types=6-9"


def cuts(stored: Packets) -> list[int]:
    """Return every clean place to cut before a keyframe: one with as many packets stored before it
    as frames shown before it.
    """
    times = [packet.pts for packet in stored.packets]
    so_far = [-(2**63), *accumulate(times, max)]
    rest = [*accumulate(reversed(times), min)][::-1]
    return [
        i
        for i, packet in enumerate(stored.packets)
        if packet.key and so_far[i] < packet.pts == rest[i]
    ]


def on_grid(stored: Packets, rate: Fraction) -> bool:
    """Return whether the frames come every 1 / rate seconds, as exactly as ticks can say."""
    if not all(packet.shown for packet in stored.packets):
        return False
    times = sorted(packet.pts for packet in stored.packets)
    step = 1 / rate
    return all(
        abs((time - times[0]) * stored.tick - i * step) <= stored.tick
        for i, time in enumerate(times)
    )


def obstacle(facts: Facts, form: Format, size: tuple[int, int], like: Video | None = None) -> str:
    """Return why the clip's packets cannot stand in a file of this format and (height, width),
    beside those of a clip `like` it; "" if they can.
    """
    video = facts.video
    if video.codec not in HOLDS.get(form.name, ()):
        return f"{video.codec} is not spliced in {form.name}"
    if (video.height, video.width) != size or video.sar != 1 or video.turned:
        return f"it is not {size[1]}x{size[0]} as stored"
    if video.fields:
        return "it is interlaced"
    if facts.skipped or facts.damage:
        return "not all of it can be decoded"
    if like is not None and _kind(video) != _kind(like):
        return "its codec or its colours differ from the first clip's"
    return ""


def encoder(video: Video) -> list[str]:
    """Return ffmpeg's arguments from RGB frames to what goes beside the clip's own packets."""
    names = {"gbr": "bt709", "bt470bg": "smpte170m"}
    matrix = names.get(matrix_of(video), matrix_of(video))
    tags = {
        "range": video.range,
        "colorspace": video.matrix,
        "color_primaries": video.primaries,
        "color_trc": video.transfer,
    }
    # what the clip does not say is not said here either: a decoder would start anew at the join
    colour_tags = ":".join(f"{name}={tag or 'unknown'}" for name, tag in tags.items())
    # chroma level with the left luma column, as it is read
    convert = (
        f"scale=out_color_matrix={matrix}:out_range={video.range or 'tv'}:out_h_chr_pos=0:"
        f"flags={SCALING}"
    )
    filters = f"{convert},format={video.pixels},setparams={colour_tags}"
    return ["-vf", filters, *ENCODERS[video.codec]]


def copy_part(path: str, start: int, stop: int | None, part: Path, tick: Fraction) -> None:
    """Copy the video's packets start to stop (stored order), unchanged, into a file of their own
    with ticks of `tick` seconds.
    """
    drop = f"noise=drop=lt(n\\,{start})" if start else "null"
    count = () if stop is None else ("-frames:v", str(stop - start))
    kept = ("-map", "0:V:0", "-c", "copy", "-copyinkf", *count)
    how = (*kept, "-bsf:v", drop, "-map_metadata", "-1")
    _make(*reading(path), *how, *_ticks(tick, part), f"file:{part}")


@contextmanager
def open_part(
    part: Path, video: Video, shape: tuple[int, int, int], rate: Fraction, tick: Fraction
) -> Iterator[Sink]:
    """Open a `Sink` for frames [H, W, 3 or 4] that become a piece beside packets of that video."""
    how = [*encoder(video), *_ticks(tick, part), f"file:{part}"]
    with feeding(how, str(part), shape=shape, fps=rate) as sink:
        yield sink


def join(
    parts: Sequence[Path],
    output: Path,
    form: Format,
    *,
    rate: Fraction,
    sound: Sound | None,
    comment: str | None,
) -> None:
    """Write the parts' packets one after the other, with sound, into `output`."""
    delay = max(_delay(packets(str(part))) for part in parts)
    tick = packets(str(parts[0])).tick
    step = f"({1 / rate / tick})"  # ticks a frame
    grid = f"setts=pts=round(round(PTS/{step})*{step}):dts=round((N-{delay})*{step})"
    sources, mapped = sound.arguments if sound else ([], [])
    with workspace(output) as folder:
        listed = folder / "parts.ffconcat"
        lines = [f"file '{_quoted(part)}'" for part in parts]
        listed.write_text("\n".join(["ffconcat version 1.0", *lines, ""]), encoding="utf-8")
        _make(
            *(*reading(str(listed), "concat"), *sources, "-map", "0:v:0", *mapped),
            *("-c:v", "copy", "-bsf:v", grid, *_ticks(tick, output), *form.muxer),
            *("-fflags", "+bitexact", "-map_metadata", "-1", "-map_chapters", "-1"),
            *(() if comment is None else ("-metadata", f"comment={comment}")),
            f"file:{output}",
        )


def verify(output: str, rate: Fraction, frames: int, kept: Sequence[Copied]) -> str:
    """Return what is wrong with a spliced file; "" if it holds what it should.

    kept: the packets that were copied
    """
    spliced = packets(output)
    if len(spliced.packets) != frames:
        return f"it has {len(spliced.packets)} frames, not {frames}"
    if not on_grid(spliced, rate):
        return "its times are uneven"
    codec = _codec(output)
    digests = hashes(output, codec)
    for source, start, stop, place in kept:
        wanted = hashes(source, codec)[start:stop]
        if digests[place : place + len(wanted)] != wanted:
            return f"packets of {source} changed"
    return ""


def hashes(path: str, codec: str) -> list[str]:
    """Return the SHA-256 of every coded picture of the video, in stored order."""
    only = ("-bsf:v", _PICTURES) if codec == "h264" else ()
    how = ("-map", "0:V:0", "-c", "copy", "-copyinkf", *only, "-f", "framehash", "-hash", "sha256")
    done = run("-loglevel", "error", *reading(path), *how, "pipe:1")
    lines = done.stdout.decode(errors="replace").splitlines()
    return [line.rpartition(",")[2].strip() for line in lines if line and line[0] != "#"]


def _delay(packets_of_video: Packets) -> int:
    """Return how many frames a decoder has to hold back to show them in order."""
    order = sorted(
        range(len(packets_of_video.packets)), key=lambda i: packets_of_video.packets[i].pts
    )
    return max((stored - shown for shown, stored in enumerate(order)), default=0)


def _kind(video: Video) -> tuple[object, ...]:
    return (video.codec, video.pixels, matrix_of(video), video.range or "tv")


def _codec(path: str) -> str:
    return probe(path).video.codec


def _ticks(tick: Fraction, file: Path) -> Sequence[str]:
    """Return arguments that keep a stream's own ticks, where the container lets one choose."""
    if tick.numerator == 1 and file.suffix.lower() in (".mp4", ".mov"):
        return ("-video_track_timescale", str(tick.denominator))
    return ()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "'\\''")


def _make(*arguments: str) -> None:
    done = run("-loglevel", "error", *arguments)
    if done.returncode != 0:
        reason = cause(spoken(done.stderr)) or "ffmpeg failed"
        raise MediaError(f"cannot splice: {reason}")
