"""Files of fitted pair LoRAs: one per keyframe, named after all that its numbers depend on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from torch import Tensor, nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning import lora
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.lora import Factors, Pair
from vtg_cli.errors import QualityError, WeightsError
from vtg_cli.ground.atomic import replacing
from vtg_cli.sampling.settings import LORA_RANK, LORA_STEPS
from vtg_cli.training.pair_layers import layers_of

VERSION = 1
"""Version of the numbers a fit gives: raising it makes older files unknown."""


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """The settings of a fit. rank: of an update; rate, decay: AdamW's; frames: of the still clip;
    space: of the loss.
    """

    rank: int = LORA_RANK
    steps: int = LORA_STEPS
    rate: float = 2e-4
    decay: float = 1e-2
    frames: int = 1
    space: Literal["eps", "v"] = "eps"
    seed: int = 0


DEFAULTS = PairSettings()


def kept_pair(
    m: Backbone,
    keyframes: Keyframes,
    settings: PairSettings = DEFAULTS,
    *,
    captions: Sequence[str] | None,
    identity: str,
    cache: Path,
) -> Pair:
    """Return what pair.fit_pair has kept in the folder `cache` under the same arguments; nothing is
    fitted. Raise WeightsError if it lacks a keyframe.
    """
    layers, updates = layers_of(m), []
    for k, picture in enumerate(keyframes.pixels):
        caption = captions[k] if captions is not None else None
        file = file_of(cache, picture, caption, identity, settings, layers)
        if not file.is_file():
            raise WeightsError(
                f"{cache} holds nothing that was fitted to keyframe {k + 1} with this caption, "
                "model, size and precision",
                "fit it with --lora fit",
                subject="--lora",
            )
        updates.append(lora.load(file, layers, m.device))
    return Pair(tuple(updates))


def cache_folder() -> Path:
    """Return the folder that fits are kept in: vtg/lora in $XDG_CACHE_HOME, or in ~/.cache."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return base / "vtg" / "lora"


def kept_update(
    m: Backbone,
    layers: dict[str, nn.Linear],
    file: Path,
    fit: Callable[[Path], dict[nn.Module, Factors]],
    on_wait: Callable[[], None],
) -> dict[nn.Module, Factors]:
    """Return the update in the file, or fit it and write it there."""
    unfinished = file.with_suffix(".partial")
    try:
        update = lora.load(file, layers, m.device)
    except WeightsError:  # none yet, or the disk has spoilt it
        try:
            with _alone(unfinished, on_wait):
                try:
                    update = lora.load(file, layers, m.device)  # another process was faster
                except WeightsError:
                    update = fit(unfinished)
                    with replacing(file) as whole:
                        lora.save(update, m.network, whole)
        except QualityError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    shutil.rmtree(unfinished, ignore_errors=True)
    return update


@contextmanager
def _alone(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Lock a folder, so that one process at a time works in it; a lock ends with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            on_wait()
    try:
        yield
    finally:
        lock.release()


def file_of(
    cache: Path,
    picture: Tensor,
    caption: str | None,
    identity: str,
    settings: PairSettings,
    layers: dict[str, nn.Linear],
) -> Path:
    """Return the file of an update, whether it is there or not."""
    facts = {
        "version": VERSION,
        "size": list(picture.shape),
        "caption": caption,
        "model": identity,
        "precision": str(next(iter(layers.values())).weight.dtype),
        "settings": asdict(settings),
    }
    pixels = picture.detach().float().cpu().contiguous().numpy().tobytes()
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + pixels).hexdigest()
    return cache / f"{key}.safetensors"
