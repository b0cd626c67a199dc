"""The fit of a pair LoRA: one low-rank update per keyframe, on the network that then samples.

An update learns its picture, as a still clip, by the denoising loss of any diffusion model
(DiffMorpher, Zhang et al. 2023, section 4.1, whose numbers the defaults are; VTG takes them over):

    loss = mean of w |denoise(s x0 + sigma eps, level, cond) - x0|^2,     s = alpha * gain
    w = (s / sigma)^2                           in eps-space, e' - e = (s / sigma) (x0 - x0')
    w = gain^2 (alpha^2 + sigma^2) / sigma^2    in v-space, level.v_from_x0

Levels are drawn evenly from the model's own path. eps-space is VTG's; there a level without signal
teaches nothing, which costs models of EDM, most of whose path is noise, the larger part of the
steps. A picture's update does not depend on the other keyframes: it is kept by itself.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.lora import Factors, Pair, mix_updates
from vtg_cli.errors import QualityError, WeightsError
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import is_finite
from vtg_cli.sampling.level import Level
from vtg_cli.training.loop import Losses, OnNote, OnStep, Plan, Run
from vtg_cli.training.losses import denoising_loss
from vtg_cli.training.pair_cache import DEFAULTS, PairSettings, cache_folder, file_of, kept_update
from vtg_cli.training.pair_layers import layers_of

LEVELS = 1000
"""Steps of the path that levels are drawn from: as many timesteps as most models were trained
on."""
KEEP = 50
"""Steps between two states of an unfinished fit."""
OnFit = Callable[[int, int, float], None]
"""Callback on_step(steps done, in all, loss), over all keyframes; those kept from before count as
done. The loss is NaN while another process fits the same picture, which is waited for."""


def still_conds(
    m: Backbone,
    keyframes: Keyframes,
    text: Tensor | None = None,
    settings: PairSettings = DEFAULTS,
) -> list[Cond]:
    """Return each keyframe's conditions as a still clip. text: embeddings [K, L, D].

    The picture itself is withheld (Backbone.null) where the model can do without: a network that
    sees the clean picture beside the noisy one has little left to learn.
    """
    conds = []
    for k in range(len(keyframes.pixels)):
        alone = Keyframes(keyframes.pixels[k : k + 1], (0,), settings.frames)
        caption = None if text is None else text[k : k + 1]
        conds.append(m.null(m.condition(alone, caption), ("image",)))
    return conds


def fit_pair(
    m: Backbone,
    keyframes: Keyframes,
    conds: Sequence[Cond],
    settings: PairSettings = DEFAULTS,
    on_step: OnFit | None = None,
    *,
    captions: Sequence[str] | None = None,
    identity: str | None = None,
    cache: Path | None = None,
    on_note: OnNote | None = None,
) -> Pair:
    """Fit an update for every keyframe, from zero. conds: as still_conds gives them.

    identity: everything else the numbers depend on, in words: the model's weights and what its
        conditions hold beside picture and caption; None: nothing is kept
    cache: the folder that fits are kept in; None: cache_folder()
    on_note: called for steps that were left out, for damaged states and for where a fit goes on

    With an identity a fit is a file in the folder `cache`, and one that was stopped goes on where
    it last kept its state, bit for bit. A picture that another process is fitting is waited for.

    Raises QualityError for gradients that are no numbers at loop.ROW steps in a row, or at every
    step, ValueError for another number of conditions or captions than of keyframes, MediaError or
    OSError if the folder cannot be written.
    """
    count = len(keyframes.pixels)
    if not len(conds) == len(captions or conds) == count:
        raise ValueError(f"{count} keyframes want as many conditions and captions")
    layers, updates = layers_of(m), []
    for k, picture in enumerate(keyframes.pixels):
        note = partial(_noted, on_note, k + 1)
        step = partial(_reported, on_step, k * settings.steps, count * settings.steps)
        fit = partial(_fitted, m, layers, picture, conds[k], settings, step, note)
        if identity is None:
            with tempfile.TemporaryDirectory(prefix="vtg-lora-") as unkept:
                updates.append(fit(Path(unkept)))
        else:
            caption = captions[k] if captions is not None else None
            folder = cache or cache_folder()
            file = file_of(folder, picture, caption, identity, settings, layers)
            updates.append(kept_update(m, layers, file, fit, partial(step, 0, math.nan)))
    return Pair(tuple(updates))


def weight_of(level: Level, space: Literal["eps", "v"]) -> float:
    """Return the weight that makes the loss of x0 that of eps or v; see above. Needs sigma > 0."""
    if space == "eps":
        return (level.signal / level.sigma) ** 2
    return (level.gain * level.scale / level.sigma) ** 2


def _reported(on_step: OnFit | None, before: int, total: int, done: int, loss: float) -> None:
    if on_step is not None:
        on_step(before + done, total, loss)


def _noted(on_note: OnNote | None, keyframe: int, note: str) -> None:
    if on_note is not None:
        on_note(f"the fit to keyframe {keyframe}: {note}")


class _Update(nn.Module):
    """The trained parameters: factors of every layer, in float32 for any network precision."""

    def __init__(self, layers: Sequence[nn.Linear], rank: int, seed: int) -> None:
        super().__init__()
        generator = Generator().manual_seed(seed)
        self._layers = list(layers)
        self.a, self.b = nn.ParameterList(), nn.ParameterList()
        for layer in layers:
            wide, narrow = layer.in_features, layer.out_features
            draw = torch.randn(rank, wide, generator=generator) / rank
            self.a.append(draw.to(layer.weight.device))
            self.b.append(torch.zeros(narrow, rank, device=layer.weight.device))

    def factors(self, detached: bool = True) -> dict[nn.Module, Factors]:
        both = zip(self._layers, self.a, self.b, strict=True)
        return {layer: (a.detach(), b.detach()) if detached else (a, b) for layer, a, b in both}


def _fitted(
    m: Backbone,
    layers: dict[str, nn.Linear],
    picture: Tensor,
    cond: Cond,
    settings: PairSettings,
    on_step: OnStep,
    on_note: OnNote,
    folder: Path,
) -> dict[nn.Module, Factors]:
    """Fit one keyframe's update; the folder is where its training is kept."""
    plan = Plan(
        steps=settings.steps,
        rate=settings.rate,
        warmup=1,
        cooldown=0,
        decay=settings.decay,
        parts=1,
        clip=math.inf,
        keep=KEEP,
        seed=settings.seed,
        optimizer="adamw",
    )
    # sampling may have begun, and what was made in inference mode knows no gradients
    with torch.inference_mode(False), torch.enable_grad():
        with torch.no_grad():
            x0 = m.encode(picture[None, None].clone())
            x0 = x0.expand(-1, settings.frames, -1, -1, -1).clone()
            cond = cond.map(torch.clone)
        update = _Update(list(layers.values()), settings.rank, settings.seed)
        mixed = mix_updates([update.factors(detached=False)], [1.0])
        run = Run(update, plan, folder, on_note)
        try:
            run.resume()
        except WeightsError as damaged:
            on_note(f"{damaged.message}: it begins again")
        with overriding(layers.values(), mixed), _whole():
            run.go(_losses(m, x0, cond, settings.space), on_step=on_step)
            if 0 < settings.steps <= run.overflowed:
                raise QualityError(f"the gradients of all {run.step} steps are not numbers")
            if not all(is_finite(p) for p in update.parameters()):
                raise QualityError(f"what {run.step} steps gave holds values that are not numbers")
    return update.factors()


@contextmanager
def _whole() -> Iterator[None]:
    """Word errors of a fit for the user who asked for it."""
    try:
        yield
    except QualityError as error:
        raise QualityError(
            f"the fit to a keyframe failed, nothing of it is kept: {error.message}",
            "try --dtype fp32, or --lora off",
            subject="--lora",
        ) from error


def _losses(m: Backbone, x0: Tensor, cond: Cond, space: Literal["eps", "v"]) -> Losses:
    noisy = [level for level in m.path(LEVELS) if level.sigma > 0]
    levels = [level for level in noisy if weight_of(level, space) > 0]

    def losses(step: int, generator: Generator) -> list[Callable[[], Tensor]]:
        level = levels[int(torch.randint(len(levels), (), generator=generator))]
        eps = torch.randn(x0.shape, generator=generator).to(x0)
        return [lambda: denoising_loss(m, x0, eps, level, cond, weight_of(level, space))]

    return losses
