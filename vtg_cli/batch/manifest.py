"""The items of a batch: from a folder of pairs, a manifest, or reports of earlier runs.

A manifest says for every clip what differs from the command line's options, by their names there:

    .csv     a header line in any case; first,last or keyframes with | between; empty cells say
             nothing
    .jsonl   an object a line
    .toml    options for all at the top, an [[item]] for each clip

Paths in it are relative to its folder. Every item is checked before the first is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtg_cli.batch.item import Item, single
from vtg_cli.batch.naming import check, filled
from vtg_cli.batch.pairs import PICTURES, Found, pairs_below, pairs_in
from vtg_cli.batch.rows import Row, rows
from vtg_cli.batch.store import files_of
from vtg_cli.errors import UsageError, naming
from vtg_cli.ground.spelling import on_disk
from vtg_cli.job.document import from_json, to_json
from vtg_cli.job.keywords import OPTIONS, job_of
from vtg_cli.media import encoding
from vtg_cli.media.beside import older_path, sidecar_path
from vtg_cli.media.formats import FILES

if TYPE_CHECKING:
    from vtg_cli.job.keywords import Options

OWN = ("name", "keyframes", "first", "last", "prompt", "from", "to")
"""Names an item can give beside the options of the command line."""
NOT_HERE = ("keyframes", "output", "format", "overwrite", "skip_existing")
"""Options that are the batch's, not an item's."""


@dataclass(frozen=True)
class Source:
    """The items of a batch. rules: how they were found, a sentence each."""

    items: tuple[Item, ...]
    rules: tuple[str, ...] = ()


def read(
    sources: Sequence[str],
    options: Options,
    *,
    template: str | None = None,
    chain: bool = False,
    recursive: bool = False,
    place: str | None = None,
) -> Source:
    """Read the items of a batch, in order. Raise UsageError or MediaError for the first wrong one.

    options: hold for all items that say nothing else
    template: see naming
    recursive: the folders below the one as well, but for `place`, where the clips go
    """
    shape = template or "{name}.mp4"
    check(shape)
    paths = [Path(source) for source in sources]
    if all(path.suffix.lower() == ".json" for path in paths):
        return Source(_distinct(_reports(paths, template)))
    if len(paths) != 1:
        raise UsageError(
            f"one folder or one manifest makes a batch, {len(paths)} given",
            "several are possible only of .json reports",
            subject="SOURCE",
        )
    path = paths[0]
    if path.is_dir():
        reports = sorted(each for each in path.glob("*.json") if not each.name.startswith("."))
        if reports and not (chain or recursive) and not _has_pictures(path):
            return Source(_distinct(_reports(reports, template)))
        if recursive:
            pairs = pairs_below(path, chain=chain, without=Path(place) if place else None)
        else:
            pairs = pairs_in(path, chain=chain)
        return Source(_distinct(_paired(pairs, options, shape)), pairs.rules)
    for flag, wanted in (("--chain", chain), ("--recursive", recursive)):
        if wanted:
            raise UsageError(f"{flag} is for a folder of pictures", subject=flag)
    listed = _cells(path) if path.suffix.lower() == ".csv" else rows(path)
    items = _items(listed, path.parent, options, shape)
    return Source(_distinct(items))


def shard(items: Sequence[Item], which: str) -> tuple[Item, ...]:
    """Return every n-th item from the i-th on, for "i/n" with i from 1 to n. Raise UsageError."""
    number, slash, count = which.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal()) or not (
        1 <= int(number) <= int(count)
    ):
        raise UsageError(
            f"--shard {which} is not a part of the whole",
            "1/8 to 8/8; with SLURM --array=1-8 and "
            "--shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT",
            subject="--shard",
        )
    return tuple(items[int(number) - 1 :: int(count)])


def check_outputs(items: Sequence[Item], sources: Sequence[str], place: str) -> None:
    """Raise UsageError for the first output in `place`, a folder, that would replace a picture of
    any item, or the manifest.
    """
    inputs = {name for item in items for name in item.job.keyframes}
    identities = {_identity(name) for name in (*inputs, *sources)} - {None}
    for item in items:
        standing: list[Path] = []
        with suppress(OSError, ValueError):  # the item's own failure, told when its turn comes
            standing = files_of(Path(place) / item.output)
        for file in standing:
            if _identity(file) in identities:
                raise UsageError(
                    f"{item.name}: its output {file} is one of the inputs",
                    "another folder with -o, or other names with --output-template",
                    subject=item.output,
                )


def _identity(name: str | Path) -> tuple[int, int] | None:
    """Return what two names of one file share, links followed; None if it is not there."""
    try:
        status = os.stat(name)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _items(
    rows: Iterable[tuple[str, Row]], folder: Path, options: Options, template: str
) -> Iterator[tuple[str, Item]]:
    """Yield (where it stands, item) for every row."""
    for index, (where, row) in enumerate(rows, start=1):
        with naming(where):
            item = _item(row, folder, options, template, index)
        yield where, item


def _paired(pairs: Found, options: Options, template: str) -> Iterator[tuple[str, Item]]:
    """Yield the items of a folder's pairs, whose outputs lie in folders like theirs."""
    for index, pair in enumerate(pairs.pairs, start=1):
        where = f"{pair.first.parent}: {pair.first.name}"
        under = f"{pair.under}/" if pair.under else ""
        row = {"name": pair.name, "first": pair.first, "last": pair.last}
        shape = under.replace("{", "{{").replace("}", "}}") + template
        with naming(where):
            item = _item(row, Path(), options, shape, index)
        yield where, replace(item, name=under + item.name)


