"""Small clips on disk, and random networks in place of the published ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vtg_cli.evaluation import features, lpips
from vtg_cli.evaluation.features import NETWORKS
from vtg_cli.media.sheet import save_png

SIZE = (40, 64)


def clip(frames: int, seed: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Waves that move evenly, another kind for every seed."""
    y, x = np.mgrid[: size[0], : size[1]]
    lengths = np.random.default_rng(seed).uniform(5, 14, (3, 2))
    made = []
    for t in np.linspace(0, 1, frames):
        waves = [np.sin((x + 6 * t) / a) + np.cos((y - 5 * t) / b) for a, b in lengths]
        made.append((np.stack(waves, -1) * 60 + 128).astype(np.uint8))
    return np.stack(made)


def write_clip(folder: Path, frames: Iterable[NDArray[np.uint8]]) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        save_png(folder / f"{number:05}.png", frame)


def write_pair(folder: Path, name: str, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ends = clip(2, seed)
    for end, picture in zip("ab", ends, strict=True):
        save_png(folder / f"{name}_{end}.png", picture)


class Random:
    """An Extractor: a random convolution over pictures or clips, of a few numbers a feature."""

    def __init__(self, name: str, dim: int = 4) -> None:
        network = NETWORKS[name]
        self.name, self.dim, self.frames = name, dim, network.frames
        generator = torch.Generator().manual_seed(len(name))
        kernel = (4, 4) if network.frames == 1 else (2, 4, 4)
        self._weight = torch.randn(dim, 3, *kernel, generator=generator)
        self.labels = name.startswith("c3d")
        self.weights, self.note = {"random": name}, ""

    def __call__(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        x = torch.from_numpy(batch).float().movedim(-1, 1) / 255
        convolve = torch.conv2d if self.frames == 1 else torch.conv3d
        found = convolve(x, self._weight).relu().flatten(2).mean(-1)
        return np.asarray((found.softmax(1) if self.labels else found).numpy())


def random_lpips() -> lpips.Lpips:
    """LPIPS with one random layer."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(4, 3, 4, 4, generator=generator)
    return lpips.Lpips("lpips-alex", lambda x: [torch.conv2d(x, weight).relu()], [torch.ones(4)])


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every feature network be there, as a random one."""
    monkeypatch.setattr(features, "missing", lambda name, path=None: None)
    monkeypatch.setattr(features, "extractor", lambda name, *_: Random(name))
    monkeypatch.setattr(lpips, "lpips", lambda *_: random_lpips())
