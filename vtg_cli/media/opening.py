"""Opening a picture file, with one clear sentence for everything that can be wrong with it.

Pillow's warnings stay inside, its global limits are not touched, and only picture formats with a
signature are tried. One thing escapes: libtiff may print a line of its own about a damaged tiff,
and silencing it would take redirecting the stderr of the whole process.
"""

from __future__ import annotations

import io
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import IO

from PIL import Image, ImageFile, UnidentifiedImageError

from vtg_cli.errors import MediaError, missing
from vtg_cli.media import budget, headers, plugins, tiff

# Only these, in this order: others can run programs (eps) or guess without a signature (tga).
_READABLE = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIF", "JXL")
_NAMES = "png, jpg, webp, bmp, gif, tiff, ppm, avif, heic, jxl, exr"
_SIGNATURES = {
    "png": rb"\x89PNG",
    "jpg": rb"\xff\xd8\xff",
    "webp": rb"RIFF.{4}WEBP",
    "bmp": rb"BM.{4}\0{4}",
    "gif": rb"GIF8",
    "tiff": rb"II\*\0|MM\0\*",
    "avif": rb".{4}ftypavi[fs]",
    "jxl": rb"\xff\x0a|\0\0\0\x0cJXL ",
}

_CLIPS = re.compile(
    rb".{4}ftyp(?!avi[fs]|he|mif1|msf1|crx)|\x1a\x45\xdf\xa3|RIFF.{4}AVI |YUV4MPEG2|nut/multimedia|"
    rb"OggS|FLV|\0\0\x01[\xb3\xba]|\x06\x0e\x2b\x34|\x30\x26\xb2\x75",
    re.DOTALL,
)
"""First bytes of clips: mp4, mkv, avi, y4m, nut, ogg, flv, mpeg, mxf, wmv."""


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """Open a regular file that is not empty. Raise MediaError for anything else."""
    name = os.fspath(path)
    try:
        facts = os.stat(path)
        if stat.S_ISDIR(facts.st_mode):
            raise MediaError(f"{name} is a folder, not a picture", subject=name)
        if not stat.S_ISREG(facts.st_mode):
            raise MediaError(f"{name} is not a regular file", subject=name)
        if facts.st_size == 0:
            raise MediaError(f"{name} is empty (0 bytes)", subject=name)
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError as error:
        raise MediaError(missing(name, "no such file:"), subject=name) from error
    except PermissionError as error:
        raise MediaError(f"no permission to read {name}", subject=name) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"cannot read {name}: {reason}", subject=name) from error
    with file:
        yield file


@dataclass(frozen=True, eq=False)
class Opened:
    """A picture, what of its file is left out (`headers.notes`), and the file."""

    image: Image.Image
    notes: tuple[str, ...]
    file: IO[bytes]


@contextmanager
def open_picture(
    source: str | os.PathLike[str] | IO[bytes], *, name: str | None = None
) -> Iterator[Opened]:
    """Open a picture with its pixels decoded.

    source: a file's path, or an open binary file that messages call `name`

    Raises:
        MediaError: whatever is wrong with the file, and memory running out in the block.
    """
    if isinstance(source, str | os.PathLike):
        name = name or os.fspath(source)
        opened: AbstractContextManager[IO[bytes]] = open_file(source)
    else:
        name, opened = name or "the picture", nullcontext(source)
    with opened as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            opened_picture = _decoded(file, name)
            with opened_picture.image:
                yield opened_picture
        except MemoryError as error:
            raise MediaError(f"{name} needs more memory than there is", subject=name) from error


def _decoded(file: IO[bytes], name: str) -> Opened:
    try:
        if headers.is_raw(file):
            raise MediaError(
                f"{name} is a camera's raw file, of which only the preview could be read",
                "develop it to tiff, png or jpg first",
                subject=name,
            )
        plugins.learn(file, name)
        Image.init()
        file.seek(0)
        image: ImageFile.ImageFile = Image.open(
            file, formats=[kind for kind in _READABLE if kind in Image.OPEN]
        )
        if tiff.is_misread(image):
            return Opened(*tiff.read(file, name), file)
        if image.width < 1 or image.height < 1:
            raise MediaError(f"{name} has no pixels", subject=name)
        budget.check(image, file, name)
        _right_transparency(image)
        notes = headers.notes(image, file)
        image.load()
        return Opened(image, notes, file)
    except (MediaError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        budget.check_bytes(name, (budget.PIXELS + 1, 1), 0)
        raise AssertionError from error  # that has raised
    except UnidentifiedImageError as error:
        if kind_of(file) != "tiff":
            raise _unidentified(name, file) from error
        return Opened(*tiff.read(file, name), file)
    except Exception as error:  # decoders raise anything when bytes make no sense
        raise MediaError(
            f"{name} is damaged or cut short", "make or download it again", subject=name
        ) from error


def _right_transparency(image: ImageFile.ImageFile) -> None:
    """Scale a png's transparent grey as Pillow scales its pixels of 2 and 4 bits."""
    clear = image.info.get("transparency")
    if image.format != "PNG" or image.mode not in ("L", "RGB") or clear is None:
        return
    stored = image.tile[0].args
    if image.mode == "L" and isinstance(clear, int):
        bits = {"L;2": 2, "L;4": 4}.get(str(stored), 8)
        highest = (1 << bits) - 1
        image.info["transparency"] = (clear & highest) * 255 // highest
    elif stored == "RGB":
        image.info["transparency"] = tuple(value & 255 for value in clear)


def kind_of(file: IO[bytes]) -> str | None:
    """Return the kind of picture that the file's first bytes look like."""
    file.seek(0)
    head = file.read(64)
    return next((k for k, start in _SIGNATURES.items() if re.match(start, head, re.DOTALL)), None)


def _unidentified(name: str, file: IO[bytes]) -> MediaError:
    if kind := kind_of(file):
        return MediaError(
            f"{name} starts like {kind}, but is damaged or of an unknown kind",
            f"open it and save it again as png or jpg; readable are {_NAMES}",
            subject=name,
        )
    file.seek(0)
    if _CLIPS.match(file.read(64)):
        return MediaError(
            f"{name} is a clip, not a picture",
            "vtg slow, vtg retime and vtg bridge take clips",
            subject=name,
        )
    return MediaError(
        f"{name} is not a picture that can be read", f"readable are {_NAMES}", subject=name
    )
