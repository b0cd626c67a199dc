"""Tables and lines as spreadsheets of all countries write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from vtg_cli.batch.manifest import read
from vtg_cli.batch.rows import rows
from vtg_cli.errors import MediaError, UsageError, VtgError
from vtg_cli.ground.spelling import on_disk

PLAIN = "name,first,last,prompts\none,a.png,b.png,a lion\n"
MEANT = [{"name": "one", "first": "a.png", "last": "b.png", "prompts": "a lion"}]


def told(folder: Path, content: bytes, name: str = "m.csv") -> list[dict[str, Any]]:
    (folder / name).write_bytes(content)
    return [dict(row) for _, row in rows(folder / name)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_a_spreadsheet_writes(tmp_path: Path, encoding: str, delimiter: str, end: str) -> None:
    text = PLAIN.replace(",", delimiter).replace("\n", end)
    assert told(tmp_path, text.encode(encoding)) == MEANT


@pytest.mark.parametrize(
    "text",
    [
        "\n\nname,first,last,prompts\n\n,,,\none,a.png,b.png,a lion\n , ,,\n\n",
        "Name,FIRST, Last ,Prompts\none,a.png,b.png,a lion\n",
        "name,first,last,prompts,,\none,a.png,b.png,a lion,,\n",
        'name;first;last;prompts\none;a.png;b.png;"a lion"\n',
    ],
    ids=["empty rows", "case", "cells without a name", "one quoted"],
)
def test_what_people_write(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text.encode()) == MEANT


@pytest.mark.parametrize("inside", ["\n", "\r\n", "\u2028", "\x85", "\x0b", "\x1c", "\f"])
def test_a_quoted_cell_keeps_its_line_breaks(tmp_path: Path, inside: str) -> None:
    """Only line feeds and carriage returns end a line, and not in quotes."""
    text = f'name,prompts,first,last\r\none,"a lion{inside}walks",a.png,b.png\r\n'
    assert told(tmp_path, text.encode())[0]["prompts"] == f"a lion{inside}walks"
    line = json.dumps({**MEANT[0], "prompts": f"a lion{inside}walks"}, ensure_ascii=False)
    row = told(tmp_path, f"{line}\r\n\r\n{line}\n".encode(), "m.jsonl")
    assert [each["prompts"] for each in row] == [f"a lion{inside}walks"] * 2


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"name,Name\na,b\n", UsageError, "line 1: two columns are called name"),
        (b"name,\na,b\n", UsageError, "line 2: b stands in a column without a name"),
        (b"name\na,b\n", UsageError, "line 2: more cells than the header has"),
        (b'name,first\n"a,b\n', UsageError, "line 2: unexpected end of data"),
        (b"name,first\n\xe9,b\n", MediaError, "it is not UTF-8 text"),
        (b"\xff\xfen", MediaError, "it is not UTF-8 text"),
    ],
)
def test_what_is_no_table(
    tmp_path: Path, content: bytes, kind: type[VtgError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        told(tmp_path, content)
    assert message in caught.value.message


def test_names_match_in_either_spelling(tmp_path: Path) -> None:
    """A table from a Mac on a file system that keeps names as they are, and the other way."""
    composed, apart = (normalize(form, "f\u00e9/\u00fcber.png") for form in ("NFC", "NFD"))
    for name, other in ((composed, apart), (apart, composed)):
        place = tmp_path / str(len(name)) / name
        place.parent.mkdir(parents=True)
        place.write_bytes(b"")
        assert on_disk(tmp_path / str(len(name)) / other) == place
        assert on_disk(place) == place
    missing = tmp_path / "\u00fc.png"
    assert on_disk(missing) == missing
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "m.csv").write_text(f"first,last\n{len(apart)}/{composed},b.png\n", "utf-8")
    (item,) = read([str(tmp_path / "m.csv")], {}).items
    assert item.job.keyframes[0] == str(tmp_path / str(len(apart)) / apart)


def test_a_path_of_three_thousand_folders_is_only_missing(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"a" * 3000, "\u00fc.png")
    assert on_disk(deep) == deep
    (tmp_path / "m.csv").write_text(f"first,last\n{'a/' * 3000}a.png,b.png\n")
    (item,) = read([str(tmp_path / "m.csv")], {}).items
    assert item.job.keyframes[0] == str(tmp_path.joinpath(*"a" * 3000, "a.png"))


def test_a_manifest_is_read_to_a_bound(tmp_path: Path) -> None:
    with (tmp_path / "m.csv").open("wb") as file:
        file.truncate(64_000_001)
    with pytest.raises(MediaError, match="longer than 64 MB"):
        list(rows(tmp_path / "m.csv"))


def test_a_backslash_that_should_be_a_slash_is_told(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for name in ("p/a.png", "b.png", "odd\\name.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "m.csv").write_text("first,last\np\\a.png,b.png\n")
    with pytest.raises(UsageError) as caught:
        read([str(tmp_path / "m.csv")], {})
    assert caught.value.message == f"{tmp_path / 'm.csv'} line 2: there is no file p\\a.png"
    assert caught.value.hint == "write it as p/a.png"
    (tmp_path / "m.csv").write_text("first,last\nodd\\name.png,b.png\n")
    (item,) = read([str(tmp_path / "m.csv")], {}).items
    assert item.job.keyframes[0] == str(tmp_path / "odd\\name.png")
