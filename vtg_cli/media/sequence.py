"""Numbered pictures read as a clip: a folder of them, or a pattern such as shot_%04d.png.

Any first number. The rate is asked for (25 frames a second otherwise), and a number that is missing
leaves its time to the picture before it. Pictures are read as keyframes are: upright, in sRGB.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtg_cli.errors import MediaError, UsageError, missing
from vtg_cli.ground.atomic import NUMBER
from vtg_cli.media.damage import Health
from vtg_cli.media.encoding import Input
from vtg_cli.media.image import read_picture, sha256_of
from vtg_cli.media.probe import Facts, Packet, Packets, Video, packets, probe
from vtg_cli.media.rates import USUAL
from vtg_cli.media.survey import Extent

if TYPE_CHECKING:
    from vtg_cli.media.filtering import Row

SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".exr", ".webp", ".bmp", ".ppm", ".pgm"),
    *(".pbm", ".avif", ".heic", ".heif", ".hif", ".jxl"),
}
_LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*\.[^.]+)", re.DOTALL)


@dataclass(frozen=True)
class Sequence:
    """Pictures with their numbers, in order.

    strays: names of pictures in its folder that do not belong to it
    """

    path: str
    files: dict[int, Path]
    strays: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Notes for the user: which numbers are missing, which pictures are left out."""
        return [*self._missing, *self._left_out]

    @property
    def _left_out(self) -> list[str]:
        if not self.strays:
            return []
        count = len(self.strays)
        named = ", ".join(self.strays[:3]) + (f" and {count - 3} more" if count > 3 else "")
        if count == 1:
            return [f"{named} in {self.path} is no part of the series and left out"]
        return [f"{count} pictures in {self.path} are no part of the series and left out: {named}"]

    @property
    def _missing(self) -> list[str]:
        gaps = [(a + 1, b - 1) for a, b in pairwise(self.files) if b > a + 1]
        if not gaps:
            return []
        named = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in gaps[:8])
        more = f" and {len(gaps) - 8} more gaps" if len(gaps) > 8 else ""
        return [f"{self.path} lacks {named}{more}: their time is kept"]


def is_sequence(path: str) -> bool:
    """Return whether a clip's name means numbered pictures: a folder, or a pattern."""
    place = Path(path)
    return path != "-" and (
        place.is_dir() or (bool(NUMBER.search(place.name)) and not place.exists())
    )


def found(path: str) -> Sequence:
    """Return the pictures of a folder or pattern. Raise MediaError: none; UsageError: unclear."""
    place = Path(path)
    folder = place if place.is_dir() else place.parent
    if not folder.is_dir():
        raise MediaError(missing(folder, "there is no folder"), subject=path)
    files = sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
    members = _of_folder(files, path) if place.is_dir() else _of_pattern(files, place)
    if not members:
        raise MediaError(
            f"{path} has no numbered pictures", "such as shot_0001.png, shot_0002.png", subject=path
        )
    numbers = dict(members)
    if len(numbers) < len(members):
        raise UsageError(f"{path} has two pictures of one number", "rename one", subject=path)
    taken = set(numbers.values())
    strays = [file.name for file in files if file not in taken] if place.is_dir() else []
    return Sequence(path, dict(sorted(numbers.items())), tuple(strays))


def _of_pattern(files: Iterable[Path], pattern: Path) -> list[tuple[int, Path]]:
    field = NUMBER.search(pattern.name)
    assert field is not None
    start, end = pattern.name[: field.start()], pattern.name[field.end() :]
    name = re.compile(f"{re.escape(start)}([0-9]+){re.escape(end)}")
    matches = ((name.fullmatch(file.name), file) for file in files)
    return [(int(match[1]), file) for match, file in matches if match]


def _of_folder(files: Iterable[Path], path: str) -> list[tuple[int, Path]]:
    """Return the one series among the files: names that differ in their last number alone."""
    series: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for file in files:
        if match := _LAST_NUMBER.fullmatch(file.name):
            series[f"{match[1]}%d{match[3]}"].append((int(match[2]), file))
    several = {name: members for name, members in series.items() if len(members) > 1}
    if len(several) > 1:
        raise UsageError(
            f"{path} holds {len(several)} sequences: {', '.join(sorted(several)[:4])}",
            f"name one: {Path(path) / min(several)}",
            subject=path,
        )
    return next(iter((several or series).values()), [])


def facts_of(source: Input) -> Facts:
    """Return what a clip holds, be it a file or a sequence. Raise MediaError or UsageError."""
    if not is_sequence(source.path):
        return probe(source.path)
    sequence, rate = found(source.path), source.fps or USUAL
    first, *others = sequence.files
    shape = read_picture(sequence.files[first]).pixels.shape
    last = others[-1] if others else first
    suffix = sequence.files[first].suffix.lower()
    video = Video(
        codec=suffix[1:],
        pixels="rgb24",
        width=shape[1],
        height=shape[0],
        sar=Fraction(1),
        rate=rate,
        range=None,
        matrix=None,
        primaries=None,
        transfer=None,
        turned=False,
        fields=False,
        alpha=suffix not in (".jpg", ".jpeg", ".jfif"),
    )
    extent = Extent(len(sequence.files), Fraction(0), (last - first + 1) / rate)
    return Facts(source.path, video, (), extent)


def packets_of(source: Input) -> Packets:
    """Return a clip's stored frames; those of a sequence take one tick each."""
    if not is_sequence(source.path):
        return packets(source.path)
    sequence = found(source.path)
    first = next(iter(sequence.files))
    stored = [Packet(k - first, k - first, 1, 1, key=True, shown=True) for k in sequence.files]
    return Packets(1 / (source.fps or USUAL), tuple(stored))


def rows(
    source: Input,
    health: Health,
    notes: list[str],
    *,
    after: Fraction | None,
    until: int | None,
    alpha: bool,
) -> Iterator[Row]:
    """Yield each picture with its time, as `clip.open_clip` does for the frames of a file.

    notes: gets what is missing and what is done to the first picture
    """
    sequence, rate = found(source.path), source.fps or USUAL
    first = next(iter(sequence.files))
    usual = f"{source.path} does not say its rate: 25 frames a second (--input-fps)"
    notes += [*([] if source.fps else [usual]), *sequence.notes]
    shown = 0
    for number, file in sequence.files.items():
        time = (number - first) / rate
        if after is not None and time < after:
            continue
        try:
            picture = read_picture(file)
        except MediaError as error:
            if not health.allowed:
                raise
            health.hurt(f"is damaged: {error.message}")
            continue
        if not shown:
            notes += [f"{file}: {note}" for note in picture.notes]
        pixels = picture.pixels
        if pixels.shape[2] == 3 and alpha:
            pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        yield pixels if alpha else np.ascontiguousarray(pixels[..., :3]), time, 1 / rate
        shown += 1
        if shown == until:
            return


def fingerprint(path: str) -> str:
    """Return the SHA-256 of a clip's file, or of the digests of all its pictures."""
    if not is_sequence(path):
        return sha256_of(path)
    digests = "".join(sha256_of(file) for file in found(path).files.values())
    return hashlib.sha256(digests.encode()).hexdigest()
