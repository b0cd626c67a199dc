"""A clip's frames one by one, each with its exact time, from a file or from standard input.

One ffmpeg decodes into a pipe, so a reader that is slow slows it down, and what comes in through
standard input waits in turn: memory holds one frame, however long the clip. The times are those
its `showinfo` filter tells on stderr, in ticks of the stream; a container that rounds them to
milliseconds is seen through, as a time within one tick of the nominal rate stands for it.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media.encoding import Input
from vtg_cli.media.formats import SCALING
from vtg_cli.media.probe import Facts, Video, probe
from vtg_cli.media.video import ffmpeg

HD = (720, 1280)  # rows or columns from which an untagged picture is BT.709; ffmpeg says BT.601

_CONFIG = re.compile(r"config in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)")
_FRAME = re.compile(r"\] n: *\d+ pts: *(-?\d+|NOPTS) .*? duration: *(-?\d+) .*? s:(\d+)x(\d+) ")
_SOURCE = re.compile(r"^\[.*? @ 0x[0-9a-f]+\] (\[\w+\] )?")


@dataclass(frozen=True, eq=False)
class Timed:
    """A frame uint8 [H, W, 3], the second it appears at, counted from the first one's, and for
    how many it stays by what the file says.
    """

    pixels: NDArray[np.uint8]
    time: Fraction
    lasts: Fraction


@dataclass(frozen=True)
class _Entry:
    pts: int | None
    duration: int
    size: tuple[int, int]  # width, height


class Clip:
    """An open clip: `rate` frames a second by its own account, [H, W] `size`, frames once."""

    def __init__(self, process: subprocess.Popen[bytes], log: _Log, name: str) -> None:
        self._process = process
        self._name = name
        self._log = log
        self._next = self._log.entry()
        if self._next is None:
            raise self._unreadable()
        tick, rate = self._log.config
        self.tick = tick
        self.rate = rate or Fraction(25)
        self.size = (self._next.size[1], self._next.size[0])

    def frames(self) -> Iterator[Timed]:
        """Every frame in order, once. MediaError where the stream breaks off or changes size."""
        origin: Fraction | None = None
        before: Fraction | None = None
        step = 1 / self.rate
        while (entry := self._next) is not None:
            if (entry.size[1], entry.size[0]) != self.size:
                raise MediaError(
                    f"{self._name} changes its size from {self.size[1]}x{self.size[0]} to "
                    f"{entry.size[0]}x{entry.size[1]}",
                    "cut it there, or bring it to one size first",
                    subject=self._name,
                )
            pixels = self._pixels()
            if pixels is None:
                break
            expected = Fraction(0) if before is None else before + step
            if entry.pts is None:
                time = expected
            else:
                origin = entry.pts * self.tick if origin is None else origin
                time = entry.pts * self.tick - origin
                if abs(time - expected) <= self.tick:
                    time = expected
            if before is None or time > before:  # two frames of one time: the first is seen
                yield Timed(pixels, time, self._lasting(entry, step))
                before = time
            self._next = self._log.entry()
        self._check_end()

    def _lasting(self, entry: _Entry, step: Fraction) -> Fraction:
        lasts = entry.duration * self.tick
        return step if entry.duration <= 0 or abs(lasts - step) <= self.tick else lasts

    def _pixels(self) -> NDArray[np.uint8] | None:
        assert self._process.stdout is not None
        pixels = np.empty((*self.size, 3), np.uint8)
        rest = pixels.data.cast("B")
        while rest:
            got = self._process.stdout.readinto(rest)  # type: ignore[attr-defined]
            if not got:
                return None
            rest = rest[got:]
        return pixels

    def _check_end(self) -> None:
        if self._process.wait() != 0:
            raise self._unreadable()

    def _unreadable(self) -> MediaError:
        self._process.wait()
        said = self._log.said()
        where = "standard input" if self._name == "-" else self._name
        reason = said[-1] if said else "no frames came"
        hint = "say what comes with --input-format" if self._name == "-" else ""
        return MediaError(f"cannot read {where} as video: {reason}", hint, subject=self._name)


class _Log:
    """What ffmpeg says, read in the background: frames' times as entries, the last words kept."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.config: tuple[Fraction, Fraction | None] = (Fraction(1), None)
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._last: deque[str] = deque(maxlen=40)
        self._stream = stream
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Once ffmpeg has ended."""
        self._thread.join()
        self._stream.close()

    def entry(self) -> _Entry | None:
        """The next frame's; waits for it. None at the end."""
        return self._entries.get()

    def said(self) -> list[str]:
        """What sounds like a reason, once ffmpeg has ended."""
        self._thread.join()
        return [line for line in self._last if _reason(line)]

    def _read(self, stream: IO[bytes]) -> None:
        for raw in stream:
            line = raw.decode(errors="replace").rstrip()
            if "showinfo" not in line:
                self._last.append(_SOURCE.sub("", line).strip())
            elif match := _FRAME.search(line):
                pts = None if match[1] == "NOPTS" else int(match[1])
                size = (int(match[3]), int(match[4]))
                self._entries.put(_Entry(pts, int(match[2]), size))
            elif match := _CONFIG.search(line):
                up, down, frames, seconds = map(int, match.groups())
                rate = Fraction(frames, seconds) if frames and seconds else None
                self.config = (Fraction(up, down), rate)
        self._entries.put(None)


