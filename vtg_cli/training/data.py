"""A bank of rendered clips as the embedded model is told them, and a stream of batches from it.

Finding the motion of a clip costs more than a training step on it, so clips are rendered once, into
files of SHARD clips, and every clip serves many times: cut out, mirrored, turned, played backwards,
colours exchanged. All of these leave the truth of the motion as it was. Sample i of the stream
depends on (seed, i) alone, so a run that stops and goes on sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vtg_cli.backbones.tiny.guide import carry, enlarged
from vtg_cli.backbones.tiny.model import still
from vtg_cli.backbones.tiny.prior import CONCAT
from vtg_cli.training.scenes import HELD_OUT_SEEDS, render_clip

SHARD = 32
TOLD = {"both": 0.95, "still": 0.03, "nothing": 0.02}
"""Shares of what a clip's condition holds."""
Shard = NDArray[np.uint8]
"""[SHARD, F, 3 + CONCAT, h, w]: the clip, the first carried, its trust, the last carried, its
trust."""


@dataclass(frozen=True)
class Clips:
    """The clips of a bank.

    side: pixels of a rendered clip, where motion is estimated
    factor: pixels per latent
    frames: of a clip
    family: of scenes (training.scenes)
    """

    side: int = 96
    factor: int = 2
    frames: int = 13
    family: str = "mixed"
    seed: int = 0


def told_clip(clips: Clips, index: int) -> NDArray[np.uint8]:
    """Return clip `index` of a bank, small: [F, 3 + CONCAT, side / factor, side / factor]."""
    rng = np.random.default_rng([clips.seed, index])
    seed, size = int(rng.integers(HELD_OUT_SEEDS)), (clips.side, clips.side)
    clip = render_clip(seed, clips.frames, size, clips.family)
    at, n = carry(clip[0], clip[-1]), clips.side // clips.factor
    small = np.empty((clips.frames, 3 + CONCAT, n, n), np.uint8)
    for i, frame in enumerate(clip):
        carried = at(i / (clips.frames - 1))
        trusts = [
            enlarged(trust, *size)[..., None] * 254 + 1
            for trust in (carried.trust_ahead, carried.trust_back)
        ]
        ahead, back = (np.clip(c, 0, 1) * 255 for c in (carried.ahead, carried.back))
        whole = np.concatenate([frame, ahead, trusts[0], back, trusts[1]], -1)
        squares = whole.reshape(n, clips.factor, n, clips.factor, 3 + CONCAT)
        small[i] = np.moveaxis(squares.mean((1, 3)) + 0.5, -1, 0)
    return small


def write_shard(clips: Clips, folder: Path, number: int) -> Path:
    """Write shard `number` of a bank; one that is there already is left as it is."""
    file = folder / f"{number:05}.npy"
    if not file.exists():
        cv2.setNumThreads(1)  # processes are the parallelism
        shard = np.stack([told_clip(clips, number * SHARD + i) for i in range(SHARD)])
        unfinished = file.with_suffix(".partial")
        with unfinished.open("wb") as out:
            np.save(out, shard)
        unfinished.rename(file)
    return file


def build_bank(
    clips: Clips,
    folder: Path,
    shards: int,
    workers: int,
    on_shard: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Render the first `shards` shards of a bank that are missing, in `workers` processes."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for file in pool.map(partial(write_shard, clips, folder), range(shards)):
            files.append(file)
            if on_shard is not None:
                on_shard(len(files), shards)
    return files


class Bank(Dataset[Tensor]):
    """A dataset of clips mapped from shard files; `window`: latents of the square cut out.

    bank[i]: [F, 3 + CONCAT, window, window], pictures in [-1, 1], trust in [0, 1].
    """

    def __init__(self, files: list[Path], window: int, seed: int = 0) -> None:
        self.files, self.window, self.seed = files, window, seed

    def __getitem__(self, index: int) -> Tensor:
        rng = np.random.default_rng([self.seed, index])
        shard: Shard = np.load(self.files[int(rng.integers(len(self.files)))], mmap_mode="r")
        clip = shard[int(rng.integers(len(shard)))]
        y, x = rng.integers(0, clip.shape[-1] - self.window + 1, 2)
        cut = np.array(clip[..., y : y + self.window, x : x + self.window])
        sample = torch.from_numpy(_turned(rng, cut)).float()
        sample = sample / 127.5 - 1
        sample[:, [6, 10]] = (sample[:, [6, 10]] + 1) / 2
        return _told(sample, str(rng.choice(list(TOLD), p=list(TOLD.values()))))

    def batches(self, size: int, first: int, last: int, workers: int = 0) -> Iterator[Tensor]:
        """Return batches number first .. last - 1 of the stream, each [size, F, 3 + CONCAT, w, w].

        workers: processes that prepare them ahead; 0 prepares them here, the numbers are the same.
        """
        loader = DataLoader(
            self,
            size,
            sampler=range(first * size, last * size),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            multiprocessing_context="spawn" if workers else None,
        )
        return iter(loader)


def _turned(rng: np.random.Generator, clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one of a clip's 2 x 8 x 6 x 2 views: time, square, colours exchanged, negative."""
    if rng.uniform() < 0.5:
        clip = clip[::-1][:, [0, 1, 2, 7, 8, 9, 10, 3, 4, 5, 6]]
    clip = np.rot90(clip, int(rng.integers(4)), (2, 3))
    if rng.uniform() < 0.5:
        clip = clip[..., ::-1]
    colours = rng.permutation(3)
    clip = clip[:, [*colours, *(colours + 3), 6, *(colours + 7), 10]]
    if rng.uniform() < 0.5:
        pictures = [0, 1, 2, 3, 4, 5, 7, 8, 9]
        clip[:, pictures] = 255 - clip[:, pictures]
    return np.ascontiguousarray(clip)


def _told(sample: Tensor, kind: str) -> Tensor:
    if kind == "still":
        sample[:, 3:] = still(sample[:1, :3], len(sample))
    elif kind == "nothing":
        sample[:, 3:] = 0
    return sample
