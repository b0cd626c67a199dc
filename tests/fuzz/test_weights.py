"""Damaged model files, model folders, pickles and records of what was fetched."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from random import Random

import torch
from fuzzing import COMMAND, cases, command, hold
from mutators import as_json, damaged, odd
from safetensors.torch import save

from vtg_cli.weights import delta, layout, sizes, store, trust
from vtg_cli.weights.checkpoint import open_checkpoint

PARITY = Path(__file__).parents[1] / "data" / "parity"


def headed(rng: Random, content: bytes) -> bytes:
    """A safetensors file with a header that says something else, or with its bytes damaged."""
    if rng.random() < 0.3:
        return damaged(rng, content)
    size = int.from_bytes(content[:8], "little")
    header = as_json(rng, odd(rng, json.loads(content[8 : 8 + size])))
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def tensors() -> bytes:
    name = "down_blocks.0.attentions.0.temporal_transformer_blocks.0.attn1.to_v.weight"
    about = {delta.FORMAT: json.dumps({"version": delta.VERSION, "tuned": {}, "base": {}})}
    return save({name: torch.ones(3, 2), name.replace("to_v", "to_out.0"): torch.ones(2)}, about)


@cases()
def test_headers(numbers: range, tmp_path: Path) -> None:
    place, seed = tmp_path / "case.safetensors", tensors()

    def read(_: object) -> None:
        for shape in sizes.shapes_in(place).values():
            assert all(isinstance(side, int) and side >= 0 for side in shape)

    hold("header", numbers, lambda rng: place.write_bytes(headed(rng, seed)), read, tmp_path)


@cases()
def test_safetensors(numbers: range, tmp_path: Path) -> None:
    place, seed = tmp_path / "case.safetensors", tensors()

    def read(_: object) -> None:
        found = open_checkpoint(place)
        for name, shape in found.shapes.items():
            assert tuple(found.read(name).shape) == shape

    hold("safetensors", numbers, lambda rng: place.write_bytes(headed(rng, seed)), read, tmp_path)


@cases()
def test_deltas(numbers: range, tmp_path: Path) -> None:
    place, seed = tmp_path / "case.safetensors", tensors()

    def read(_: object) -> None:
        assert all(torch.isfinite(each).all() for each in delta.load(place).values())

    hold("delta", numbers, lambda rng: place.write_bytes(headed(rng, seed)), read, tmp_path)


def pickled() -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": {"a.weight": torch.ones(3, 2), "b": torch.zeros(4).half()}}, file)
    return file.getvalue()


def repickled(rng: Random, content: bytes) -> bytes:
    """The archive with its pickle, or another of its members, damaged, and its sums right."""
    if rng.random() < 0.3:
        return damaged(rng, content)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            hit = name.endswith("data.pkl") if rng.random() < 0.8 else rng.random() < 0.3
            new.writestr(name, damaged(rng, old.read(name)) if hit else old.read(name))
    return out.getvalue()


@cases()
def test_pickles(numbers: range, tmp_path: Path) -> None:
    place, seed = tmp_path / "case.ckpt", pickled()

    def read(_: object) -> None:
        found = open_checkpoint(place)
        for name, shape in found.shapes.items():
            assert tuple(found.read(name).shape) == shape

    hold("pickle", numbers, lambda rng: place.write_bytes(repickled(rng, seed)), read, tmp_path)


@cases(COMMAND)
def test_pickles_by_command(numbers: range, tmp_path: Path) -> None:
    place, seed, out = tmp_path / "case.ckpt", pickled(), tmp_path / "model"

    def make(rng: Random) -> list[str]:
        place.write_bytes(repickled(rng, seed))
        return ["models", "import", str(place), "-o", str(out)]

    hold("pickle by command", numbers, make, command, tmp_path)


@cases()
def test_records_of_trust(numbers: range, tmp_path: Path) -> None:
    place = tmp_path / "case.json"
    known = {"a.safetensors": {"size": 3, "sha256": "0" * 64}}
    seed = {"format": trust.FORMAT, "repo_id": "a/b", "commit": "c" * 40, "files": known}

    def make(rng: Random) -> None:
        place.write_bytes(as_json(rng, odd(rng, seed)))

    hold("record of trust", numbers, make, lambda _: trust.read(place), tmp_path)


@cases()
def test_sums(numbers: range, tmp_path: Path) -> None:
    place = tmp_path / layout.SUMS
    seed = b"".join(b"%064x  %s\n" % (k, name) for k, name in enumerate((b"a.json", b"b/c.json")))

    def make(rng: Random) -> None:
        place.write_bytes(damaged(rng, seed))

    hold("sums", numbers, make, lambda _: store.sums(tmp_path), tmp_path)
