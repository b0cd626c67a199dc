"""Pictures that come end to end through a pipe: cut apart by their own marks, decoded as files are.

A stream that ends within a picture, or holds a picture of another kind, is damaged.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vtg_cli.errors import MediaError
from vtg_cli.media.image import Pixels, flattened, read_picture

if TYPE_CHECKING:
    from vtg_cli.media.damage import Health
    from vtg_cli.media.libav import Feed

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_BARE = {0x01, *range(0xD0, 0xD8)}  # JPEG markers without a length


class _CutError(Exception):
    """The stream ends within a picture."""


class _OtherError(Exception):
    """The bytes are not the start of such a picture."""


def arriving(
    feed: Feed, kind: str, health: Health, notes: list[str], *, alpha: bool
) -> Iterator[Pixels]:
    """Yield the pictures, "png" or "jpeg", of standard input as they arrive.

    notes: gets what reading does to them, each once
    alpha: keep transparency

    Raises MediaError if a picture is cut, damaged or of another kind.
    """
    stream = io.BufferedReader(feed)
    number = 0
    while True:
        number += 1
        try:
            data = _png(stream) if kind == "png" else _jpeg(stream)
        except _CutError:
            feed.check()
            health.hurt(f"ends in the middle of picture {number}")
            return
        except _OtherError:
            health.hurt(f"holds something that is no {kind} as picture {number}")
            return
        if not data:
            feed.check()
            return
        try:
            picture = read_picture(io.BytesIO(data), name=f"picture {number} of {health.name}")
        except MediaError:
            health.hurt(f"is damaged: picture {number} cannot be decoded")
            continue
        sentences = (f"{health.name}: {note}" for note in picture.notes)
        notes += [note for note in sentences if note not in notes]
        yield picture.pixels if alpha else flattened(picture.pixels, "white")


def _begins(stream: io.BufferedReader[Feed], mark: bytes) -> bool:
    """Return whether a picture begins here; False at the end."""
    head = stream.read(len(mark))
    if not head:
        return False
    if head != mark[: len(head)]:
        raise _OtherError
    if len(head) < len(mark):
        raise _CutError
    return True


def _take(stream: io.BufferedReader[Feed], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise _CutError
    return data


def _png(stream: io.BufferedReader[Feed]) -> bytes:
    """Read chunks up to the one that ends the picture; returns b"" at the end of the stream."""
    if not _begins(stream, _PNG):
        return b""
    parts, kind = [_PNG], b""
    while kind != b"IEND":
        head = _take(stream, 8)
        kind = head[4:]
        parts += [head, _take(stream, int.from_bytes(head[:4], "big") + 4)]
    return b"".join(parts)


def _jpeg(stream: io.BufferedReader[Feed]) -> bytes:
    """Read segments up to the end mark; thumbnails within a segment have marks of their own."""
    if not _begins(stream, _JPEG):
        return b""
    parts = [_JPEG]
    mark = _take(stream, 2)
    while mark != b"\xff\xd9":
        parts.append(mark)
        if mark[0] != 0xFF:
            raise _OtherError
        if mark[1] == 0xFF:  # padding
            mark = mark[1:] + _take(stream, 1)
            continue
        if mark[1] not in _BARE:
            length = _take(stream, 2)
            parts += [length, _take(stream, max(int.from_bytes(length, "big") - 2, 0))]
        mark = _scan(stream, parts) if mark[1] == 0xDA else _take(stream, 2)
    return b"".join([*parts, mark])


def _scan(stream: io.BufferedReader[Feed], parts: list[bytes]) -> bytes:
    """Read coded samples into `parts`; return the mark that follows them."""
    while True:
        ready = stream.peek()
        if not ready:
            raise _CutError
        place = ready.find(b"\xff")
        if place:
            parts.append(stream.read(len(ready) if place < 0 else place))
            continue
        mark = _take(stream, 2)
        if mark[1] not in {0x00, *_BARE}:
            return mark
        parts.append(mark)
