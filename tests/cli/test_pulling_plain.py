"""vtg models pull of a file that feature networks are read from, and what the list says of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hub_server import Hub
from index_server import Index

from vtg_cli.cli import main
from vtg_cli.weights import catalog
from vtg_cli.weights.entry import Link

CONTENT = b"weights" * 1000


@pytest.fixture
def offered(served: Index, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Index:
    """A server with the file, and an empty cache."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    row = catalog.CATALOG["inception"]
    link = Link(url=f"{served.url}/{row.files[0]}", size=len(CONTENT), sha256=digest)
    served.files[f"/{row.files[0]}"] = CONTENT
    entry = replace(row, link=link, sha256={row.files[0]: digest})
    known = MappingProxyType({**catalog.CATALOG, "inception": entry})
    for module in ("weights.catalog", "weights.store", "weights.keep", "weights.hub"):
        monkeypatch.setattr(f"vtg_cli.{module}.CATALOG", known, raising=False)
    for module in ("cli.pulling", "cli.pulling_plain", "cli.model_facts", "cli.models"):
        monkeypatch.setattr(f"vtg_cli.{module}.CATALOG", known, raising=False)
    return served


def test_pull_verify_list_and_remove(offered: Index, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "inception"]) == 0
    told = capfd.readouterr()
    folder = Path(told.out.strip())
    assert (folder / catalog.CATALOG["inception"].files[0]).read_bytes() == CONTENT
    assert "licence Apache-2.0" in told.err
    asked = len(offered.asked)
    assert main(["models", "pull", "inception"]) == 0
    assert "inception is complete" in capfd.readouterr().err and len(offered.asked) == asked
    assert main(["models", "verify", "inception"]) == 0
    assert capfd.readouterr().out.startswith("inception  1 file, 7 kB: good")
    assert main(["models", "info", "inception", "--json"]) == 0
    row = json.loads(capfd.readouterr().out)
    assert (row["here"], row["path"]) == ("yes", str(folder))
    (file,) = row["files"]
    assert file["bytes"] == len(CONTENT) and file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert main(["models", "info", "inception"]) == 0
    assert f"address     {offered.url}/" in capfd.readouterr().out
    assert main(["models", "info", "c3d"]) == 0
    assert "dl=1, not fetched by vtg: no sha256" in capfd.readouterr().out
    assert main(["models", "rm", "inception", "--yes"]) == 0
    assert not folder.exists()


def test_what_cannot_be_checked_is_refused_in_two_lines(
    offered: Index, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", "c3d"]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "vtg: c3d is not fetched by vtg: nobody published a sha256 to check it by"
    assert "fetch https://www.dropbox.com/" in lines[1]
    assert offered.asked == []


def test_offline_nothing_is_asked(
    offered: Index, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["models", "pull", "inception"]) == 5
    assert "HF_HUB_OFFLINE is set" in capfd.readouterr().err
    assert offered.asked == []
