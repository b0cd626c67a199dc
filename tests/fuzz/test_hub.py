"""Answers of a hub that make no sense.

Each costs a connection: 200 of 2,000 listings are left, and 20 pulls.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from fuzzing import COMMAND, cases, command, hold
from hub_server import Hub, Repository, info_of, small_model
from mutators import as_json, odd

from vtg_cli.weights.hub import pull
from vtg_cli.weights.offer import look_up

NAME = "some/model"


@cases(10)
def test_listings(numbers: range, hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME] = Repository(small_model())
    seed = info_of(NAME, hub.repositories[NAME])
    (tmp_path / "case").mkdir()

    def make(rng: Random) -> None:
        hub.listing = as_json(rng, odd(rng, seed))

    def read(_: object) -> None:
        found = look_up(NAME)
        assert found.size >= 0 and found.missing >= 0
        for file in found.files:
            assert found.blob(file).parent.name == "blobs"
            place = os.path.normpath(found.folder / file.name)
            assert Path(place).is_relative_to(found.folder)
            assert found.folder.parent.name == "snapshots"

    hold("listing", numbers, make, read, tmp_path / "case")


@cases(COMMAND)
def test_pulls(numbers: range, hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME] = Repository(small_model())
    seed = info_of(NAME, hub.repositories[NAME])
    (tmp_path / "case").mkdir()

    def make(rng: Random) -> None:
        hub.listing = as_json(rng, odd(rng, seed))

    def read(_: object) -> None:
        pull(look_up(NAME))
        here = {p for p in tmp_path.rglob("*") if p.is_file()}
        assert all(p.is_relative_to(tmp_path / "hf") for p in here), here

    hold("pull", numbers, make, read, tmp_path / "case")


@cases(COMMAND)
def test_pulls_by_command(numbers: range, hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME] = Repository(small_model())
    seed = info_of(NAME, hub.repositories[NAME])
    (tmp_path / "case").mkdir()

    def make(rng: Random) -> list[str]:
        hub.listing = as_json(rng, odd(rng, seed))
        return ["models", "pull", NAME, "--accept-licence"]

    hold("pull by command", numbers, make, command, tmp_path / "case")
