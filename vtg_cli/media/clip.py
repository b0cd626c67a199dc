"""A clip's frames one by one, each with its exact time, from a file or from standard input.

libav decodes a frame when one is taken, so a reader that is slow slows it down, and what comes in
through standard input waits in turn: memory holds a few frames, however long the clip. A container
that rounds times to its ticks is seen through: a time within one tick of the nominal rate's grid
stands for the grid. What cannot be decoded ends the reading, unless damage is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media import libav, sequence
from vtg_cli.media.animation import TICK, animation, pictures
from vtg_cli.media.damage import Health
from vtg_cli.media.encoding import Input
from vtg_cli.media.filtering import Look, Row, filtered
from vtg_cli.media.pictures import arriving
from vtg_cli.media.probe import Facts, probe
from vtg_cli.media.rates import USUAL

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True, eq=False)
class Timed:
    """A frame of a clip with its time.

    pixels: uint8 [H, W, 3 or 4]
    time: the second it appears at, counted from the first frame's
    lasts: seconds it stays, by what the file says
    """

    pixels: NDArray[np.uint8]
    time: Fraction
    lasts: Fraction


class Clip:
    """An open clip: `rate` frames a second, [H, W] `size`, its frames once.

    tick:  seconds to which its times are rounded
    start: the first frame's second on the clip's own clock, where time zero is
    notes: what is done to it while it is read, one sentence each
    """

    def __init__(
        self,
        name: str,
        rate: Fraction,
        tick: Fraction,
        rows: Iterator[Row],
        health: Health,
        notes: list[str],
    ) -> None:
        self.rate, self.tick, self.notes = rate, tick, notes
        self._name, self._rows, self._health = name, rows, health
        self._next = next(rows, None)
        if self._next is None:
            hint = "say what comes with --input-format" if name == "-" else ""
            raise MediaError(f"{libav.named(name)} shows no picture", hint, subject=name)
        pixels, time, _ = self._next
        self.size = (pixels.shape[0], pixels.shape[1])
        self.start = time or Fraction(0)

    @property
    def alpha(self) -> bool:
        """Return whether its frames have transparency."""
        return self._next is not None and self._next[0].shape[2] == 4

    @property
    def damage(self) -> str:
        """The damage met so far, where that is allowed, in one sentence; empty if there is none."""
        return self._health.said

    def frames(self) -> Iterator[Timed]:
        """Yield every frame in order, once. Raise MediaError for damage or another size."""
        before: Fraction | None = None
        step = 1 / self.rate
        while self._next is not None:
            pixels, stored, lasts = self._next
            height, width = pixels.shape[:2]
            if (height, width) != self.size:
                raise MediaError(
                    f"{self._name} changes its size from {self.size[1]}x{self.size[0]} to "
                    f"{width}x{height}",
                    "cut it there, or bring it to one size first",
                    subject=self._name,
                )
            time = Fraction(0) if before is None else before + step
            if stored is not None and abs(stored - self.start - time) > self.tick:
                time = stored - self.start
            if before is None or time > before:  # two frames of one time: the first is seen
                usual = lasts <= 0 or abs(lasts - step) <= self.tick
                yield Timed(pixels, time, step if usual else lasts)
                before = time
            self._next = next(self._rows, None)


@contextmanager
def open_clip(
    source: Input,
    facts: Facts | None = None,
    *,
    after: Fraction | None = None,
    until: int | None = None,
    alpha: bool = False,
) -> Iterator[Clip]:
    """Open a clip and yield its frames: RGB, upright, with square pixels, deinterlaced.

    facts: of the file, if they are known already
    after: only the frames from this second on, by the file's own clock
    until: only so many frames
    alpha: RGBA where the clip has transparency

    Raises MediaError if the clip is missing, unreadable or damaged or has no video, UsageError if
    standard input needs describing.
    """
    health, notes = Health(libav.named(source.path), source.allow_damaged), list[str]()
    look = Look(alpha=alpha, keep=source.fields == "keep", guess=source.path != "-")
    if source.path == "-":
        with _piped(source, look, health, notes) as clip:
            yield clip
        return
    if sequence.is_sequence(source.path):
        facts = facts or sequence.facts_of(source)
        even = sequence.rows(source, health, notes, after=after, until=until, alpha=alpha)
        yield Clip(source.path, facts.video.rate, Fraction(0), even, health, notes)
        return
    facts = facts or probe(source.path)
    if facts.damage and not source.allow_damaged:
        health.hurt(facts.damage)
    if facts.damage:
        notes.append(f"{source.path} {facts.damage}: what is there is used")
    if facts.skipped:
        notes.append(
            f"the first {float(facts.skipped):.3g} s of {source.path} cannot be decoded: time "
            "zero, for picture and sound, is its first frame that can"
        )
    if shown := animation(source.path):
        begin = after or Fraction(0)
        each = pictures(source.path, shown, health, alpha=alpha)
        late: Iterator[Row] = (row for row in each if row[1] >= begin)
        yield Clip(source.path, facts.video.rate, TICK, islice(late, until), health, notes)
        return
    look = replace(look, sar=facts.video.sar)
    with libav.opened(source.path) as (container, stream):
        tick, begin = libav.tick_of(stream), facts.extent.start
        if after is not None and after > begin:
            begin = after
            libav.seek(container, stream, begin - 1)  # keyframes are found by time of decoding
        frames = _decoded(container, stream, health, begin=begin, until=until)
        rows = filtered(frames, tick, look, notes, source.path)
        yield Clip(source.path, facts.video.rate, tick, rows, health, notes)


def is_transparent(source: Input, facts: Facts) -> bool:
    """Return whether any pixel of a file is not opaque, whatever its pixel format has room for."""
    if not facts.video.alpha:
        return False
    with open_clip(source, facts, alpha=True) as clip:
        return any(np.min(frame.pixels[..., 3]) < 255 for frame in clip.frames())


@contextmanager
def _piped(source: Input, look: Look, health: Health, notes: list[str]) -> Iterator[Clip]:
    feed, rate = libav.Feed(0), source.fps or USUAL
    if source.format in ("png", "jpeg"):
        stills = arriving(feed, source.format, health, notes, alpha=look.alpha)
        even: Iterator[Row] = ((each, i / rate, 1 / rate) for i, each in enumerate(stills))
        yield Clip("-", rate, Fraction(0), even, health, notes)
        return
    form, options = _described(source, rate)
    with libav.piped(feed, form, options) as (container, stream):
        tick = libav.tick_of(stream)
        look = replace(look, sar=stream.sample_aspect_ratio or Fraction(1))
        frames = _decoded(container, stream, health, feed=feed)
        rows = filtered(frames, tick, look, notes, "-")
        yield Clip("-", stream.guessed_rate or USUAL, tick, rows, health, notes)


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    health: Health,
    *,
    begin: Fraction | None = None,
    until: int | None = None,
    feed: libav.Feed | None = None,
) -> Iterator[VideoFrame]:
    """Yield frames from the second `begin` on; None: from the first frame that needs no other."""
    tick, number = libav.tick_of(stream), 0

    def fault(what: str) -> None:
        if number:  # what cannot be decoded before the first frame is skipped, and that is told
            health.hurt(f"is damaged: {what.format(number + 1)}")

    for frame, whole in libav.decoding(container, stream, fault, feed):
        if begin is not None:
            if frame.pts is not None and frame.pts * tick < begin:
                continue
        elif not number and (frame.is_corrupt or not frame.key_frame):
            continue
        if not whole:
            health.hurt(f"is damaged: frame {number + 1} is not what was stored")
        number += 1
        yield frame
        if number == until:
            return
    if feed is not None and feed.torn(container.format.name):
        health.hurt(f"ends in the middle of frame {feed.pictures}")


def _described(source: Input, rate: Fraction) -> tuple[str, dict[str, str]]:
    """Return libav's name for standard input's format, and options it does not state itself."""
    if source.format is None or source.format == "y4m":
        return "yuv4mpegpipe", {}
    if source.format == "nut":
        return "nut", {}
    if source.size is None:
        raise UsageError(
            "raw video says nothing of its size", "add --input-size 640x360", subject="--input-size"
        )
    size = f"{source.size[0]}x{source.size[1]}"
    return "rawvideo", {"video_size": size, "pixel_format": "rgb24", "framerate": str(rate)}