def _item(row: Row, folder: Path, options: Options, template: str, index: int) -> Item:
    allowed = [name for name in OPTIONS if name not in NOT_HERE]
    for name in row:
        if name not in (*allowed, *OWN):
            close = get_close_matches(name, [*allowed, *OWN], n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            raise UsageError(f"{name} is not known", f"{meant}see docs/batch.md", subject=name)
    names = [str(_picture(folder, name)) for name in _keyframes(row)]
    own_options = {name: value for name, value in row.items() if name not in OWN}
    own_options |= _captions(row)
    try:
        job = job_of(names, {**options, **own_options})  # type: ignore[typeddict-item]
        job = single(from_json(to_json(job)))  # which also looks at the types
    except (TypeError, ValueError) as error:
        raise UsageError(f"a value is of the wrong kind: {error}") from None
    name = row.get("name") or f"{Path(names[0]).stem}-{Path(names[-1]).stem}"
    if not isinstance(name, str):
        raise UsageError(f"name should be text, not {name!r}", subject="name")
    return _named(Item(name, job), template, index)


def _picture(folder: Path, name: str) -> Path:
    """Return where a picture lies. Raise UsageError for a path that only Windows reads as one."""
    path = on_disk((folder / name).absolute())
    slashed = name.replace("\\", "/")
    if (
        slashed != name
        and not os.path.exists(path)
        and (os.path.exists(on_disk((folder / slashed).absolute())))
    ):
        raise UsageError(f"there is no file {name}", f"write it as {slashed}", subject=name)
    return path


def _named(item: Item, template: str, index: int) -> Item:
    output = filled(template, item.name, index, item.job)
    encoding.check(output, item.job.encoding)
    return replace(item, job=replace(item.job, output=output))


def _keyframes(row: Row) -> list[str]:
    ends = [row.get("first"), row.get("last")]
    listed = row.get("keyframes")
    if listed is not None and ends != [None, None]:
        raise UsageError("keyframes excludes first and last", "give one or the other")
    if listed is None:
        listed = ends if None not in ends else None
    if isinstance(listed, str):
        listed = [name.strip() for name in listed.split("|")]
    if not isinstance(listed, list) or not all(isinstance(n, str | Path) and n for n in listed):
        raise UsageError(
            "no keyframes", 'give first and last, or keyframes such as ["a.png", "b.png"]'
        )
    return [str(name) for name in listed]


def _captions(row: Row) -> dict[str, Any]:
    """Return prompt, or from and to, as the option prompts."""
    pair = [row.get("from"), row.get("to")]
    ways = [row.get("prompts"), row.get("prompt"), pair if pair != [None, None] else None]
    if sum(way is not None for way in ways) > 1:
        raise UsageError("prompts, prompt, and from with to exclude each other", "give one of them")
    if ways[2] is not None and None in pair:
        raise UsageError("from and to need each other", "give both")
    if ways[0] is None and (ways[1] is not None or ways[2] is not None):
        return {"prompts": ways[1] if ways[1] is not None else tuple(pair)}
    return {}


def _reports(paths: Sequence[Path], template: str | None) -> Iterator[tuple[str, Item]]:
    from vtg_cli.render import report as sidecar

    for index, path in enumerate(paths, start=1):
        read = sidecar.read(path).job
        with naming(str(path)):
            job = single(read)
        old = job.output if job.output not in (None, "-") else None
        suffix = Path(old).suffix if old else ".mp4"
        shape = template or ("{name}/%04d.png" if suffix == ".png" else "{name}" + suffix)
        same = suffix == Path(shape).suffix
        choices = replace(
            job.encoding,
            format=None,
            crf=job.encoding.crf if same else None,
            overwrite=False,
            skip_existing=False,
        )
        frozen = tuple(str(Path(name).absolute()) for name in job.keyframes)
        job = replace(job, encoding=choices, keyframes=frozen)
        clip = path.with_suffix("")  # of clip.mp4.json; an older clip.json has no second one
        name = older_path(str(clip)).stem if clip.suffix.lower() in FILES else path.stem
        with naming(str(path)):
            item = _named(Item(name, job, str(path.absolute())), shape, index)
        yield str(path), item


def _distinct(items: Iterable[tuple[str, Item]]) -> tuple[Item, ...]:
    """Return all items. Raise UsageError if two would write the same clip or the same report."""
    taken: dict[str, str] = {}
    kept: list[Item] = []
    for where, item in items:
        report = sidecar_path(item.output) or item.output
        for place in (item.output, str(report)):
            if place in taken:
                raise UsageError(
                    f"{where}: {place} is already written by {taken[place]}",
                    "give them names of their own, or use {index} in --output-template",
                    subject=place,
                )
            taken[place] = where
        kept.append(item)
    if not kept:
        raise UsageError("there is nothing to make", "the manifest has no items")
    return tuple(kept)


def _cells(table: Path) -> Iterator[tuple[str, Row]]:
    """Yield a table's rows with their cells as values."""
    for where, row in rows(table):
        yield where, {name: _cell(name, cell) for name, cell in row.items()}


def _cell(name: str, text: str) -> Any:
    """Return a cell as its column's kind of value; text that is none is refused later."""
    if name == "prompts":
        return [caption.strip() for caption in text.split("|")]
    return OPTIONS[name].parse(text) if name in OPTIONS else text


def _has_pictures(folder: Path) -> bool:
    return any(each.suffix.lower() in PICTURES for each in folder.iterdir())
