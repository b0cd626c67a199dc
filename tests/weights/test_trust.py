"""Records against their own JSON; digests against values published by git and NIST."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vtg_cli.errors import WeightsError
from vtg_cli.weights import trust

RECORD = trust.Record("org/name", "c0ffee", {"unet/config.json": trust.Known(3, "ab")})


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    assert trust.read(path) is None
    trust.write(path, RECORD)
    trust.write(path, RECORD)
    assert trust.read(path) == RECORD
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]
    assert json.loads(path.read_text()) == {
        "format": "vtg-trust-1",
        "repo_id": "org/name",
        "commit": "c0ffee",
        "files": {"unet/config.json": {"size": 3, "sha256": "ab"}},
    }


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": "other"}', '{"format": "vtg-trust-1", "files": []}'],
)
def test_a_damaged_record_is_never_skipped(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(WeightsError) as caught:
        trust.read(path)
    assert caught.value.subject == str(path)
    assert "delete it" in caught.value.hint


def test_digests(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    published = (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    )
    assert trust.sha256(file) == published
    file.write_bytes(b"hello\n")
    assert trust.git_blob_id(file) == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_a_file_longer_than_one_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a" * 1_000_000 + b"")
    published = (
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"  # FIPS 180-2, B.3
    )
    assert trust.sha256(file) == published
