"""A cache of latents: every frame of every clip, encoded once, for `vtg train --latents`.

A clip's key is a hash of its file's content, of which frames, of how they are fitted, and of the
model's files, so nothing stale is ever found. Latents stand in shards of SHARD clips, safetensors
in half precision; a shard is written whole or not at all, and the same command goes on after the
last one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch import Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.errors import MediaError, VtgError
from vtg_cli.ground import temporary
from vtg_cli.ground.tensor import to_pixels
from vtg_cli.media.image import fit
from vtg_cli.training.example import Posterior
from vtg_cli.training.source import Entry, Window, read_frames, sha256_of_clip
from vtg_cli.weights import store

SHARD = 32


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a cache holds after a run: clips encoded now, found there, and those that failed."""

    encoded: int
    found: int
    failed: tuple[str, ...]


class Latents:
    """The latents in a folder, by key: mean and deviation of the posterior, [2, N, C, h, w]."""

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, Path] = {}
        for shard in sorted(folder.glob("*.safetensors")):
            try:
                with safe_open(shard, "pt") as opened:
                    self._places.update(dict.fromkeys(opened.keys(), shard))
            except (OSError, SafetensorError):
                continue  # its clips are encoded again
        if not folder.is_dir():
            raise MediaError(f"there is no folder of latents {folder}", subject=str(folder))

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def window(self, key: str, first: int, window: Window) -> Tensor | None:
        """Return the latents of a window that begins at frame `first` of an entry; None if the
        clip is not there.
        """
        if key not in self._places:
            return None
        with safe_open(self._places[key], "pt") as opened:
            whole = opened.get_slice(key)
            return cast(Tensor, whole[:, first : first + window.length])[:, :: window.stride]


def key_of(entry: Entry, window: Window, model: str) -> str:
    """Return a clip's key. model: as model_key gives it."""
    digest = entry.sha256 or sha256_of_clip(entry.path)
    facts = [digest, entry.first, entry.count, window.size, window.how, model]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def model_key(folder: Path) -> str:
    """Return a hash over a model folder's files."""
    return hashlib.sha256(json.dumps(store.identity(folder), sort_keys=True).encode()).hexdigest()


def fill(
    m: Backbone,
    entries: Sequence[Entry],
    window: Window,
    model: str,
    folder: Path,
    progress: Callable[[float, str], None] = lambda *_: None,
) -> Kept:
    """Encode the clips that the cache in a folder lacks. Raise MediaError if all of them fail."""
    folder.mkdir(parents=True, exist_ok=True)
    there, shard = Latents(folder), dict[str, Tensor]()
    encoded, failed = 0, list[str]()
    missing = [(key_of(each, window, model), each) for each in entries]
    missing = [(key, entry) for key, entry in missing if key not in there]
    for n, (key, entry) in enumerate(missing):
        progress(n / len(missing), entry.path.name)
        try:
            shard[key] = encoded_clip(m, entry, window)
            encoded += 1
        except VtgError as error:
            failed.append(error.message)
        if len(shard) == SHARD:
            _write(folder, shard)
            shard = {}
    if shard:
        _write(folder, shard)
    if failed and len(failed) == len(entries):
        raise MediaError(f"no clip can be encoded: {failed[0]}", subject=str(folder))
    return Kept(encoded=encoded, found=len(entries) - len(missing), failed=tuple(failed))


@torch.no_grad()
def encoded_clip(m: Backbone, entry: Entry, window: Window) -> Tensor:
    """Return mean and deviation of a clip's latents, float16 [2, N, C, h, w]."""
    frames = read_frames(entry.path, entry.first, entry.count)
    if len(frames) < entry.count:
        raise MediaError(f"{entry.path} ends before frame {entry.first + entry.count}")
    portion, parts = getattr(m, "decode_chunk", None) or len(frames), list[Tensor]()
    for start in range(0, len(frames), portion):
        fitted = [fit(frame, *window.size, window.how) for frame in frames[start : start + portion]]
        pixels = torch.stack([to_pixels(np.ascontiguousarray(frame)) for frame in fitted])[None]
        mean = m.encode(pixels)
        deviation = torch.zeros_like(mean)
        if m.spec.posterior:
            ones = torch.ones_like(mean)
            deviation = cast(Posterior, m).encode(pixels, ones) - mean
        parts.append(torch.stack([mean[0], deviation[0]]))
    return torch.cat(parts, 1).half().cpu()


def _write(folder: Path, shard: dict[str, Tensor]) -> None:
    name = hashlib.sha256("".join(sorted(shard)).encode()).hexdigest()[:16]
    content = {key: value.contiguous() for key, value in shard.items()}
    temporary.write(folder / f"{name}.safetensors", packed(content))
