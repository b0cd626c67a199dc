"""A folder of pictures as pairs of first and last keyframes, by rules that never guess.

    NAME_a   and NAME_b        make NAME
    NAME_0   and NAME_1        make NAME
    NAME_first and NAME_last   make NAME
    --chain: every file and the next one, in natural order, make FIRST-LAST

Upper and lower case are alike in the endings. What has no partner, or more than one, is an error
that names it: a stray file must not shift the pairs behind it.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.ground.spelling import spelled
from vtg_cli.ground.units import counted

ENDINGS = {"a": "b", "0": "1", "first": "last"}
PICTURES = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".webp", ".tif", ".tiff"),
    *(".bmp", ".gif", ".avif", ".heic", ".heif", ".hif", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".jfif", ".apng", ".mpo", ".jxl", ".exr"),
}
_ENDED = re.compile(r"(.+)_(a|b|0|1|first|last)", re.IGNORECASE | re.DOTALL)
LEFT_OUT = "left out, not pictures:"
SHOWN = 8
"""Most names that an error gives."""


@dataclass(frozen=True)
class Pair:
    """A pair of pictures. under: its folder relative to the batch's, with /; "" is that one."""

    name: str
    first: Path
    last: Path
    under: str = ""


@dataclass(frozen=True)
class Found:
    """The pairs found. rules: a sentence for each rule that found something, and each file left."""

    pairs: tuple[Pair, ...]
    rules: tuple[str, ...]


def pairs_in(folder: Path, *, chain: bool) -> Found:
    """Find a folder's pairs, in natural order. Raise UsageError for strays, or MediaError."""
    try:
        files = [Path(each.path) for each in os.scandir(folder) if each.is_file()]
    except OSError as error:
        raise MediaError(f"cannot read {folder}: {error.strerror}", subject=str(folder)) from error
    files = sorted((file for file in files if not file.name.startswith(".")), key=_natural)
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    others = [file.name for file in files if file not in set(pictures)]
    if not pictures:
        raise UsageError(f"{folder} has no pictures in it", subject=str(folder))
    _refuse_twins(folder, pictures)
    paired = _chain(folder, pictures) if chain else _by_ending(folder, pictures)
    left = (f"{LEFT_OUT} {_listed(others)}",) if others else ()
    return Found(paired.pairs, (*paired.rules, *left))


def pairs_below(folder: Path, *, chain: bool, without: Path | None = None) -> Found:
    """Find the pairs of a folder and of all below it, each by itself, in natural order.

    without: a folder to leave out with what is below it

    Raises UsageError or MediaError.
    """
    pairs: list[Pair] = []
    left: list[str] = []
    folders = 0
    for place in _folders(folder, without):
        under = "" if place == folder else place.relative_to(folder).as_posix()
        if place != folder and place.is_symlink():
            left.append(f"left out, a link to a folder: {under}")
        elif any(_is_picture(file) for file in place.iterdir()):
            paired = pairs_in(place, chain=chain)
            pairs += (replace(pair, under=under) for pair in paired.pairs)
            left += (f"{place}: {rule}" for rule in paired.rules if rule.startswith(LEFT_OUT))
            folders += 1
    if not pairs:
        raise UsageError(f"{folder} has no pictures in it or below", subject=str(folder))
    summary = f"{_pairs(len(pairs))} in {counted(folders, 'folder')} of {folder}"
    return Found(tuple(pairs), (summary, *left))


def _folders(folder: Path, without: Path | None) -> Iterator[Path]:
    """Yield the folder and those below it, links among them but not what they lead to."""
    if without is not None and without.exists() and without.samefile(folder):
        return
    yield folder
    try:
        below = [Path(each.path) for each in os.scandir(folder) if each.is_dir()]
    except OSError as error:
        raise MediaError(f"cannot read {folder}: {error.strerror}", subject=str(folder)) from error
    for each in sorted(below, key=_natural):
        if each.is_symlink():
            yield each
        elif not each.name.startswith("."):
            yield from _folders(each, without)


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURES and not file.name.startswith(".") and file.is_file()


