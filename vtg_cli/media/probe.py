"""What a video file holds, asked of ffmpeg alone: streams, tags, and the time of every packet.

The ffmpeg that imageio-ffmpeg ships has no ffprobe beside it. What can be had exactly comes from
its `framecrc` output, a table made for machines; the rest is read off the lines `ffmpeg -i` prints.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

from vtg_cli.errors import MediaError
from vtg_cli.media.opening import open_file
from vtg_cli.media.video import ffmpeg

RATES = tuple(
    rate
    for whole in (24, 30, 48, 60, 120, 240)
    for rate in (Fraction(whole), Fraction(whole * 1000, 1001))
)
"""Rates a rounded figure may stand for, beside whole numbers."""

_STREAM = re.compile(r"Stream #0:\d+.*?: (Video|Audio): (\w+)(.*)")
_SIZE = re.compile(r", (\d+)x(\d+)(?: \[SAR (\d+):(\d+))?")
_PIXELS = re.compile(r", (\w+)(?:\(([^)]*)\))?(?=, (?:\d+x\d+|none))")
_RATE = re.compile(r", ([\d.]+)(k?) fps")
_HERTZ = re.compile(r", (\d+) Hz, ([^,]+)")
_BASE = re.compile(r"#tb 0: (\d+)/(\d+)")
_NO_TIME = -(2**63)


@dataclass(frozen=True, kw_only=True)
class Video:
    """The first video stream. Tags are ffmpeg's words, None where the file says nothing.

    width, height: as stored; sar: shape of a stored pixel, width : height
    rate:     frames a second, as near as two decimals tell; see `times`
    range:    "tv" or "pc"; matrix, primaries, transfer: of the colours
    turned:   the file asks to be shown rotated
    """

    codec: str
    pixels: str
    width: int
    height: int
    sar: Fraction
    rate: Fraction | None
    range: str | None
    matrix: str | None
    primaries: str | None
    transfer: str | None
    turned: bool
    fields: bool


@dataclass(frozen=True)
class Audio:
    """An audio stream: its codec and layout by ffmpeg's names, and samples a second."""

    codec: str
    rate: int
    layout: str


@dataclass(frozen=True)
class Facts:
    """What a file holds: its first video stream, all its audio streams."""

    path: str
    video: Video
    audio: tuple[Audio, ...]


@dataclass(frozen=True, slots=True)
class Packet:
    """A stored frame, in ticks of the stream: when it is decoded and shown, and for how long."""

    dts: int
    pts: int
    duration: int
    size: int
    key: bool
    shown: bool


@dataclass(frozen=True)
class Packets:
    """All of a stream's packets, as stored. tick: seconds."""

    tick: Fraction
    packets: tuple[Packet, ...]


@dataclass(frozen=True)
class Extent:
    """Of the first video stream: its frames, and in seconds its start and how long it lasts."""

    frames: int
    start: Fraction
    seconds: Fraction


def probe(path: str) -> Facts:
    """What the file holds. MediaError: it is missing, empty, or has no picture ffmpeg knows."""
    with open_file(path):
        pass
    done = run("-i", f"file:{path}")
    said = done.stderr.decode(errors="replace")
    found = [match.groups() for match in _STREAM.finditer(said)]
    sounds = [_audio(codec, rest) for kind, codec, rest in found if kind == "Audio"]
    pictures = [
        (codec, rest)
        for kind, codec, rest in found
        if kind == "Video" and "(attached pic)" not in rest and _SIZE.search(rest)
    ]
    if not pictures:
        what = "has sound but no picture" if sounds else "is not a video that can be read"
        raise MediaError(f"{path} {what}", _why(said), subject=path)
    turned = "displaymatrix: rotation of" in said
    return Facts(path, _video(*pictures[0], turned), tuple(each for each in sounds if each))


def packets(path: str) -> Packets:
    """The packets of the first video stream, without decoding any.

    MediaError: the file cannot be read, or holds no times.
    """
    with _listed(path) as lines:
        tick, rows = table(lines)
        return Packets(tick, tuple(_timed(rows, path)))


def extent(path: str) -> Extent:
    """How long the video stream is, by its packets, in constant memory. MediaError as `packets`."""
    first = last = step = None
    count = 0
    with _listed(path) as lines:
        tick, rows = table(lines)
        rows = _timed(rows, path)
        for row in rows:
            if not row.shown:
                continue
            count += 1
            first = row.pts if first is None else min(first, row.pts)
            if last is None or row.pts >= last:
                last, step = row.pts, row.duration
    if first is None or last is None:
        raise MediaError(f"{path} has no frames", subject=path)
    lasts = step or (round((last - first) / (count - 1)) if count > 1 else 1)
    return Extent(count, first * tick, (last + lasts - first) * tick)


