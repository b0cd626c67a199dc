"""The destination that ffmpeg writes to, and how that becomes the output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vtg_cli.ground.atomic import replacing, replacing_sequence
from vtg_cli.media.beside import note, ours, sidecar_path
from vtg_cli.media.encoding import Encoding
from vtg_cli.media.formats import Format
from vtg_cli.media.webp import replace_frames


@dataclass
class Destination:
    """A place that ffmpeg writes to. name: for ffmpeg; written: frames, once all are."""

    name: str
    written: int = 0


@contextmanager
def destination(output: str, form: Format, encoding: Encoding) -> Iterator[Destination]:
    """Yield where to write; it becomes `output` on a clean exit. Raise MediaError as `atomic`."""
    if output == "-":
        yield Destination("pipe:1")
    elif form.name != "png":
        with replacing(output, overwrite=encoding.overwrite) as draft:
            yield Destination(f"file:{draft}")  # a colon in a name would start a protocol
            if form.name == "webp":
                replace_frames(draft)
    else:
        older = ours(output) if encoding.overwrite else ()
        with replacing_sequence(output, ours=older) as pattern:
            folder = str(pattern.parent).replace("%", "%%")
            place = Destination(f"file:{folder}/{pattern.name}")
            yield place
            report = sidecar_path(output)
            if report is not None and encoding.sidecar and encoding.metadata:
                (pattern.parent / report.name).write_bytes(note(output, place.written))