@contextmanager
def open_clip(
    source: Input,
    facts: Facts | None = None,
    *,
    after: Fraction | None = None,
    until: int | None = None,
) -> Iterator[Clip]:
    """The clip's frames, RGB, upright, with square pixels.

    facts: of the file, where they are known already
    after: only the frames from this second on, by the file's own clock; until: no more than that
    MediaError: missing, unreadable, not a video. UsageError: standard input that needs describing.
    """
    if source.path != "-":
        facts = facts or probe(source.path)
    filters = [
        *(_square(facts.video) if facts else ()),
        f"scale=flags={SCALING}{_matrix(facts.video) if facts else ''},format=rgb24",
        "showinfo=checksum=0",
    ]
    command = [
        *(ffmpeg(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"),
        *(() if after is None else ("-seek_timestamp", "1", "-ss", f"{float(after):.9f}")),
        *(_described(source) if source.path == "-" else ("-i", f"file:{source.path}")),
        *("-map", "0:V:0", "-fps_mode", "passthrough", "-vf", ",".join(filters)),
        *(() if until is None else ("-frames:v", str(until))),
        *("-f", "rawvideo", "pipe:1"),
    ]
    process = subprocess.Popen(
        command,
        stdin=sys.stdin.fileno() if source.path == "-" else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    log = _Log(process.stderr)
    try:
        yield Clip(process, log, source.path)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
        log.close()


def _described(source: Input) -> tuple[str, ...]:
    """ffmpeg's arguments for what comes through standard input."""
    rate = source.fps or Fraction(25)
    given = ("-framerate", f"{rate.numerator}/{rate.denominator}")
    if source.format is None or source.format == "y4m":
        return ("-f", "yuv4mpegpipe", "-i", "pipe:0")
    if source.format in ("png", "jpeg"):
        codec = {"png": "png", "jpeg": "mjpeg"}[source.format]
        return ("-f", "image2pipe", *given, "-c:v", codec, "-i", "pipe:0")
    if source.format == "nut":
        return ("-f", "nut", "-i", "pipe:0")
    if source.size is None:
        raise UsageError(
            "raw video says nothing of its size", "add --input-size 640x360", subject="--input-size"
        )
    size = f"{source.size[0]}x{source.size[1]}"
    raw = ("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", size)
    return (*raw, *given, "-i", "pipe:0")


def _square(video: Video) -> tuple[str, ...]:
    """Filters that make stored pixels square; an even width, so that every format takes it."""
    if video.sar == 1:
        return ()
    return ("scale=w=trunc(iw*sar/2+0.5)*2:h=ih:flags=lanczos", "setsar=1")


def _matrix(video: Video) -> str:
    left = ":in_h_chr_pos=0" if video.width % 2 == 0 and "420" in video.pixels else ""
    return left + (":in_color_matrix=bt709" if matrix_of(video) == "bt709" else "")


def matrix_of(video: Video) -> str:
    """The matrix of its colours by ffmpeg's name: what the file says, or what its size suggests."""
    large = video.height >= HD[0] or video.width >= HD[1]
    return video.matrix or ("bt709" if large else "smpte170m")


def _reason(line: str) -> bool:
    said = line.lower()
    words = ("error", "invalid", "no such", "not found", "failed", "could not", "unable", "eof")
    return any(word in said for word in words) and "conversion failed" not in said
