"""The rows of a manifest, read from .csv, .jsonl or .toml; manifest.py gives them their meaning.

Tables come from spreadsheets of all countries: with , ; or tab between their cells, in UTF-8 or
UTF-16, with or without a byte order mark, with line breaks in quotes and empty rows at the end.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vtg_cli.errors import MediaError, UsageError, missing
from vtg_cli.ground import documents

Row = Mapping[str, Any]
MARKED = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
DELIMITERS = ",;\t"
ONCE = ("name", "keyframes", "first", "last")
"""Columns that are an item's own and cannot stand for all."""
LONGEST = 64_000_000
"""Largest manifest that is read, in bytes: some hundred thousand clips."""


def rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield (where it stands, row) for all items of a manifest, in order; empty rows are skipped.
    Raise UsageError or MediaError.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None and not path.exists():
        raise UsageError(
            missing(path, "there is no file or folder"),
            "name a folder or a manifest",
            subject=str(path),
        )
    if reader is None:
        raise UsageError(
            f"{path} is no folder and no manifest",
            f"manifests end in {', '.join(READERS)}, reports in .json",
            subject=str(path),
        )
    yield from reader(path, _text(path))


def _text(path: Path) -> str:
    try:
        content = documents.content_of(path, LONGEST)
    except OSError as error:
        raise documents.unreadable(path, error, "manifest") from None
    except ValueError as error:
        raise MediaError(f"cannot read {path}: {error}", subject=str(path)) from None
    try:
        return content.decode(_encoding(content))
    except UnicodeDecodeError:
        raise MediaError(
            f"cannot read {path}: it is not UTF-8 text", "save it as UTF-8", subject=str(path)
        ) from None


def _encoding(content: bytes) -> str:
    """Return the encoding that a byte order mark or UTF-16's zero bytes tell; else UTF-8."""
    for mark, encoding in MARKED.items():
        if content.startswith(mark):
            return encoding
    if content[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if content[:1] == b"\0" else "utf-8"


def _csv(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    reader = csv.reader(
        io.StringIO(text, newline=""),  # else line breaks in cells would be changed
        delimiter=_delimiter(path, text),
        skipinitialspace=True,
        strict=True,
    )
    try:
        header: list[str] = []
        for cells in reader:
            where = f"{path} line {reader.line_num}"
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if not header:
                header = _header(where, stripped)
                continue
            if any(stripped[len(header) :]):
                raise UsageError(f"{where}: more cells than the header has")
            row = {name: cell for name, cell in zip(header, stripped, strict=False) if cell}
            if "" in row:
                raise UsageError(f"{where}: {row['']} stands in a column without a name")
            yield where, row
    except csv.Error as error:
        raise UsageError(f"{path} line {reader.line_num}: {error}", subject=str(path)) from None


def _delimiter(path: Path, text: str) -> str:
    """Return the character that separates the most cells of the first line that is not empty."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    try:
        counts = {each: len(next(csv.reader([first], delimiter=each))) for each in DELIMITERS}
    except csv.Error as error:
        raise UsageError(f"{path}: {error}", subject=str(path)) from None
    return max(counts, key=lambda each: counts[each])


def _header(where: str, cells: Sequence[str]) -> list[str]:
    header = [cell.lower() for cell in cells]
    for name in header:
        if name and header.count(name) > 1:
            raise UsageError(f"{where}: two columns are called {name}", subject=name)
    return header


def _jsonl(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(text.split("\n"), start=1):  # U+2028 and U+0085 end none
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            row = documents.json_value(line, unique=True)
        except ValueError as error:
            raise UsageError(f"{where} is not JSON: {error}", subject=str(path)) from None
        if not isinstance(row, dict):
            raise UsageError(f"{where} is not a JSON object", subject=str(path))
        yield where, {name: value for name, value in row.items() if value is not None}


def _toml(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    document = documents.toml_document(text, path)
    items = document.pop("item", [])
    if not isinstance(items, list) or not all(isinstance(row, dict) for row in items):
        raise UsageError(f"{path}: item is not a list of tables", "write [[item]] for each clip")
    for own in ONCE:
        if own in document:
            raise UsageError(f"{path}: {own} stands outside of an [[item]]", subject=str(path))
    for number, row in enumerate(items, start=1):
        yield f"{path} item {number}", {**document, **row}


READERS: Mapping[str, Callable[[Path, str], Iterator[tuple[str, Row]]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".toml": _toml,
}
