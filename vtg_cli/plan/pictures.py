"""The keyframes of a job: read from files or arrays, brought to the clip's size, alpha or not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import MediaError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.media import image
from vtg_cli.media.image import flattened

Frame = NDArray[np.uint8]
"""[H, W, 3] RGB or [H, W, 4] with straight alpha."""


@dataclass(frozen=True, eq=False)
class Still:
    """A keyframe: its name, fingerprint, own (height, width), pixels, and notes of reading it."""

    name: str
    sha256: str
    size: tuple[int, int]
    pixels: Frame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def has_alpha(self) -> bool:
        return bool(self.pixels.shape[2] == 4)


def from_files(names: Sequence[str]) -> list[Still]:
    """Read every picture, alpha kept where there is one. Raise MediaError for unreadable ones."""
    stills: dict[str, Still] = {}
    for name in names:
        if name not in stills:
            picture = image.read_picture(name)
            size = (picture.pixels.shape[0], picture.pixels.shape[1])
            stills[name] = Still(name, image.sha256_of(name), size, picture.pixels, picture.notes)
    return [stills[name] for name in names]


def from_arrays(names: Sequence[str], pictures: Sequence[Frame]) -> list[Still]:
    """Take pictures in memory. Raise MediaError unless uint8 [H, W, 3 or 4], not empty."""
    stills = []
    for name, pixels in zip(names, pictures, strict=True):
        shape = list(pixels.shape)
        if pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (3, 4) or 0 in shape:
            raise MediaError(
                f"{name} is {pixels.dtype} {shape}, not a picture",
                "pictures are uint8 [height, width, 3 or 4]",
                subject=name,
            )
        digest = hashlib.sha256(repr(shape).encode() + pixels.tobytes()).hexdigest()
        stills.append(Still(name, digest, (shape[0], shape[1]), pixels))
    return stills


def opaque(stills: Sequence[Still]) -> str | None:
    """Return the name of the first picture without transparency, if there is one."""
    return next((still.name for still in stills if not still.has_alpha), None)


def fitted(still: Still, job: Interpolate, height: int, width: int, alpha: bool) -> Still:
    """Fit the keyframe as it appears in the clip."""
    pixels = still.pixels if alpha else flattened(still.pixels, job.background)
    return replace(still, pixels=image.fit(pixels, height, width, job.fit, job.background))


def in_channels(pixels: Frame, channels: int, background: str) -> Frame:
    """Return the picture with 3 channels, laid on a colour, or with 4, opaque if it was."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return flattened(pixels, background)
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def notes(
    job: Interpolate, stills: Sequence[Still], height: int, width: int, alpha: bool
) -> Iterator[str]:
    """Yield what the user may not expect about these keyframes, a sentence each."""
    circle = [*stills, *stills[:1]] if job.loop and len(stills) > 1 else stills
    for first, last in pairwise(circle):
        if first.sha256 == last.sha256:
            sentence = f"{last.name} is the same picture as {first.name}"
            if first.name == last.name:
                sentence = f"{first.name} follows itself"
            yield f"{sentence}: the clip stands still between them"
    said_of: dict[str, list[str]] = {}
    for still in dict.fromkeys(stills):
        for note in still.notes:
            said_of.setdefault(note, []).append(still.name)
    for note, names in said_of.items():
        yield f"{', '.join(names)}: {note}"
    for still in dict.fromkeys(stills):
        clear = still.has_alpha and bool(np.min(still.pixels[..., 3]) < 255)
        yield from laid(job, still.name, still.size, clear, height, width, alpha)


def laid(
    job: Interpolate,
    name: str,
    size: tuple[int, int],
    clear: bool,
    height: int,
    width: int,
    alpha: bool,
) -> Iterator[str]:
    """Yield notes on a picture of a (height, width) in a clip of another. clear: parts of it
    are.
    """
    rows, columns = size
    if abs(columns * height - rows * width) > max(rows, columns):  # more than rounding
        how = {"crop": "cropped", "pad": "padded", "stretch": "stretched"}[job.fit]
        yield f"{name} ({columns}x{rows}) is {how} to {width}x{height} (--fit)"
    if not alpha and clear:
        yield f"transparent parts of {name} are laid on {job.background} (--background)"
