"""Files kept as they were published: from an address, cut and gone on with, or from a wheel."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from index_server import Index, packed

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.weights import cache, keep, plain, store
from vtg_cli.weights.catalog import CATALOG
from vtg_cli.weights.entry import Entry, Link

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr(plain, "pause", lambda seconds: None)


def entry(served: Index, content: bytes = CONTENT, **more: Any) -> Entry:
    digest = hashlib.sha256(content).hexdigest()
    link = Link(url=f"{served.url}/net.pth", size=len(content), sha256=digest)
    row = CATALOG["alexnet"]
    return replace(row, files=("net.pth",), link=link, sha256={"net.pth": digest}, **more)


def obtain(row: Entry) -> Path:
    return plain.obtain(row, lambda phase: None, lambda held: None)


def part(row: Entry) -> Path:
    return cache.imported_folder(row.name).with_name(f"{row.name}.vtg.incomplete")


def test_a_file_is_fetched_checked_and_kept(served: Index) -> None:
    served.files["/net.pth"] = CONTENT
    row = entry(served)
    assert store.imported(row) is None
    folder = obtain(row)
    assert folder == cache.imported_folder("alexnet") == store.imported(row)
    assert (folder / "net.pth").read_bytes() == CONTENT
    assert keep.verify(str(folder)).bad == ()
    assert not part(row).exists()
    (folder / "net.pth").write_bytes(CONTENT[:-1] + b"x")
    assert [bad.problem for bad in keep.verify(str(folder)).bad] == ["other content"]


def test_it_goes_on_where_it_was_cut(served: Index) -> None:
    """This server knows no ranges, so that it begins again; what came before is no harm."""
    served.files["/net.pth"] = CONTENT
    row = entry(served)
    part(row).parent.mkdir(parents=True)
    part(row).write_bytes(CONTENT[:100])
    assert (obtain(row) / "net.pth").read_bytes() == CONTENT


def test_other_content_is_removed(served: Index) -> None:
    served.files["/net.pth"] = CONTENT[::-1]
    row = entry(served)
    with pytest.raises(WeightsError, match="has other content than was published"):
        obtain(row)
    assert store.imported(row) is None and not part(row).exists()


def test_a_longer_file_is_refused_and_a_missing_one_named(served: Index) -> None:
    served.files["/net.pth"] = CONTENT + b"more"
    with pytest.raises(WeightsError, match="more than the announced 10240 bytes came"):
        obtain(entry(served))
    served.files.clear()
    with pytest.raises(WeightsError, match=r"/net.pth cannot be fetched: the server answers 404"):
        obtain(entry(served))


def test_no_server(served: Index) -> None:
    row = entry(served)
    link = Link(url="http://127.0.0.1:9/net.pth", size=1, sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"cannot be fetched: .*refused"):
        obtain(replace(row, link=link))


def test_what_has_no_hash_is_not_fetched(served: Index) -> None:
    with pytest.raises(UsageError, match="nobody published a sha256") as caught:
        obtain(CATALOG["c3d"])
    assert "--features c3d=PATH" in caught.value.hint
    assert served.asked == []


def test_a_file_of_a_wheel(served: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    content, about = packed(CONTENT, "lpips/weights/v0.1/alex.pth")
    served.offer(content)
    monkeypatch.setattr("vtg_cli.weights.wheel.importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PIP_INDEX_URL", f"{served.url}/simple")
    digest = hashlib.sha256(CONTENT).hexdigest()
    row = replace(CATALOG["lpips-alex"], wheel=about, sha256={"alex.pth": digest})
    folder = obtain(row)
    assert sorted(file.name for file in folder.iterdir()) == ["SHA256SUMS", "alex.pth"]
    assert (folder / "alex.pth").read_bytes() == CONTENT
    served.files.clear()
    with pytest.raises(WeightsError, match="could not be fetched") as caught:
        obtain(row)
    assert "--features lpips-alex=PATH" in caught.value.hint
    assert store.imported(row) == folder  # what was there stays
