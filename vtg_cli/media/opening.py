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
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from vtg_cli.errors import MediaError

MAX_PIXELS = 178_956_970  # of one picture: half a GiB as RGB, and where Pillow refuses by itself

# Only these, in this order: others can run programs (eps) or guess without a signature (tga).
_READABLE = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIF")
_NAMES = "png, jpg, webp, bmp, gif, tiff, ppm, avif, heic"
_SIGNATURES = {
    "png": rb"\x89PNG",
    "jpg": rb"\xff\xd8\xff",
    "webp": rb"RIFF.{4}WEBP",
    "bmp": rb"BM.{4}\0{4}",
    "gif": rb"GIF8",
    "tiff": rb"II\*\0|MM\0\*",
    "avif": rb".{4}ftypavi[fs]",
}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """The open file, when it is a regular one with something in it."""
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
        what = "link to a missing file" if os.path.islink(path) else "such file"
        raise MediaError(f"no {what}: {name}", subject=name) from error
    except PermissionError as error:
        raise MediaError(f"no permission to read {name}", subject=name) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"cannot read {name}: {reason}", subject=name) from error
    with file:
        yield file


@contextmanager
def open_picture(path: str | os.PathLike[str], *, load: bool = True) -> Iterator[Image.Image]:
    """The picture with its pixels decoded or, without `load`, with its header read.

    Raises:
        MediaError: whatever is wrong with the file, and memory running out in the block.
    """
    with open_file(path) as file, picture_in(file, os.fspath(path), load=load) as image:
        yield image


@contextmanager
def picture_in(file: BinaryIO, name: str, *, load: bool = True) -> Iterator[Image.Image]:
    """Open the picture that bytes hold, as `open_picture` does. MediaError, which says `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _decoded(file, name, load) as image:
                yield image
        except MemoryError as error:
            raise MediaError(f"{name} needs more memory than there is", subject=name) from error


def _decoded(file: BinaryIO, name: str, load: bool) -> Image.Image:
    try:
        image = Image.open(file, formats=_formats(file, name))
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if image.width < 1 or image.height < 1:
            raise MediaError(f"{name} has no pixels", subject=name)
        if load:
            image.load()
        return image
    except (MediaError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise MediaError(
            f"{name} has more than {MAX_PIXELS / 1e6:.0f} megapixels, the limit for a picture",
            "make it smaller with an image editor",
            subject=name,
        ) from error
    except UnidentifiedImageError as error:
        raise _unidentified(name, file) from error
    except Exception as error:  # decoders raise anything when bytes make no sense
        raise MediaError(
            f"{name} is damaged or cut short", "make or download it again", subject=name
        ) from error


def _formats(file: BinaryIO, name: str) -> list[str]:
    """Pillow's names of what may be read; learns heic first when the file is one."""
    if _is_heic(_head(file)):
        try:
            import pillow_heif
        except ImportError as error:
            raise MediaError(
                f"{name} is a heic picture, which needs an extra package",
                "pip install 'vtg-cli[heif]'",
                subject=name,
            ) from error
        pillow_heif.register_heif_opener()
    Image.init()
    return [form for form in _READABLE if form in Image.OPEN]


def _unidentified(name: str, file: BinaryIO) -> MediaError:
    head = _head(file)
    for kind, start in _SIGNATURES.items():
        if re.match(start, head, re.DOTALL):
            return MediaError(
                f"{name} starts like {kind}, but is damaged or of an unknown kind",
                f"open it and save it again as png or jpg; readable are {_NAMES}",
                subject=name,
            )
    return MediaError(
        f"{name} is not a picture that can be read", f"readable are {_NAMES}", subject=name
    )


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    return head


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS and b"avif" not in head
