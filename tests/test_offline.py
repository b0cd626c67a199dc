"""Offline first: what is on this machine runs with every socket blocked, by name and by folder."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from hub_server import XT, Hub, Repository, lay_out_cache
from PIL import Image
from reading import read_video

from vtg_cli.cli import main
from vtg_cli.weights import hub as client
from vtg_cli.weights import store
from vtg_cli.weights.offer import look_up

TINY_SVD = Path(__file__).parent / "data" / "parity" / "tiny_svd"


@pytest.fixture
def keyframes(tmp_path: Path) -> list[str]:
    names = []
    for name, shift in (("a", 0), ("b", 8)):
        picture = np.zeros((32, 64, 3), np.uint8)
        picture[8:24, 8 + shift : 32 + shift] = (200, 120, 40)
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
        names.append(str(tmp_path / f"{name}.png"))
    return names


def tiny_files() -> dict[str, bytes]:
    """The recordings' tiny SVD."""
    files = (file for file in TINY_SVD.rglob("*") if file.is_file())
    return {file.relative_to(TINY_SVD).as_posix(): file.read_bytes() for file in files}


def cached_svd() -> Path:
    """It as svd-xt in the cache."""
    return lay_out_cache(XT, Repository(tiny_files()))


def draw(model: str, keyframes: list[str], out: Path) -> dict[str, object]:
    """The sidecar of a clip drawn by the whole command line."""
    options = ["--model", model, "--device", "cpu", "--steps", "1", "--quiet"]
    assert main(["interpolate", *keyframes, "-o", str(out), *options]) == 0
    assert out.stat().st_size > 500
    sidecar: dict[str, object] = json.loads(Path(f"{out}.json").read_text())
    return sidecar


def test_the_embedded_and_a_cached_model_run(
    hub: Hub, no_network: None, keyframes: list[str], tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="a host was looked up"):
        socket.create_connection(("127.0.0.1", 9))
    snapshot = cached_svd()
    draw("tiny", keyframes, tmp_path / "tiny.mp4")
    by_name = draw("svd-xt", keyframes, tmp_path / "name.mp4")
    by_folder = draw(str(snapshot), keyframes, tmp_path / "folder.mp4")
    assert by_name["weights"] == by_folder["weights"]
    named, placed = (read_video(str(tmp_path / f"{name}.mp4"))[0] for name in ("name", "folder"))
    assert np.array_equal(named, placed)
    assert hub.requests == []


def test_the_models_commands_need_no_network(
    hub: Hub, no_network: None, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = cached_svd()
    for arguments in (
        ["list"],
        ["info", "svd-xt"],
        ["path", "svd-xt"],
        ["licence", "svd-xt", "--accept"],
        ["verify"],
        ["rm", "svd-xt", "--yes"],
    ):
        assert main(["models", *arguments]) == 0, (arguments, capsys.readouterr())
    assert not snapshot.exists() and hub.requests == []
    assert main(["models", "pull", "svd-xt"]) != 0  # which alone asks somebody
    assert "a host was looked up" in capsys.readouterr().err


def test_a_pulled_model_is_pulled_again_without_network(
    hub: Hub, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repositories["org/tiny"] = Repository(tiny_files())
    client.pull(look_up("org/tiny"))
    request.getfixturevalue("no_network")
    assert main(["models", "pull", "org/tiny"]) == 0
    assert capsys.readouterr().out == f"{store.resolve('org/tiny').folder}\n"
