"""The journal: what it remembers, and what half a line does to it."""

from __future__ import annotations

import json
from pathlib import Path

from vtg_cli.batch.claims import Claims
from vtg_cli.batch.journal import History, Journal


def journal(folder: Path) -> Journal:
    return Journal(folder / "j.jsonl", Claims(folder / "lock"))


def test_the_last_of_each_kind_is_remembered(tmp_path: Path) -> None:
    ours, other = journal(tmp_path), Journal(tmp_path / "j.jsonl")
    assert other.of("x") == History()
    ours.append("start", "x", key="1", replaces=None)
    assert other.of("x").start is not None and other.of("x").done is None
    ours.append("done", "x", key="1", sha256="s")
    ours.append("start", "x", key="2", replaces="s")
    ours.append("failed", "x", error="no")
    found = other.of("x")
    assert found.done is not None and found.done["key"] == "1"
    assert found.start is not None and found.start["key"] == "2"  # it may have written before
    ours.append("done", "x", key="2", sha256="t")
    assert other.of("x").start is None
    assert other.of("y") == History()


def test_half_a_line_of_a_killed_writer_is_passed_over(tmp_path: Path) -> None:
    ours = journal(tmp_path)
    ours.append("done", "x", key="1", sha256="s")
    with (tmp_path / "j.jsonl").open("a") as file:
        file.write('{"event": "done", "output": "y", "ke')
    reader = Journal(tmp_path / "j.jsonl")
    assert reader.of("y") == History()
    ours.append("done", "z", key="2", sha256="t")
    assert reader.of("y") == History()
    assert reader.of("z").done is not None
    lines = (tmp_path / "j.jsonl").read_text().splitlines()
    assert [json.loads(lines[k])["output"] for k in (0, 2)] == ["x", "z"]


def test_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    for line in (
        "[]",
        '"x"',
        "not json",
        '{"event": "done"}',
        '{"event": "done", "output": ["x"]}',
        '{"event": ["done"], "output": "x"}',
        '{"event": "done", "output": "x", "sha256": 3, "key": "1"}',
        '{"event": "done", "output": "x", "sha256": "s", "key": "1", "seconds": 1e999}',
        "[" * 100_000,
        "9" * 5000,
    ):
        (tmp_path / "j.jsonl").write_text(line + "\n")
        ours = journal(tmp_path)
        assert ours.of("x") == History(), line[:50]
        ours.append("done", "x", key="1", sha256="s")
        assert ours.of("x").done is not None
