"""Scene cuts and repeated frames of a clip, told while it streams.

Cuts are PySceneDetect's: its AdaptiveDetector compares the change into a frame with the changes
around it, so that a fast pan is none. It looks two frames ahead, and so much is held back here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vtg_cli.media.clip import Timed

AHEAD = 2  # frames the detector wants to see on either side
LOOKED_AT = 256  # columns or rows at most that it is shown
SAME = 1  # of 255: mean change that the worst block of a repeated frame may have
ALIKE = 5  # and in a clip that moves otherwise, for what a coder leaves of it,
MOVES = 8  # so many times as much
BLOCK = 8  # pixels
STILL = Fraction(1, 4)  # seconds from which a picture that stays is meant to stay


@dataclass(frozen=True, eq=False)
class Span:
    """The time from `start` to `end`, in seconds, between two pictures.

    first: the picture it begins with
    last: the picture it leads to; None: it stands still
    cut: a scene ends with it
    """

    first: NDArray[np.uint8]
    last: NDArray[np.uint8] | None
    start: Fraction
    end: Fraction
    cut: bool = False


def with_cuts(
    frames: Iterator[Timed], kind: Literal["adaptive", "content"] = "adaptive"
) -> Iterator[tuple[Timed, bool]]:
    """Yield every frame and whether a new scene begins with it. Holds two frames back.

    kind: of PySceneDetect's detectors; "content" looks at the change alone and holds none back
    """
    from scenedetect import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector, ContentDetector

    if kind == "content":
        content = ContentDetector(min_scene_len=1)
        for number, frame in enumerate(frames):
            cut = content.process_frame(FrameTimecode(number, 25.0), _small(frame.pixels))
            yield frame, bool(cut)
        return
    detector = AdaptiveDetector(min_scene_len=1, window_width=AHEAD)
    held: deque[Timed] = deque()
    seen = 0

    def shown(frame: Timed) -> bool:
        """Return whether the frame two before this one opens a scene."""
        nonlocal seen
        seen += 1
        small = _small(frame.pixels)
        return bool(detector.process_frame(FrameTimecode(seen, 25.0), small))

    for frame in frames:
        if not seen:  # as if it had stood there before
            for _ in range(AHEAD):
                shown(frame)
        cut = shown(frame)
        held.append(frame)
        if len(held) > AHEAD:
            yield held.popleft(), cut
    while held:
        cut = shown(frame)
        yield held.popleft(), cut


def spans(frames: Iterator[tuple[Timed, bool]], *, smooth: bool, step: Fraction) -> Iterator[Span]:
    """Cut the clip's time into pieces that each lie between two pictures or stand still.

    smooth: pass over repeated frames, to the next picture that differs
    step: seconds a frame of the clip usually lasts

    A picture that stays for longer than STILL, repeated or by its time, is left standing until the
    step before the next one. Holds two pictures.
    """
    first: NDArray[np.uint8] | None = None
    start = still_until = end = Fraction(0)
    lately: deque[float] = deque(maxlen=12)  # changes of pictures that did differ
    resting = False  # it has stood for longer than STILL
    for frame, cut in frames:
        end = frame.time + frame.lasts
        if first is None:
            first, start, still_until = frame.pixels, frame.time, frame.time
            continue
        changed = change(first, frame.pixels) if smooth and not cut else 255.0
        if changed <= SAME or (changed <= ALIKE and changed * MOVES <= max(lately, default=0)):
            still_until = frame.time
            resting = resting or still_until - start > STILL
            if resting:
                yield Span(first, None, start, still_until)
                start = still_until
            continue
        lately.append(0 if cut else changed)
        leaves = start
        if not cut and frame.time - start > STILL:
            leaves = max(still_until, frame.time - step)
            yield Span(first, None, start, leaves)
        yield Span(first, None if cut else frame.pixels, leaves, frame.time, cut)
        first, start, still_until = frame.pixels, frame.time, frame.time
        resting = False
    if first is not None:
        yield Span(first, None, start, end)


def visible(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGBA with its colours multiplied by alpha, so that hidden ones are black; RGB as is.

    Two pictures look the same where these results are.
    """
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:]
    colours = (pixels[..., :3].astype(np.uint16) * alpha + 127) // 255
    return np.concatenate([colours.astype(np.uint8), alpha], axis=2)


def change(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the mean difference within the block of the picture that changed most, 0 to 255."""
    import cv2

    height, width = (max(1, side // BLOCK) for side in first.shape[:2])
    difference = cv2.absdiff(visible(first), visible(second))
    blocks = cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA)
    return float(np.max(blocks))


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # red and blue are in each other's place for it, which turns all hues and no difference of two
    every = max(1, -(-max(pixels.shape[:2]) // LOOKED_AT))
    seen = visible(pixels[::every, ::every])
    if seen.shape[2] == 4:  # on grey, where both black and white show
        seen = seen[..., :3] + ((255 - seen[..., 3:]) >> 1)
    return np.ascontiguousarray(seen)
