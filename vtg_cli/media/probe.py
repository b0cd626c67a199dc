"""What a clip's file holds: streams, tags, rate, extent, and whether it is all there.

One pass over the packets tells it; of the pictures only the first ones are decoded, until one can
be shown. Its time is the clip's time zero, for picture and sound.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vtg_cli.errors import MediaError
from vtg_cli.media.damage import cut_short
from vtg_cli.media.libav import decoder, has_alpha, opened, tick_of
from vtg_cli.media.opening import open_file
from vtg_cli.media.rates import nominal

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

# names of the code points of ITU-T H.273, as ffmpeg writes them
_RANGES = {1: "tv", 2: "pc"}
_LISTS = (
    "gbr bt709 - - fcc bt470bg smpte170m smpte240m ycgco bt2020nc bt2020c - - - ictcp",
    "- bt709 - - bt470m bt470bg smpte170m smpte240m film bt2020 smpte428 smpte431 smpte432",
    "- bt709 - - bt470m bt470bg smpte170m smpte240m linear log100 log316 iec61966-2-4 bt1361e "
    "iec61966-2-1 bt2020-10 bt2020-12 smpte2084 smpte428 arib-std-b67",
)
_MATRICES, _PRIMARIES, _TRANSFERS = (
    {code: name for code, name in enumerate(names.split()) if name != "-"} for names in _LISTS
)
_SLACK = Fraction(1, 4)  # seconds by which a Matroska file's stated duration may be off


@dataclass(frozen=True, kw_only=True)
class Video:
    """The first video stream. Tags are ffmpeg's words, None where the file says nothing.

    width, height: as stored; sar: shape of a pixel, width : height, the container's word first
    rate:     frames a second, the nominal rate: see `rates.nominal`
    range:    "tv" or "pc"; matrix, primaries, transfer: of the colours
    turned:   the file asks to be shown rotated or mirrored
    fields:   its frames are interlaced, by the frames' own flags
    alpha:    its pictures have transparency
    """

    codec: str
    pixels: str
    width: int
    height: int
    sar: Fraction
    rate: Fraction
    range: str | None
    matrix: str | None
    primaries: str | None
    transfer: str | None
    turned: bool
    fields: bool
    alpha: bool = False


@dataclass(frozen=True)
class Audio:
    """An audio stream: its codec and layout by ffmpeg's names, and samples a second."""

    codec: str
    rate: int
    layout: str


@dataclass(frozen=True)
class Extent:
    """What the video stream shows: its frames, and in seconds its start and how long it lasts."""

    frames: int
    start: Fraction
    seconds: Fraction


@dataclass(frozen=True)
class Facts:
    """What a file holds: its first video stream, all its audio streams.

    extent:  of the video from the first frame that can be shown, which is the clip's time zero
    skipped: seconds of the video before that, whose packets cannot be decoded
    damage:  what is missing of the file, as "ends in the middle of frame 3 of 24"; empty: nothing
    """

    path: str
    video: Video
    audio: tuple[Audio, ...]
    extent: Extent
    skipped: Fraction = Fraction(0)
    damage: str = ""


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


def probe(path: str) -> Facts:
    """Return what the file holds. MediaError: it is missing, empty, or shows no picture."""
    with open_file(path) as file:
        short = cut_short(file)
    with opened(path) as (container, stream):
        seen = _Seen(stream)
        first = seen.through(container)
        if first is None:
            what = "is cut short before its first picture" if short else "shows no picture"
            raise MediaError(f"{path} {what}", "make or download it again", subject=path)
        video = _video(stream, first, seen.rate)
        audio = tuple(
            Audio(sound.codec_context.codec.canonical_name, sound.rate or 0, sound.layout.name)
            for sound in container.streams.audio
            if sound.codec_context is not None
        )
        extent = seen.extent
        return Facts(path, video, audio, extent, seen.skipped, seen.damage(container, short))


def extent(path: str) -> Extent:
    """Return how long the clip is. MediaError as `probe`."""
    return probe(path).extent


def packets(path: str) -> Packets:
    """Return the packets of the first video stream, without decoding any.

    MediaError: the file cannot be read, or holds no times.
    """
    with opened(path) as (container, stream):
        stored = []
        for packet in _packets(container, stream):
            if packet.pts is None:
                raise MediaError(
                    f"{path} is damaged or holds no times",
                    f'put it into a container first: ffmpeg -i "{path}" -c copy clip.mkv',
                    subject=path,
                )
            dts = packet.pts if packet.dts is None else packet.dts
            length = packet.duration or 0
            key, shown = packet.is_keyframe, not packet.is_discard
            stored.append(Packet(dts, packet.pts, length, packet.size, key=key, shown=shown))
        return Packets(tick_of(stream), tuple(stored))