def table(lines: Iterator[str]) -> tuple[Fraction, Iterator[Packet]]:
    """Seconds a tick, and the packets, of what ffmpeg writes with `-f framecrc`."""
    for line in lines:
        if match := _BASE.match(line):
            return Fraction(int(match[1]), int(match[2])), _rows(lines)
    return Fraction(1), iter(())


def sound_starts(path: str, track: int = 0) -> Fraction | None:
    """Seconds at which a track's first sample plays; None without one that can be decoded."""
    how = ("-map", f"0:a:{track}", "-copyts", "-frames:a", "1", "-f", "framecrc", "pipe:1")
    done = run("-loglevel", "error", "-i", f"file:{path}", *how)
    tick, rows = table(iter(done.stdout.decode(errors="replace").splitlines()))
    return next((row.pts * tick for row in rows), None)


def nearest_rate(figure: Fraction) -> Fraction:
    """The rate that a figure of two decimals stands for: 23.98 is 24000/1001."""
    near = [rate for rate in (*RATES, Fraction(round(figure))) if abs(rate - figure) <= ROUNDING]
    return min(near, key=lambda rate: abs(rate - figure), default=figure)


ROUNDING = Fraction(1, 200)


@contextmanager
def _listed(path: str) -> Iterator[Iterator[str]]:
    """The lines of ffmpeg's table of the packets, as they come."""
    how = ("-map", "0:V:0", "-c", "copy", "-copyinkf", "-copyts", "-f", "framecrc", "pipe:1")
    with subprocess.Popen(
        [ffmpeg(), "-hide_banner", "-nostdin", "-loglevel", "quiet", "-i", f"file:{path}", *how],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield iter(process.stdout)
        finally:
            process.kill()


def _timed(rows: Iterator[Packet], path: str) -> Iterator[Packet]:
    row = None
    for row in rows:
        if row.pts == _NO_TIME:
            break
        yield row
    else:
        if row is not None:
            return
    raise MediaError(
        f"{path} is damaged or holds no times",
        f'put it into a container first: ffmpeg -i "{path}" -c copy clip.mkv',
        subject=path,
    )


def _rows(lines: Iterator[str]) -> Iterator[Packet]:
    for line in lines:
        fields = [field.strip() for field in line.split(",")]
        if len(fields) < 6:
            continue
        flags = next((int(field[2:], 16) for field in fields[6:] if field[:2] == "F="), 1)
        dts, pts, duration, size = map(int, fields[1:5])
        yield Packet(dts, pts, duration, size, key=bool(flags & 1), shown=not flags & 4)


def _video(codec: str, rest: str, turned: bool) -> Video:
    size, pixels, rate = _SIZE.search(rest), _PIXELS.search(rest), _RATE.search(rest)
    assert size is not None
    said = (pixels[2] or "").split(", ") if pixels else []
    colours = next((word for word in said if "bt" in word or "/" in word or "smpte" in word), "")
    matrix, primaries, transfer = (colours.split("/") * 3)[:3] if colours else ("", "", "")
    given = Fraction(rate[1]) * (1000 if rate[2] else 1) if rate else None
    return Video(
        codec=codec,
        pixels=pixels[1] if pixels else "unknown",
        width=int(size[1]),
        height=int(size[2]),
        sar=Fraction(int(size[3] or 1) or 1, int(size[4] or 1) or 1),
        rate=nearest_rate(given) if given else None,
        range=next((word for word in said if word in ("tv", "pc")), None),
        matrix=_known(matrix),
        primaries=_known(primaries),
        transfer=_known(transfer),
        turned=turned,
        fields=any("first" in word or "coded" in word for word in said),
    )


def _audio(codec: str, rest: str) -> Audio | None:
    match = _HERTZ.search(rest)
    return Audio(codec, int(match[1]), match[2].strip()) if match else None


def _why(said: str) -> str:
    """What ffmpeg has against a file, the most telling line of it."""
    lines = [re.sub(r"^\[.*?\] ", "", line).strip() for line in said.splitlines()]
    telling = [line for line in lines if re.search("not found|invalid|error|could not", line, re.I)]
    return f"ffmpeg says: {telling[0]}" if telling else "ffmpeg finds no picture in it"


def _known(tag: str) -> str | None:
    return None if tag in ("", "unknown", "reserved") else tag


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """ffmpeg with these arguments and nothing to read, for what it says; whatever it ends with."""
    return subprocess.run(
        [ffmpeg(), "-hide_banner", "-nostdin", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
    )
