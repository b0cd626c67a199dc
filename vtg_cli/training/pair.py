"""Pair LoRA: one low-rank update per keyframe, fitted on the network that then samples.

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

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout
from torch import Generator, Tensor, nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning import lora
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.lora import Factors, Pair, Weight, mix_updates
from vtg_cli.conditioning.text import keyframe_weights
from vtg_cli.errors import QualityError, WeightsError
from vtg_cli.ground.atomic import replacing
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import is_finite
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.settings import LORA_RANK, LORA_STEPS
from vtg_cli.training.loop import Losses, OnNote, OnStep, Plan, Run
from vtg_cli.training.losses import denoising_loss

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
KINDS = ("spatial_attention", "cross_attention")
LEVELS = 1000
"""Steps of the path that levels are drawn from: as many timesteps as most models were trained
on."""
KEEP = 50
"""Steps between two states of an unfinished fit."""
VERSION = 1
"""Version of the numbers a fit gives: raising it makes older files unknown."""
OnFit = Callable[[int, int, float], None]
"""Callback on_step(steps done, in all, loss), over all keyframes; those kept from before count as
done. The loss is NaN while another process fits the same picture, which is waited for."""


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


def layers_of(m: Backbone) -> dict[str, nn.Linear]:
    """Return name in the network -> projection of spatial and cross-attention. Raise ValueError if
    there is none.

    Layers that look along time are left out. SVD counts the cross-attention of its temporal
    transformers among the others; such layers have "temporal" in their names.
    """
    names = {id(module): name for name, module in m.network.named_modules()}
    layers = {}
    for layer in _attentions(m, *KINDS):
        for part in PROJECTIONS:
            linear = layer.get_submodule(part)
            assert isinstance(linear, nn.Linear)
            layers[names[id(linear)]] = linear
    if not layers:
        raise ValueError(f"{m.spec.name} has no spatial or cross-attention to fit")
    return layers


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


Weights = Sequence[Weight] | Callable[[int, int], Sequence[Weight]]
"""Weights of a pair's updates: one Weight each (lora.Weight; keyframe_weights gives those of every
frame), or a function that gives them for a call of the network with so many clips of so many
frames."""


def mixing(directions: int) -> Callable[[int, int], Sequence[Weight]]:
    """Return a pair's Weights for sampling: every frame has as much of each keyframe's update as it
    is near to it.

    directions: of time, outermost in the batch; the second one is reversed

    Clips of a single frame are the two keyframes themselves, each with its own.
    """

    def weights(clips: int, frames: int) -> Sequence[Weight]:
        if frames == 1:
            return [Tensor([[1.0], [0.0]]), Tensor([[0.0], [1.0]])]
        ahead = keyframe_weights((0, frames - 1), frames)
        return torch.stack([ahead, ahead.flip(1)][:directions], 1).unbind()

    return weights


@contextmanager
def applied(m: Backbone, pair: Pair, weights: Weights) -> Iterator[None]:
    """Apply the pair's updates to the network while open."""
    device = next(m.network.parameters()).device
    crossing = _attentions(m, "cross_attention")

    def inside(
        _: nn.Module, forward: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        pair_weights = weights(*x.shape[:2]) if callable(weights) else weights
        pair_weights = [w.to(device) if isinstance(w, Tensor) else w for w in pair_weights]
        apart = any(isinstance(w, Tensor) and w.ndim for w in pair_weights)
        # opened in here to run before the overrides a backbone opens around its network: one of
        # SVD's takes the frames of a clip for one row
        rows = overriding(crossing, _every_row) if apart else nullcontext()
        with overriding(pair.layers, pair.mixed(pair_weights)), rows:
            return forward(x, *args, **kwargs)

    with overriding([m.network], inside):
        yield


def _every_row(module: Any, forward: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Compute cross-attention to one token: the softmax over one key is 1."""
    tokens = kwargs.get("encoder_hidden_states")
    if tokens is None or tokens.shape[-2] != 1:
        return forward(*args, **kwargs)
    out: Tensor = module.to_out[0](module.to_v(tokens))
    return out


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
            with tempfile.TemporaryDirectory(prefix="vtg-lora-") as folder:
                updates.append(fit(Path(folder)))
        else:
            caption = captions[k] if captions is not None else None
            key = _key(picture, caption, identity, settings, layers)
            file = (cache or cache_folder()) / f"{key}.safetensors"
            updates.append(_kept(m, layers, file, fit, partial(step, 0, math.nan)))
    return Pair(tuple(updates))


def kept_pair(
    m: Backbone,
    keyframes: Keyframes,
    settings: PairSettings = DEFAULTS,
    *,
    captions: Sequence[str] | None,
    identity: str,
    cache: Path,
) -> Pair:
    """Return what fit_pair has kept in the folder `cache` under the same arguments; nothing is
    fitted. Raise WeightsError if it lacks a keyframe.
    """
    layers, updates = layers_of(m), []
    for k, picture in enumerate(keyframes.pixels):
        caption = captions[k] if captions is not None else None
        file = cache / f"{_key(picture, caption, identity, settings, layers)}.safetensors"
        if not file.is_file():
            raise WeightsError(
                f"{cache} holds nothing that was fitted to keyframe {k + 1} with this caption, "
                "model, size and precision",
                "fit it with --lora fit",
                subject="--lora",
            )
        updates.append(lora.load(file, m.network, layers))
    return Pair(tuple(updates))


def cache_folder() -> Path:
    """Return the folder that fits are kept in: vtg/lora in $XDG_CACHE_HOME, or in ~/.cache."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return base / "vtg" / "lora"


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


def _kept(
    m: Backbone,
    layers: dict[str, nn.Linear],
    file: Path,
    fit: Callable[[Path], dict[nn.Module, Factors]],
    on_wait: Callable[[], None],
) -> dict[nn.Module, Factors]:
    """Return the update in the file, or fit it and write it there."""
    unfinished = file.with_suffix(".partial")
    try:
        update = lora.load(file, m.network, layers)
    except WeightsError:  # none yet, or the disk has spoilt it
        try:
            with _alone(unfinished, on_wait):
                try:
                    update = lora.load(file, m.network, layers)  # another process was faster
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


def _key(
    picture: Tensor,
    caption: str | None,
    identity: str,
    settings: PairSettings,
    layers: dict[str, nn.Linear],
) -> str:
    facts = {
        "version": VERSION,
        "size": list(picture.shape),
        "caption": caption,
        "model": identity,
        "precision": str(next(iter(layers.values())).weight.dtype),
        "settings": asdict(settings),
    }
    pixels = picture.detach().float().cpu().contiguous().numpy().tobytes()
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + pixels).hexdigest()


def _attentions(m: Backbone, *kinds: str) -> list[nn.Module]:
    names = {id(module): name for name, module in m.network.named_modules()}
    layers = [layer for kind in kinds for layer in m.modules(kind)]
    return [layer for layer in layers if "temporal" not in names[id(layer)]]
