"""Damage of a clip: whether its file is all there, and what was lost while reading it.

`cut_short` goes by the sizes a container states, and decodes no picture: only what a file says of
itself counts, a size reaching beyond its end. A container that states none (an MPEG stream cut
between two packets) is taken for whole.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO

from vtg_cli.errors import MediaError

HINT = "make or download it again, or take what is there with --allow-damaged"

_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"sidx", b"mfra"}
_SEGMENT = b"\x18\x53\x80\x67"
_TS, _DV = 188, {0: 120_000, 0x80: 144_000}  # bytes: of a packet; of a frame, 60 or 50 fields


@dataclass
class Health:
    """The faults met in a clip as far as it was read. The first one raises unless `allowed`.

    name: of the clip, as the user calls it
    lost: frames that could not be decoded, or came out damaged
    first: what the first fault was
    """

    name: str
    allowed: bool
    lost: int = 0
    first: str = ""

    def hurt(self, what: str) -> None:
        """Count a fault, or raise MediaError: `what` continues the sentence after the name."""
        if not self.allowed:
            raise MediaError(f"{self.name} {what}", HINT, subject=self.name)
        self.lost += 1
        self.first = self.first or what

    @property
    def said(self) -> str:
        """The damage in one sentence; empty if there is none."""
        if not self.first:
            return ""
        more = f", {self.lost} faults in all" if self.lost > 1 else ""
        return f"{self.name} {self.first}{more}: what is there is used"


def cut_short(file: IO[bytes]) -> bool:
    """Return whether the file ends before the end that it states; it is read from its start."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(4096)
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little") > size and head[4:8] != b"\xff" * 4
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska(head) > size
    if head[4:8] in _BOXES:
        return _boxes(file, size)
    if head[:3] == b"GIF":
        return _gif(file, size)
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(file, size)
    if head[:4] == b"OggS":
        return _ogg(file, size)
    if head[:3] == b"\x1f\x07\x00":
        return size % _DV[head[3] & 0x80] != 0
    return _transport(head, size)


def _boxes(file: IO[bytes], size: int) -> bool:
    """Return whether an mp4 or mov file ends within one of its boxes."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if head[4:8] not in _BOXES or length == 0:  # 0: to the end of the file
            return False
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        place += max(length, 8)
    return place > size


def _matroska(head: bytes) -> int:
    """Return where the segment ends; 0 where its length is not stated, as in a live recording."""
    place = head.find(_SEGMENT) + len(_SEGMENT)
    if place < len(_SEGMENT) or place >= len(head) or head[place] == 0:
        return 0
    width = 9 - head[place].bit_length()
    value = int.from_bytes(head[place : place + width], "big") & ((1 << 7 * width) - 1)
    return 0 if value == (1 << 7 * width) - 1 else place + width + value


def _gif(file: IO[bytes], size: int) -> bool:
    """Return whether a gif ends within a block; one that lacks only its last byte is whole."""

    def table(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    file.seek(0)
    head = file.read(13)
    if len(head) < 13:
        return True
    file.seek(table(head[10]), os.SEEK_CUR)
    while kind := file.read(1):
        if kind == b",":
            header = file.read(9)
            if len(header) < 9:
                return True
            file.seek(table(header[8]) + 1, os.SEEK_CUR)
        elif kind == b"!":
            file.seek(1, os.SEEK_CUR)
        else:
            return False
        while True:
            length = file.read(1)
            if not length or file.tell() + length[0] > size:
                return True
            if length == b"\0":
                break
            file.seek(length[0], os.SEEK_CUR)
    return file.tell() > size


def _png(file: IO[bytes], size: int) -> bool:
    place = 8
    while place + 8 <= size:
        file.seek(place)
        head = file.read(8)
        place += 12 + int.from_bytes(head[:4], "big")
        if head[4:8] == b"IEND":
            return place > size
    return True


def _ogg(file: IO[bytes], size: int) -> bool:
    """Return whether an ogg file ends within its last page, which alone is looked at."""
    tail = max(0, size - (1 << 17))
    file.seek(tail)
    data = file.read()
    last = data.rfind(b"OggS")
    if last < 0 or last + 27 > len(data):
        return True
    segments = data[last + 26]
    lengths = data[last + 27 : last + 27 + segments]
    return len(lengths) < segments or last + 27 + segments + sum(lengths) > len(data)


def _transport(head: bytes, size: int) -> bool:
    """Return whether an MPEG transport stream ends within a packet; it may begin within one."""
    for first in range(min(_TS, len(head))):
        syncs = head[first::_TS]
        if len(syncs) >= 4 and set(syncs) == {0x47}:
            return (size - first) % _TS != 0
    return False
