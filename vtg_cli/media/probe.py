"""The probe of a clip's file: streams, tags, rate, extent, and whether it is all there.

One pass over the packets tells it; of the pictures only the first ones are decoded, until one can
be shown. Its time is the clip's time zero, for picture and sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vtg_cli.errors import MediaError
from vtg_cli.media.animation import TICK, Animation, animation
from vtg_cli.media.damage import cut_short
from vtg_cli.media.libav import has_alpha, opened, tick_of
from vtg_cli.media.opening import open_file
from vtg_cli.media.rates import nominal
from vtg_cli.media.survey import Extent, Survey

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


@dataclass(frozen=True, kw_only=True)
class Video:
    """The first video stream. Tags are ffmpeg's words, None where the file says nothing.

    width, height: as stored
    sar: shape of a pixel, width : height, the container's word first
    rate: frames a second, the nominal rate: see `rates.nominal`
    range: "tv" or "pc"
    matrix, primaries, transfer: of the colours
    turned: the file asks to be shown rotated or mirrored
    fields: its frames are interlaced, by the frames' own flags
    alpha: its pictures have transparency
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
class Facts:
    """The contents of a file: its first video stream, all its audio streams.

    extent: of the video from the first frame that can be shown, which is the clip's time zero
    skipped: seconds of the video before that, whose packets cannot be decoded
    damage: what is missing of the file, such as "ends in the middle of frame 3 of 24"; empty:
        nothing
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
    """All packets of a stream, as stored. tick: seconds."""

    tick: Fraction
    packets: tuple[Packet, ...]


def probe(path: str) -> Facts:
    """Return what the file holds. Raise MediaError if it is missing, empty or shows no picture."""
    with open_file(path) as file:
        short = cut_short(file)
    if shown := animation(path):
        return _animated(path, shown, short)
    with opened(path) as (container, stream):
        seen = Survey(stream)
        first = seen.through(container)
        if first is None:
            torn = short or seen.damage(container, short)
            what = "is cut short before its first picture" if torn else "shows no picture"
            raise MediaError(f"{path} {what}", "make or download it again", subject=path)
        video = _video(stream, first, seen.rate)
        audio = tuple(
            Audio(sound.codec_context.codec.canonical_name, sound.rate or 0, sound.layout.name)
            for sound in container.streams.audio
            if sound.codec_context is not None
        )
        extent = seen.extent
        return Facts(path, video, audio, extent, seen.skipped, seen.damage(container, short))


def _animated(path: str, shown: Animation, short: bool) -> Facts:
    video = Video(
        codec="webp",
        pixels="argb" if shown.alpha else "rgb24",
        width=shown.width,
        height=shown.height,
        sar=Fraction(1),
        rate=nominal(shown.times, TICK, None),
        range="pc",
        matrix="gbr",
        primaries=None,
        transfer=None,
        turned=False,
        fields=False,
        alpha=shown.alpha,
    )
    whole = Extent(len(shown.times), Fraction(0), sum(shown.lasts) * TICK)
    damage = f"ends in the middle of frame {len(shown.times)}" if short else ""
    return Facts(path, video, (), whole, damage=damage)


def extent(path: str) -> Extent:
    """Return how long the clip is. Raise MediaError as `probe` does."""
    return probe(path).extent


def packets(path: str) -> Packets:
    """Return the packets of the first video stream, without decoding any.

    Raises MediaError if the file cannot be read, or holds no times.
    """
    with opened(path) as (container, stream):
        stored, held = [], _packets(container, stream, path)
        for packet in held:
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
    """Return the second at which a track's first sample plays; None if nothing of it decodes."""
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


def _packets(container: InputContainer, stream: VideoStream, name: str) -> Iterator[Any]:
    import av

    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.FFmpegError as error:
        raise MediaError(
            f"{name} is damaged: its packets cannot be read to the end",
            "make or download it again",
            subject=name,
        ) from error


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
    """Return ffmpeg's name of its colours' matrix: the file's, or what its size suggests."""
    return video.matrix or ("bt709" if is_large(video.height, video.width) else "smpte170m")