def _by_ending(folder: Path, pictures: Sequence[Path]) -> Found:
    families: dict[str, dict[str, Path]] = defaultdict(dict)
    stray: list[str] = []
    for file in pictures:
        if (parts := _ENDED.fullmatch(spelled(file.stem))) is None:
            stray.append(file.name)
        elif (ending := parts[2].lower()) in families[parts[1]]:
            twin = families[parts[1]][ending].name
            raise _ambiguous(folder, [twin, file.name])
        else:
            families[parts[1]][ending] = file
    pairs: list[Pair] = []
    counts = dict.fromkeys(ENDINGS, 0)
    for name, family in families.items():
        rules = [a for a, b in ENDINGS.items() if {a, b} <= family.keys()]
        if len(rules) > 1:
            raise _ambiguous(folder, [file.name for file in family.values()])
        used = {rules[0], ENDINGS[rules[0]]} if rules else set()
        stray += [file.name for ending, file in family.items() if ending not in used]
        for rule in rules:
            pairs.append(Pair(name, family[rule], family[ENDINGS[rule]]))
            counts[rule] += 1
    if stray:
        one = len(stray) == 1
        raise UsageError(
            f"{folder}: no partner for {_listed(sorted(stray))}",
            f"rename or remove {'it' if one else 'them'}; the rules are NAME_a with NAME_b, NAME_0 "
            "with NAME_1, NAME_first with NAME_last, or --chain for consecutive files",
            subject=str(folder / stray[0]),
        )
    found_by = [f"NAME_{a} with NAME_{ENDINGS[a]}: {_pairs(n)}" for a, n in counts.items() if n]
    return Found(tuple(pairs), tuple(found_by))


def _chain(folder: Path, pictures: Sequence[Path]) -> Found:
    if len(pictures) < 2:
        raise UsageError(
            f"{folder}: no partner for {pictures[0].name}", "--chain needs two pictures or more"
        )
    for before, after in pairwise(pictures):
        if _natural(before)[0] == _natural(after)[0]:  # 1.png and 01.png
            raise _ambiguous(folder, [before.name, after.name])
    pairs = [Pair(f"{a.stem}-{b.stem}", a, b) for a, b in pairwise(pictures)]
    ends = f"from {pictures[0].name} to {pictures[-1].name}"
    rules = [f"each file with the next, {ends}: {_pairs(len(pairs))}"]
    gaps = [f"{a.name} and {b.name}" for a, b in pairwise(pictures) if _gap(a.stem, b.stem)]
    rules += [f"numbers are missing between {_listed(gaps)}"] if gaps else []
    return Found(tuple(pairs), tuple(rules))


def _gap(first: str, last: str) -> bool:
    """Return whether two names differ in their last number alone, by more than one."""
    a, b = (re.fullmatch(r"(.*?)([0-9]+)", name, re.DOTALL) for name in (first, last))
    return bool(a and b and a[1] == b[1] and int(b[2]) - int(a[2]) > 1)


def _refuse_twins(folder: Path, pictures: Iterable[Path]) -> None:
    stems: dict[str, Path] = {}
    for file in pictures:
        if file.stem in stems:
            raise _ambiguous(folder, [stems[file.stem].name, file.name])
        stems[file.stem] = file


def _ambiguous(folder: Path, names: Sequence[str]) -> UsageError:
    return UsageError(
        f"{folder}: {_listed(sorted(names))} could mean the same pair",
        "rename or remove what is not wanted",
        subject=str(folder / names[0]),
    )


def _natural(file: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key: numbers by value, so 9 before 10; the whole name breaks ties."""
    parts = re.split(r"([0-9]+)", file.stem)
    key = [(0, int(p), "") if i % 2 else (1, 0, p) for i, p in enumerate(parts) if p]
    return key, file.name


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count} pairs"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
