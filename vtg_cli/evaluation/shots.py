"""Frames of clips as arrays: of a file, a folder of numbered pictures, or a pattern of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import MediaError, naming
from vtg_cli.media import sequence
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.media.image import fit, read_image

Frames = NDArray[np.uint8]
"""[F, H, W, 3]"""


VIDEOS = {
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif", ".m4v", ".mpg", ".mpeg", ".ts", ".y4m"),
}


@dataclass(frozen=True)
class Shot:
    """Frames of a clip.

    path: a file, a folder of numbered pictures, or a pattern such as clip/%04d.png
    frames: how many; None: all
    step: every so many
    start: the first one; None: a place drawn from the path's last two names and the seed
    """

    path: Path
    frames: int | None = None
    step: int = 1
    start: int | None = 0

    @property
    def span(self) -> int:
        """Frames from the first to the last, both counted; 1 if all are taken."""
        return 1 if self.frames is None else (self.frames - 1) * self.step + 1


def read(shot: Shot, size: tuple[int, int] | None = None, seed: int = 0) -> Frames:
    """Read a shot, fitted to [H, W] `size`: scaled, and cut at the middle. Raise MediaError."""
    kept = [fit(frame, *size, "crop") if size else frame for frame in _pictures(shot, seed)]
    return np.stack(kept)


def length(path: Path) -> int | None:
    """Return how many numbered pictures a folder holds; None for a file, which would be read."""
    return len(sequence.found(str(path)).files) if sequence.is_sequence(str(path)) else None


def is_clip(path: Path) -> bool:
    """Return whether a name in a folder is that of a clip: a video, or a folder of pictures."""
    if path.is_dir():
        return any(each.suffix.lower() in sequence.SUFFIXES for each in path.iterdir())
    return path.suffix.lower() in VIDEOS and not path.name.startswith(".")


def _pictures(shot: Shot, seed: int) -> Iterator[NDArray[np.uint8]]:
    name = str(shot.path)
    if sequence.is_sequence(name):
        files = [*sequence.found(name).files.values()]
        yield from (read_image(files[i])[..., :3] for i in _numbers(shot, len(files), seed))
        return
    until = None if shot.start is None or shot.frames is None else shot.start + shot.span
    with open_clip(Input(path=name), until=until) as clip:
        frames = [each.pixels for each in clip.frames()]
    yield from (frames[i] for i in _numbers(shot, len(frames), seed))


def _numbers(shot: Shot, length: int, seed: int) -> range:
    room = length - shot.span - (shot.start or 0)
    if room < 0 or length == 0:
        with naming(str(shot.path)):
            raise MediaError(
                f"{length} frames, {shot.span + (shot.start or 0)} are needed", subject="frames"
            )
    start = (
        place_of("/".join(shot.path.parts[-2:]), seed) % (room + 1)
        if shot.start is None
        else shot.start
    )
    return range(start, length if shot.frames is None else start + shot.span, shot.step)


def place_of(name: str, seed: int) -> int:
    """Draw a large number that is a name's own, the same on every machine."""
    digest = hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "big")
