"""Names of a batch's clips: a template with fields in braces, such as {name}.mp4."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from string import Formatter

from vtg_cli.errors import UsageError
from vtg_cli.job.jobs import Interpolate

_WIDE = re.compile(r"[1-9]\d{3}")  # of a field: a million zeros would be made before refused

FIELDS = {
    "name": "of the item",
    "index": "its number, 1 and up; {index:04} with zeros",
    "first": "first keyframe's file name without its suffix",
    "last": "last keyframe's",
    "model": "as asked for",
    "seed": "as asked for",
}


def check(template: str) -> None:
    """Raise UsageError for a template that cannot be filled in."""
    filled(template, "name", 1, Interpolate(keyframes=("first.png", "last.png")))


def filled(template: str, name: str, index: int, job: Interpolate) -> str:
    """Return the output of an item, relative to the batch's folder. Raise UsageError."""
    values = {
        "name": name,
        "index": index,
        "first": Path(job.keyframes[0]).stem,
        "last": Path(job.keyframes[-1]).stem,
        "model": Path(job.model).name,
        "seed": job.sampling.seed,
    }
    try:
        parts = [part for part in Formatter().parse(template) if part[1] is not None]
        fields = [field for _, field, _, _ in parts]
        if any(_WIDE.search(width or "") for _, _, width, _ in parts):
            raise ValueError("a field is wider than any file name")
        unknown = [field for field in fields if field not in FIELDS]
        output = "" if unknown else template.format(**values)
    except (ValueError, IndexError, KeyError) as error:
        raise UsageError(
            f"--output-template {template}: {error}",
            "such as {name}.mp4 or {index:04}_{first}.mov",
            subject="--output-template",
        ) from None
    if unknown:
        raise UsageError(
            f"--output-template {template} has a field {{{unknown[0]}}} that is not known",
            f"known: {', '.join('{' + field + '}' for field in FIELDS)}",
            subject="--output-template",
        )
    path = PurePosixPath(output)
    if path.is_absolute() or ".." in path.parts or any(p.startswith(".") for p in path.parts):
        raise UsageError(
            f"the output {output} is not a plain name inside the batch's folder",
            "no absolute path, no .., no part that begins with a dot",
            subject=output,
        )
    return path.as_posix()
