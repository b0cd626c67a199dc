"""What a step of training consists of: clips, made examples of, and the loss of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.ground.tensor import to_pixels
from vtg_cli.training import encoder
from vtg_cli.training.align import Aligned
from vtg_cli.training.cache import Latents, key_of, model_key
from vtg_cli.training.example import Example, drawn, example
from vtg_cli.training.loop import Losses
from vtg_cli.training.reverse import ReverseMotion
from vtg_cli.training.settings import Settings
from vtg_cli.training.source import Entry, Source, Taken


def objective(
    settings: Settings, model: Path, m: Backbone, trained: ReverseMotion, source: Source
) -> tuple[nn.Module, Losses]:
    """Return what is trained and its losses: a clip is a part of a step.

    model: the folder of the model `m`
    """
    latents = _cached(settings.latents, model, source)
    aligned = _aligned(settings, m, trained)

    def loss(given: Example, pixels: Tensor) -> Tensor:
        return trained.loss(given) if aligned is None else aligned.loss(given, pixels)

    def part(index: int, seed: int) -> Tensor:
        clip = source.take(index)
        pixels = torch.stack([to_pixels(frame) for frame in clip.frames])
        size = (pixels.shape[-2], pixels.shape[-1])
        draws = drawn(m, len(pixels), size, Generator().manual_seed(seed))
        return loss(example(m, pixels, draws, clip.caption, latents(clip)), pixels)

    def losses(step: int, generator: Generator) -> Sequence[Callable[[], Tensor]]:
        seeds = torch.randint(2**62, (settings.batch,), generator=generator).tolist()
        first = step * settings.batch
        return [lambda i=i, s=s: part(first + i, s) for i, s in enumerate(seeds)]  # type: ignore[misc]

    return aligned or trained, losses


def _cached(folder: str | None, model: Path, source: Source) -> Callable[[Taken], Tensor | None]:
    """Return what looks a window's latents up in the cache, None for those it lacks."""
    if folder is None:
        return lambda clip: None
    kept, name = Latents(Path(folder).expanduser()), model_key(model)
    keys: dict[Entry, str] = {}

    def latents(clip: Taken) -> Tensor | None:
        if clip.entry is None:
            return None
        if clip.entry not in keys:
            keys[clip.entry] = key_of(clip.entry, source.window, name)
        return kept.window(keys[clip.entry], clip.first - clip.entry.first, source.window)

    return latents


def _aligned(settings: Settings, m: Backbone, trained: ReverseMotion) -> Aligned | None:
    """Return what aligns the trained half, with its encoder loaded; None if nothing is to."""
    if settings.alignment is None:
        return None
    device = next(m.network.parameters()).device
    eyes = encoder.load(Path(settings.alignment.encoder).expanduser(), device)
    return Aligned(m, trained, settings.alignment, eyes, settings.seed).to(device)
