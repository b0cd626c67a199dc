"""Folders of data read as cases: clips, pairs of pictures, in parts or not.

What is incomplete is left out and told by name; nothing is guessed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.evaluation.protocols.base import Case, Found
from vtg_cli.evaluation.shots import Shot, is_clip, length
from vtg_cli.ground import documents

ENDINGS = {"a": "b", "0": "1", "first": "last"}
"""Endings of a pair's names, as `vtg batch` reads them."""
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
CAPTIONS = "captions.csv"
"""File with the columns name,from,to beside pairs."""
_ENDED = re.compile(r"(.+)_(a|0|first)", re.IGNORECASE)
_ODD = re.compile(r"[^\w.+-]+")


def clips(folder: Path, frames: int | None, step: int = 1, start: int | None = 0) -> Found:
    """Read a folder of clips, those in folders below as well: files or folders of pictures."""
    cases, lacking = [], []
    for name, path in named_clips(folder).items():
        shot = Shot(path, frames, step, start)
        try:
            count = length(path)
        except (MediaError, UsageError) as error:
            lacking.append(error.message)
            continue
        if count is not None and count < shot.span + (start or 0):
            lacking.append(f"{path} has {count} frames of {shot.span}")
        else:
            cases.append(Case(name, truth=shot))
    return Found(tuple(cases), tuple(lacking) or _nothing(folder, cases, "clip"))


def named_clips(folder: Path) -> dict[str, Path]:
    """Return the clips of a folder and of those below by the names of their cases, in order.

    A clip is called by the folders it lies in and its own name; those that differ in their suffix
    alone get a number.
    """
    named: dict[str, Path] = {}
    for path in sorted(_clips_below(folder)):
        inside = path.relative_to(folder)
        parts = inside.parts if path.is_dir() else inside.with_suffix("").parts
        name, number = safe("_".join(parts)), 1
        while (name if number == 1 else f"{name}.{number}") in named:
            number += 1
        named[name if number == 1 else f"{name}.{number}"] = path
    return named


def pairs(folder: Path, group: str = "") -> Found:
    """Read a folder's NAME_a and NAME_b, NAME_0 and NAME_1, or NAME_first and NAME_last."""
    files = {
        each.stem.casefold(): each
        for each in sorted(folder.iterdir())
        if each.suffix.lower() in PICTURES
    }
    captions = _captions(folder / CAPTIONS)
    cases, lacking = [], []
    for stem, first in files.items():
        ended = _ENDED.fullmatch(stem)
        if ended is None:
            continue
        partner = f"{ended[1]}_{ENDINGS[ended[2]]}"
        if partner not in files:
            lacking.append(f"{first} has no {partner}")
            continue
        name = first.stem[: len(ended[1])]
        both = (first, files[partner])
        cases.append(Case(safe(name), ends=both, captions=captions.get(name, ()), group=group))
    return Found(tuple(cases), tuple(lacking) or _nothing(folder, cases, "pair"))


def parts(folder: Path, names: tuple[str, ...]) -> Found:
    """Read pairs in folders of their own, which are the table's parts."""
    cases: list[Case] = []
    lacking: list[str] = []
    for name in names:
        if not (folder / name).is_dir():
            lacking.append(f"there is no folder {folder / name}")
            continue
        found = pairs(folder / name, name)
        cases += [replace(case, name=f"{name}_{case.name}") for case in found.cases]
        lacking += found.lacking
    return Found(tuple(cases), tuple(lacking))


def safe(name: str) -> str:
    """Return a name that is plain in a file name, a URL and a table."""
    return _ODD.sub("_", name).lstrip(".-") or "clip"


def _clips_below(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if is_clip(path):
            yield path
        elif path.is_dir():
            yield from _clips_below(path)


def _nothing(folder: Path, cases: list[Case], what: str) -> tuple[str, ...]:
    return () if cases else (f"{folder} holds no {what}",)


def _captions(path: Path) -> dict[str, tuple[str, ...]]:
    """Read name -> (from, to). Raise UsageError for a file that is no such table."""
    if not path.is_file():
        return {}
    with documents.reading(path, UsageError, "its columns are name,from,to"):
        rows = csv.DictReader(documents.content_of(path).decode("utf-8-sig").splitlines())
        return {row["name"]: (row["from"], row["to"]) for row in rows}
