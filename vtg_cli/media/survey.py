"""One pass over a clip's packets: how many there are and when, and whether they are all there.

Pictures are decoded until one can be shown, and no further.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vtg_cli.media.libav import decoder, tick_of
from vtg_cli.media.rates import nominal

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

_SLACK = Fraction(1, 4)  # seconds by which a Matroska file's stated duration may be off


@dataclass(frozen=True)
class Extent:
    """The frames a video stream shows, with its start and length in seconds."""

    frames: int
    start: Fraction
    seconds: Fraction


class Survey:
    """A pass over all packets of a file, which shows what its video stream holds."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._times = array("q")
        self._count = 0
        self._clean = True  # it begins with a keyframe
        self._whole = False  # a frame that can be shown was seen
        self._start: int | None = None
        self._last: tuple[int, int] = (0, 0)  # time and duration of the packet shown last
        self._torn: int | None = None  # the packet that ends too early
        self._reach = Fraction(0)  # the end of what any stream holds, seconds

    def through(self, container: InputContainer) -> VideoFrame | None:
        """Read the whole file and return the first frame that can be shown.

        Where the file begins within a group of pictures, that is the first one that needs no other.
        """
        import av

        decode = decoder(self._stream)
        first: VideoFrame | None = None
        try:
            for packet in container.demux():
                self._reached(packet)
                if packet.stream_index != self._stream.index:
                    continue
                last = not packet.size and packet.dts is None
                if not last:
                    self._note(packet)
                if self._whole or not (packet.size or last):
                    continue
                for frame in self._decoded(decode, packet):
                    first = first or frame
                    if not frame.is_corrupt and (self._clean or frame.key_frame):
                        first, self._whole = frame, True
                        break
        except av.FFmpegError:
            self._torn = self._torn or self._count + 1
        if first is not None:
            self._start = first.pts
        return first

    def _decoded(self, decode: Callable[[Any], list[VideoFrame]], packet: Any) -> list[VideoFrame]:
        import av

        try:
            return decode(packet)
        except av.FFmpegError:
            if self._clean:
                self._torn = self._torn or self._count
            return []

    def _reached(self, packet: Any) -> None:
        if packet.pts is not None and packet.time_base:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            self._reach = max(self._reach, end)

    def _note(self, packet: Any) -> None:
        self._count += 1
        if self._count == 1:
            self._clean = packet.is_keyframe
        if packet.is_corrupt and (self._clean or self._whole):
            self._torn = self._torn or self._count
        if packet.is_discard or not packet.size:
            return
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            time = self._times[-1] + (packet.duration or 1) if self._times else 0
        self._times.append(time)
        if time >= self._last[0]:
            self._last = (time, packet.duration or 0)

    @property
    def _shown(self) -> list[int]:
        """Times of the packets from the first shown frame on, in order."""
        start = self._start
        return sorted(time for time in self._times if start is None or time >= start)

    @property
    def skipped(self) -> Fraction:
        if self._start is None or not self._times:
            return Fraction(0)
        return max(Fraction(0), (self._start - min(self._times)) * tick_of(self._stream))

    @property
    def rate(self) -> Fraction:
        return nominal(self._shown, tick_of(self._stream), self._stream.guessed_rate)

    @property
    def extent(self) -> Extent:
        times = self._shown
        step = self._last[1]
        if not step:
            step = round((times[-1] - times[0]) / (len(times) - 1)) if len(times) > 1 else 1
        ticks = times[-1] + step - times[0]
        tick = tick_of(self._stream)
        return Extent(len(times), times[0] * tick, ticks * tick)

    def damage(self, container: InputContainer, short: bool) -> str:
        """Say what is missing of the file; "" if it is whole."""
        stream, stored = self._stream, len(self._stream.index_entries)
        indexed = "mp4" in container.format.name
        stated = Fraction(container.duration or 0, 1_000_000)
        reach = self._reach - Fraction(container.start_time or 0, 1_000_000)
        lacking = indexed and stored > self._count
        early = "matroska" in container.format.name and stated > reach + _SLACK
        if self._torn is None and not (short or lacking or early):
            return ""
        total, of = stream.frames if indexed or container.format.name == "avi" else 0, ""
        if total >= self._count:
            of = f" of {total}"
        elif stated > reach:
            of = f" of about {round(stated * self.rate)}"
        if self._torn == self._count:
            return f"ends in the middle of frame {self._count}{of}"
        if self._torn is not None and not short:
            return f"is damaged at frame {self._torn}{of}"
        return f"ends after frame {self._count}{of}"
