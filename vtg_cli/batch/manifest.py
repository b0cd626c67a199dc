"""What a batch is to make: a folder of pairs, a manifest, or reports of earlier runs, as items.

A manifest says for every clip what differs from the command line's options, by their names there:

    .csv     a header line; first,last or keyframes with | between; empty cells say nothing
    .jsonl   an object a line
    .toml    options for all at the top, an [[item]] for each clip

Paths in it are relative to its folder. Every item is checked before the first is made.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from vtg_cli.batch.item import Item, single
from vtg_cli.batch.naming import check, filled
from vtg_cli.batch.pairs import PICTURES, pairs_in
from vtg_cli.errors import MediaError, UsageError, VtgError, naming
from vtg_cli.job import Interpolate, from_json, to_json
from vtg_cli.media import encoding
from vtg_cli.media.encoding import Encoding, sidecar_path
from vtg_cli.sampling.settings import Sampling

if TYPE_CHECKING:
    from vtg_cli.api import Options

MANIFESTS = (".csv", ".jsonl", ".toml")
OWN = ("name", "keyframes", "first", "last", "prompt", "from", "to")
"""What an item can say beside the options of the command line."""
NOT_HERE = ("output", "format", "overwrite", "skip_existing")
"""Options that are the batch's, not an item's."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """rules: how the items were found, a sentence each."""

    items: tuple[Item, ...]
    rules: tuple[str, ...] = ()


def read(
    sources: Sequence[str], options: Options, *, template: str | None = None, chain: bool = False
) -> Source:
    """The items of a batch, in order. UsageError or MediaError naming the first that is off.

    options: hold for all items that say nothing else; template: see naming.
    """
    check(template or "{name}.mp4")
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
        if reports and not chain and not _has_pictures(path):
            return Source(_distinct(_reports(reports, template)))
        found = pairs_in(path, chain=chain)
        rows = ((f"{path}: {pair.first.name}", asdict(pair)) for pair in found.pairs)
        items = _items(rows, Path(), options, template or "{name}.mp4")
        return Source(_distinct(items), found.rules)
    if chain:
        raise UsageError("--chain is for a folder of pictures", subject="--chain")
    readers = {".csv": _csv, ".jsonl": _jsonl, ".toml": _toml}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path} is no folder and no manifest",
            f"manifests end in {', '.join(MANIFESTS)}, reports in .json",
            subject=str(path),
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MediaError(f"there is no file {path}", subject=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise MediaError(f"cannot read {path}: {reason}", subject=str(path)) from None
    items = _items(reader(path, text), path.parent, options, template or "{name}.mp4")
    return Source(_distinct(items))


def shard(items: Sequence[Item], which: str) -> tuple[Item, ...]:
    """Every n-th item from the i-th on, of "i/n" with i from 1 to n. UsageError."""
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


def _items(
    rows: Iterable[tuple[str, Row]], folder: Path, options: Options, template: str
) -> Iterator[tuple[str, Item]]:
    """(where it stands, item) of every row."""
    for index, (where, row) in enumerate(rows, start=1):
        try:
            yield where, _item(row, folder, options, template, index)
        except VtgError as error:
            error.message = f"{where}: {error.message}"
            raise


def _item(row: Row, folder: Path, options: Options, template: str, index: int) -> Item:
    from vtg_cli.api import Options as Known
    from vtg_cli.api import job_of

    allowed = [name for name in Known.__annotations__ if name not in NOT_HERE]
    for name in row:
        if name not in (*allowed, *OWN):
            close = get_close_matches(name, [*allowed, *OWN], n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            raise UsageError(f"{name} is not known", f"{meant}see docs/batch.md", subject=name)
    names = [str((folder / name).absolute()) for name in _keyframes(row)]
    said = {name: value for name, value in row.items() if name not in OWN}
    said |= _captions(row)
    try:
        job = job_of(names, {**options, **said})  # type: ignore[typeddict-item]
        job = single(from_json(to_json(job)))  # which also looks at the types
    except (TypeError, ValueError) as error:
        raise UsageError(f"a value is of the wrong kind: {error}") from None
    name = row.get("name") or f"{Path(names[0]).stem}-{Path(names[-1]).stem}"
    if not isinstance(name, str):
        raise UsageError(f"name should be text, not {name!r}", subject="name")
    return _named(Item(name, job), template, index)


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
    """prompt, or from and to, as the option prompts."""
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
    from vtg_cli import sidecar

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
        try:
            yield str(path), _named(Item(path.stem, job, str(path.absolute())), shape, index)
        except VtgError as error:
            error.message = f"{path}: {error.message}"
            raise


def _distinct(items: Iterable[tuple[str, Item]]) -> tuple[Item, ...]:
    """All of them; UsageError where two would write the same clip or the same report."""
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


def _csv(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True, strict=True)
    try:
        for row in reader:
            where = f"{path} line {reader.line_num}"
            if None in row:
                raise UsageError(f"{where}: more cells than the header has")
            cells = {name.strip(): value.strip() for name, value in row.items() if value}
            yield where, {n: _cell(where, n, cell) for n, cell in cells.items() if cell}
    except csv.Error as error:
        raise UsageError(f"{path} line {reader.line_num}: {error}", subject=str(path)) from None


def _cell(where: str, name: str, text: str) -> Any:
    """A cell as the kind of value its column has; what is not one stays text, and is told later."""
    made = (get_type_hints(each) for each in (Interpolate, Sampling, Encoding))
    hint = next((hints[name] for hints in made if name in hints), None)
    kinds = set(get_args(hint)) or {hint}
    if name == "prompts":
        return [caption.strip() for caption in text.split("|")]
    if name in ("frames", "duration", "fps", "guidance"):
        return text
    if bool in kinds:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.lower(), text
        )
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                return text
    return text


def _jsonl(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{where} is not JSON: {error}", subject=str(path)) from None
        if not isinstance(row, dict):
            raise UsageError(f"{where} is not a JSON object", subject=str(path))
        yield where, {name: value for name, value in row.items() if value is not None}


def _toml(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    import tomlkit
    from tomlkit.exceptions import ParseError

    try:
        document = tomlkit.parse(text).unwrap()
    except ParseError as error:
        raise UsageError(f"{path}: {error}", subject=str(path)) from None
    rows = document.pop("item", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{path}: item is not a list of tables", "write [[item]] for each clip")
    for own in OWN[:4]:
        if own in document:
            raise UsageError(f"{path}: {own} stands outside of an [[item]]", subject=str(path))
    for number, row in enumerate(rows, start=1):
        yield f"{path} item {number}", {**document, **row}


def _has_pictures(folder: Path) -> bool:
    return any(each.suffix.lower() in PICTURES for each in folder.iterdir())
