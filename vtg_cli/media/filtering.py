"""From libav's frames to pixels: deinterlaced, upright, with square pixels, 8-bit RGB or RGBA."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import atan2, degrees, hypot, pi
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vtg_cli.media.formats import SCALING
from vtg_cli.media.libav import has_alpha
from vtg_cli.media.probe import is_large

if TYPE_CHECKING:
    from av import VideoFrame

Row = tuple[NDArray[np.uint8], Fraction | None, Fraction]
"""Pixels uint8 [H, W, 3 or 4], their second on the clip's clock (None: unknown), and their
duration."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The form frames are to come out in.

    sar: shape of a stored pixel, width : height
    alpha: RGBA where there is transparency
    keep: leave interlaced fields as they are
    guess: for a file that does not state its colours and chroma, assume what files usually hold
    """

    sar: Fraction = Fraction(1)
    alpha: bool = False
    keep: bool = False
    guess: bool = True


def filtered(
    frames: Iterator[VideoFrame], tick: Fraction, look: Look, notes: list[str], name: str
) -> Iterator[Row]:
    """Yield every frame's pixels with its time, in constant memory.

    Only frames flagged as interlaced are deinterlaced, whatever the container says; the others pass
    unchanged. notes: gets a sentence when the first such frame comes.
    """
    graph: Any = None
    kind: tuple[object, ...] = ()
    waiting: deque[tuple[Fraction | None, Fraction]] = deque()
    fields = False
    for frame in frames:
        if frame.interlaced_frame and not (fields or look.keep):
            fields = True
            notes.append(
                f"{name} is interlaced: each frame is made whole from its two fields (bwdif), at "
                "the clip's own rate; --fields keep leaves it"
            )
        shape = (frame.width, frame.height, frame.format.name)
        if (*shape, frame.colorspace, frame.color_range, fields) != kind:
            kind = (*shape, frame.colorspace, frame.color_range, fields)
            if graph is not None:
                yield from _pulled(graph, waiting, end=True)
            graph = _graph(frame, tick, _steps(frame, look, fields))
        time = None if frame.pts is None else frame.pts * tick
        waiting.append((time, frame.duration * tick))
        graph.vpush(frame)
        yield from _pulled(graph, waiting)
    if graph is not None:
        yield from _pulled(graph, waiting, end=True)


def _pulled(
    graph: Any, waiting: deque[tuple[Fraction | None, Fraction]], *, end: bool = False
) -> Iterator[Row]:
    """Yield the frames the graph has ready: every filter gives one for each it takes, in order."""
    if end:
        graph.vpush(None)
    while waiting:
        try:
            frame = graph.vpull()
        except (BlockingIOError, EOFError):
            return
        yield frame.to_ndarray(), *waiting.popleft()


def _graph(frame: VideoFrame, tick: Fraction, steps: list[tuple[str, str]]) -> Any:
    from av.filter import Graph

    graph = Graph()
    first = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base=str(tick),
        colorspace=str(int(frame.colorspace)),
        range=str(int(frame.color_range)),
    )
    nodes = [graph.add(name, arguments or None) for name, arguments in steps]
    graph.link_nodes(first, *nodes, graph.add("buffersink")).configure()
    return graph


def _steps(frame: VideoFrame, look: Look, fields: bool) -> list[tuple[str, str]]:
    steps = [("bwdif", "mode=send_frame:parity=auto:deint=interlaced")] if fields else []
    turned = _turns(frame)
    steps += turned
    width, height, sar = frame.width, frame.height, look.sar
    if any(name == "transpose" for name, _ in turned):
        width, height, sar = height, width, 1 / sar
    if sar != 1:  # an even width, so that every format takes it
        square = int(width * sar / 2 + Fraction(1, 2)) * 2
        steps.append(("scale", f"w={square}:h={height}:flags=lanczos"))
    colours = f"flags={SCALING}"
    if look.guess:
        left = frame.width % 2 == 0 and "420" in frame.format.name
        large = is_large(frame.height, frame.width)
        colours += ":in_h_chr_pos=0" if left else ""
        colours += ":in_color_matrix=bt709" if large and frame.colorspace == 2 else ""
    pixels = "rgba" if look.alpha and has_alpha(frame) else "rgb24"
    return [*steps, ("scale", colours), ("format", pixels)]


def _turns(frame: VideoFrame) -> list[tuple[str, str]]:
    """Return the filters that turn it upright, as ffmpeg does by the file's display matrix."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return []
    matrix = struct.unpack("=9i", bytes(data))  # type: ignore[call-overload]
    across, down = hypot(matrix[0], matrix[3]), hypot(matrix[1], matrix[4])
    if not across or not down:
        return []
    angle = round(degrees(atan2(matrix[1] / down, matrix[0] / across))) % 360
    if angle == 90:
        return [("transpose", "dir=" + ("cclock_flip" if matrix[3] > 0 else "clock"))]
    if angle == 270:
        return [("transpose", "dir=" + ("clock_flip" if matrix[3] < 0 else "cclock"))]
    mirrored = [("hflip", "")] if matrix[0] < 0 and angle == 180 else []
    if angle in (0, 180):
        return mirrored + ([("vflip", "")] if matrix[4] < 0 else [])
    return [("rotate", f"a={angle * pi / 180}")]
