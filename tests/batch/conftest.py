"""Pictures and items that the batch's tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtg_cli.batch.item import Item
from vtg_cli.job.jobs import Interpolate

Paint = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies on this machine, --model auto finds an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """paint("in/x_a.png", shift) writes a picture of waves below tmp_path."""

    def painted(name: str, shift: int = 0, height: int = 32, width: int = 48) -> Path:
        y, x = np.mgrid[:height, :width]
        waves = [np.sin((x + shift) / (5 + c)) + np.cos((y - shift) / (4 + c)) for c in range(3)]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.stack(waves, -1) * 60 + 128).astype(np.uint8)).save(path)
        return path

    return painted


@pytest.fixture
def item(paint: Paint) -> Callable[..., Item]:
    """item("x") is x.mp4 of 4 frames, its pictures painted."""

    def made(name: str, frames: int = 4, **more: object) -> Item:
        keys = paint(f"in/{name}_a.png"), paint(f"in/{name}_b.png", 3)
        job = Interpolate(
            keyframes=(str(keys[0]), str(keys[1])),
            output=f"{name}.mp4",
            frames=(frames,),
            **{"model": "flow", **more},  # type: ignore[arg-type]
        )
        return Item(name, job)

    return made
