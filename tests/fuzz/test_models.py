"""Model folders whose JSON files say something else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

import pytest
import torch
from fuzzing import COMMAND, cases, command, hold
from mutators import as_json, odd
from PIL import Image
from safetensors.torch import save

from vtg_cli.backbones import footprint
from vtg_cli.backbones.base import check_words, spec_of
from vtg_cli.weights import layout, store

PARITY = Path(__file__).parents[1] / "data" / "parity"


def tiny_dynamicrafter() -> dict[str, object]:
    """The config of an imported folder, as far as plans read it."""
    facts = {"variant": "512_interp", "height": 320, "width": 512, "fs": 5, "both_ends": True}
    sizes_of = {"unet": {"model_channels": 32}, "autoencoder": {"channels": [32, 64]}}
    return {"format": "vtg-dynamicrafter-1", "facts": facts, **sizes_of}


def laid_out(folder: Path) -> Path:
    """Both kinds of model folder, `svd` and `dynamicrafter`, each file with one tensor."""
    one = save({"a": torch.ones(2)})
    shutil.copytree(PARITY / "tiny_svd", folder / "svd")
    for file in (folder / "svd").rglob("*.safetensors"):
        file.write_bytes(one)
    crafter = folder / "dynamicrafter"
    crafter.mkdir()
    for name in layout.PARTS:
        (crafter / name).write_bytes(one)
    (crafter / layout.INDEX).write_text(json.dumps({"_class_name": "DynamiCrafter"}))
    (crafter / layout.CONFIG).write_text(json.dumps(tiny_dynamicrafter()))
    return folder


JSONS = {
    "svd": (
        "model_index.json",
        *(f"{part}/config.json" for part in ("unet", "vae", "image_encoder")),
    ),
    "dynamicrafter": ("model_index.json", "config.json"),
}


def misled(rng: Random, folder: Path) -> Path:
    """One of the folders, with one of its JSON files changed."""
    kind = rng.choice(tuple(JSONS))
    place = folder / kind / rng.choice(JSONS[kind])
    place.write_bytes(as_json(rng, odd(rng, json.loads(place.read_bytes()))))
    return folder / kind


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return laid_out(tmp_path / "models")


def restored(models: Path, files: dict[Path, bytes]) -> None:
    for file, content in files.items():
        if file.read_bytes() != content:
            file.write_bytes(content)


@cases()
def test_model_folders(numbers: range, models: Path, tmp_path: Path) -> None:
    files = {file: file.read_bytes() for file in models.rglob("*.json")}
    (tmp_path / "case").mkdir()

    def make(rng: Random) -> Path:
        restored(models, files)
        return misled(rng, models)

    def read(folder: Path) -> None:
        source = store.resolve(str(folder))
        spec = spec_of(source.folder)
        assert spec.drawn(5) > 0 and spec.factor > 0 and spec.fps > 0
        check_words(source.folder, ["a lion"])
        footprint.in_memory.cache_clear()
        assert footprint.in_memory(source.folder, 2, spec.factor).bytes > 0

    hold("model folder", numbers, make, read, tmp_path / "case")


@cases(COMMAND)
def test_model_folders_by_command(numbers: range, models: Path, tmp_path: Path) -> None:
    files = {file: file.read_bytes() for file in models.rglob("*.json")}
    (tmp_path / "case").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 64)).save(tmp_path / name)

    def make(rng: Random) -> list[str]:
        restored(models, files)
        footprint.in_memory.cache_clear()
        pair = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
        where = ["--model", str(misled(rng, models)), "--device", "cpu", "--dry-run"]
        return ["interpolate", *pair, *where, "-o", str(tmp_path / "case" / "c.mp4")]

    hold("model folder by command", numbers, make, command, tmp_path / "case")
