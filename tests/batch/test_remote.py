"""Clips behind a URL, with fsspec's in-memory file system as the other side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from reading import read_video

from vtg_cli.batch.item import Item
from vtg_cli.batch.journal import History
from vtg_cli.batch.remote import Bucket
from vtg_cli.batch.store import open_store
from vtg_cli.batch.worker import Settings, Worker
from vtg_cli.errors import UsageError

MakeItem = Callable[..., Item]
URL = "memory://bucket/clips"


@pytest.fixture
def fs() -> Iterator[fsspec.AbstractFileSystem]:
    found = fsspec.filesystem("memory")
    yield found
    found.store.clear()
    found.pseudo_dirs[:] = [""]


def test_clips_reports_and_records_are_sent(
    tmp_path: Path, item: MakeItem, fs: fsspec.AbstractFileSystem
) -> None:
    store = open_store(URL)
    assert isinstance(store, Bucket)
    worker = Worker(store, Settings(URL))
    x = item("x")
    assert [worker.make(x).state, worker.make(x).state] == ["made", "skipped"]
    names = sorted(name for name in fs.find("/bucket/clips") if "/.vtg-batch/" not in name)
    assert names == ["/bucket/clips/x.mp4", "/bucket/clips/x.mp4.json"]
    fs.get_file("/bucket/clips/x.mp4", str(tmp_path / "got.mp4"))
    assert len(read_video(str(tmp_path / "got.mp4"))[0]) == 4
    fs.pipe_file("/bucket/clips/x.mp4", b"edited")
    assert worker.make(x).error == "x.mp4 was changed since it was made"
    fs.rm_file("/bucket/clips/x.mp4")
    assert worker.make(x).state == "made"


def test_a_shorter_sequence_leaves_no_pictures_of_the_longer_one(
    item: MakeItem, fs: fsspec.AbstractFileSystem
) -> None:
    x = item("x", 5)
    worker = Worker(open_store(URL), Settings(URL))
    for frames in (5, 3):
        each = replace(x, job=replace(x.job, output="x/%02d.png", frames=(frames,)))
        assert worker.make(each).state == "made"
        assert len(fs.glob("/bucket/clips/x/*.png")) == frames


@pytest.mark.parametrize(
    "note", [b"", b"[]", b"{", b"[" * 100_000, b'{"event": "done", "output": "x.mp4", "sha256": 3}']
)
def test_a_record_that_is_none_is_as_if_it_were_not_there(
    note: bytes, item: MakeItem, fs: fsspec.AbstractFileSystem
) -> None:
    store, x = open_store(URL), item("x")
    store.record("done", x.output, key="k", sha256="s")
    (place,) = fs.glob("/bucket/clips/.vtg-batch/*.json")
    assert store.history(x.output).done is not None
    fs.pipe_file(place, note)
    assert store.history(x.output) == History()


def test_a_protocol_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="-o nowhere://x: "):
        open_store("nowhere://x")