def sound_starts(path: str, track: int = 0) -> Fraction | None:
    """Return the second at which a track's first sample plays; None without one that decodes."""
    import av

    with opened(path) as (container, _):
        for stream in container.streams.audio[track : track + 1]:
            try:
                for frame in container.decode(stream):
                    if frame.pts is not None and frame.time_base is not None:
                        return frame.pts * frame.time_base
            except av.FFmpegError:
                return None
    return None


class _Seen:
    """What a pass over all packets of a file has shown of its video stream."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._times = array("q")
        self._before = 0  # packets before the first shown frame
        self._count = 0
        self._start: int | None = None
        self._last: tuple[int, int] = (0, 0)  # time and duration of the packet shown last
        self._torn: int | None = None  # the packet that ends too early
        self._reach = Fraction(0)  # the end of what any stream holds, seconds

    def through(self, container: InputContainer) -> VideoFrame | None:
        """Read the whole file; return the first frame that can be shown."""
        import av

        decode: Callable[[Any], list[VideoFrame]] | None = decoder(self._stream)
        first: VideoFrame | None = None
        best: VideoFrame | None = None
        try:
            for packet in container.demux():
                self._reached(packet)
                if packet.stream_index != self._stream.index:
                    continue
                if packet.size or packet.dts is not None:
                    self._note(packet)
                if decode is None or not (packet.size or packet.dts is None):
                    continue
                for frame in _decoded(decode, packet):
                    first = first or frame
                    if frame.key_frame and not frame.is_corrupt:
                        best, decode = frame, None
                        break
        except av.FFmpegError:
            self._torn = self._torn or self._count + 1
        shown = best or first
        if shown is not None:
            self._start = shown.pts
        return shown

    def _reached(self, packet: Any) -> None:
        if packet.pts is not None and packet.time_base:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            self._reach = max(self._reach, end)

    def _note(self, packet: Any) -> None:
        self._count += 1
        if packet.is_corrupt:
            self._torn = self._count
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
        """Say what is missing of the file; empty where it is whole."""
        stream, stored = self._stream, len(self._stream.index_entries)
        indexed = "mp4" in container.format.name
        stated = Fraction(container.duration or 0, 1_000_000)
        reach = self._reach - Fraction(container.start_time or 0, 1_000_000)
        lacking = indexed and stored > self._count
        early = "matroska" in container.format.name and stated > reach + _SLACK
        if self._torn is None and not (short or lacking or early):
            return ""
        total = stream.frames if indexed or container.format.name == "avi" else 0
        if not total and stated and container.format.name != "gif":
            total = round(stated * self.rate)
        of = f" of {total}" if total >= self._count else ""
        if self._torn == self._count:
            return f"ends in the middle of frame {self._count}{of}"
        if self._torn is not None and not short:
            return f"is damaged at frame {self._torn}{of}"
        return f"ends after frame {self._count}{of}"


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Any]:
    for packet in container.demux(stream):
        if packet.size:
            yield packet


def _decoded(decode: Callable[[Any], list[VideoFrame]], packet: Any) -> list[VideoFrame]:
    import av

    try:
        return decode(packet)
    except av.FFmpegError:
        return []


def _video(stream: VideoStream, frame: VideoFrame, rate: Fraction) -> Video:
    context = stream.codec_context
    return Video(
        codec=stream.codec.canonical_name,
        pixels=frame.format.name,
        width=frame.width,
        height=frame.height,
        sar=stream.sample_aspect_ratio or Fraction(1),
        rate=rate,
        range=_RANGES.get(frame.color_range or context.color_range),
        matrix=_MATRICES.get(frame.colorspace),
        primaries=_PRIMARIES.get(frame.color_primaries),
        transfer=_TRANSFERS.get(frame.color_trc),
        turned="DISPLAYMATRIX" in frame.side_data,
        fields=frame.interlaced_frame,
        alpha=has_alpha(frame),
    )


def is_large(height: int, width: int) -> bool:
    """Return whether an untagged picture of that size is BT.709; ffmpeg takes all for BT.601."""
    return height >= 720 or width >= 1280


def matrix_of(video: Video) -> str:
    """Return ffmpeg's name of its colours' matrix: what the file says, or its size suggests."""
    return video.matrix or ("bt709" if is_large(video.height, video.width) else "smpte170m")
