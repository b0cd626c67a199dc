"""Clips opened with libav (PyAV): only containers that hold their own pictures.

The package `av` is imported here alone, and only when a clip is opened.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vtg_cli.errors import MediaError
from vtg_cli.media.damage import cut_short
from vtg_cli.media.ffmpeg import CONTAINERS
from vtg_cli.media.opening import kind_of, open_file

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

_Y4M_MARK = len("FRAME\n")

_OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "pipe"}
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # their own decoders leave alpha out


class Feed(io.RawIOBase):
    """Standard input, counted as it is read.

    taken: bytes so far
    pictures: packets that came, the last of them perhaps incomplete

    An exception, Ctrl-C among them, would be lost in libav: it ends the input, `check` raises it.
    """

    def __init__(self, descriptor: int) -> None:
        self.taken = 0
        self.pictures = 0
        self._half = False
        self._end = 0  # of the last packet, bytes
        self._mark = 0  # bytes between packets
        self._descriptor = descriptor
        self._error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = os.read(self._descriptor, size if size > 0 else 1 << 16)
        except BaseException as error:
            self._error = error
            return b""
        self.taken += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def holds_half(self, packet: Any) -> bool:
        """Note a packet and return whether the stream ended within it."""
        if packet.size:
            place = packet.pos or 0
            self._mark = place - self._end if self.pictures else _Y4M_MARK
            self._end = place + packet.size
            self.pictures += 1
            self._half = self._half or packet.is_corrupt
        return bool(packet.is_corrupt)

    def torn(self, form: str) -> bool:
        """Return whether the stream, of libav's format `form`, ended within a picture."""
        if not self._half and form == "yuv4mpegpipe" and self.taken > self._end + self._mark:
            self.pictures += 1  # libav drops it without a word
            self._half = True
        return self._half

    def check(self) -> None:
        """Raise what interrupted the reading, if anything did."""
        if self._error is not None:
            raise self._error


@contextmanager
def opened(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and find its first moving picture. Raise MediaError if there is none."""
    import av

    with open_file(path) as file:
        try:
            container = av.open(file, "r", container_options=_OPTIONS, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            if kind := kind_of(file):
                raise MediaError(
                    f"{path} is a picture ({kind}), not a clip",
                    "vtg interpolate takes pictures",
                    subject=path,
                ) from error
            if cut_short(file):
                raise MediaError(
                    f"{path} is cut short: nothing of it can be read",
                    "make or download it again",
                    subject=path,
                ) from error
            raise MediaError(
                f"{path} is not a video that can be read",
                "name a clip, such as mp4, mov, mkv, webm, avi, ts or gif",
                subject=path,
            ) from error
        with container:
            yield container, picture_of(container, path)


@contextmanager
def piped(
    feed: Feed, form: str, options: dict[str, str]
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open standard input as `form`, libav's name of a container."""
    import av

    allowed = {**_OPTIONS, **options, "format_whitelist": form}
    try:
        container = av.open(feed, "r", format=form, container_options=allowed)
    except (av.FFmpegError, OSError, ValueError) as error:
        feed.check()
        raise MediaError(
            "standard input is not a video that can be read",
            "say what comes with --input-format",
            subject="-",
        ) from error
    with container:
        yield container, picture_of(container, "-")


def picture_of(container: InputContainer, path: str) -> VideoStream:
    """Return the first video stream that is no cover, ready to decode. Raise MediaError."""
    for stream in container.streams.video:
        if not stream.disposition & 0x400 and stream.codec_context is not None:  # attached picture
            # threads of whole frames would lose the last ones where a packet cannot be decoded
            stream.codec_context.thread_type = "SLICE"
            return stream
    what = "has sound but no picture" if container.streams.audio else "has no picture"
    raise MediaError(f"{named(path)} {what}", "name a clip", subject=path)


def decoding(
    container: InputContainer,
    stream: VideoStream,
    fault: Callable[[str], None],
    feed: Feed | None = None,
) -> Iterator[tuple[VideoFrame, bool]]:
    """Yield the stream's frames in display order, each with whether it is as stored.

    fault: called with what went wrong, with {} for the number of the frame
    feed: standard input, which notes each packet
    """
    import av

    decode = decoder(stream)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            fault("nothing can be read from frame {} on")
            packet = None
        if feed is not None:
            feed.check()
            if packet is not None and feed.holds_half(packet):
                continue
        if packet is not None and not packet.size and packet.dts is not None:
            continue  # an empty packet: the picture stays
        last = packet is None or not packet.size
        try:
            with _listening(stream) as wrong:
                frames = decode(None if last else packet)
        except (av.FFmpegError, ValueError):
            fault("frame {} cannot be decoded")
            frames = []
        yield from ((frame, not (wrong or frame.is_corrupt)) for frame in frames)
        if last:
            return


@contextmanager
def _listening(stream: VideoStream) -> Iterator[list[str]]:
    """Yield a list that is filled, at the end, with what FFV1's decoder logs about wrong checksums.

    It says so nowhere else, and shows what it makes of such a slice.
    """
    wrong: list[str] = []
    if stream.codec.canonical_name != "ffv1":
        yield wrong
        return
    from av import logging

    logging.set_level(logging.ERROR)
    logging.set_skip_repeated(False)
    try:
        with logging.Capture() as lines:
            yield wrong
    finally:
        logging.set_level(None)
    wrong += [text for _, _, text in lines if "CRC mismatch" in text]


def decoder(stream: VideoStream) -> Callable[[Any], list[VideoFrame]]:
    """Return the function that decodes the stream's packets, alpha included; None empties it."""
    import av
    from av.codec import CodecContext

    context: Any = stream.codec_context
    if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1":
        name = _WITH_ALPHA.get(stream.codec.canonical_name)
        if name in av.codecs_available:
            context = CodecContext.create(name, "r")
            context.extradata = stream.codec_context.extradata
    decode: Callable[[Any], list[VideoFrame]] = context.decode
    return decode


def seek(container: InputContainer, stream: VideoStream, second: Fraction) -> None:
    """Seek to a keyframe at or before that second if the container has an index; else stay."""
    if any(name in container.format.name for name in ("mp4", "matroska")):
        container.seek(int(second / tick_of(stream)), stream=stream)


def tick_of(stream: VideoStream) -> Fraction:
    """Return the seconds to which a stream's times are rounded."""
    return stream.time_base or Fraction(1)


def has_alpha(frame: VideoFrame) -> bool:
    """Return whether the frame's format has room for transparency."""
    return any(component.is_alpha for component in frame.format.components)


def named(path: str) -> str:
    """Return what messages call the clip."""
    return "standard input" if path == "-" else path
