"""The pair LoRA of a job: what a model learns of two keyframes before it draws between them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

from vtg_cli.backbones.base import Backbone, Reader
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.lora import Pair
from vtg_cli.errors import Interrupted, MediaError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.methods import METHODS
from vtg_cli.methods.captions import Captions
from vtg_cli.training import pair as pairs
from vtg_cli.training import pair_cache
from vtg_cli.training.loop import OnNote
from vtg_cli.training.pair_layers import applied, mixing
from vtg_cli.weights import store

Progress = Callable[[float, str], None]
Cancel = Callable[[], bool]

STEP_COST = 3
"""Cost of a training step in evaluations of a frame: there and, twice that, back."""


def identity_of(folder: Path) -> str:
    """Return a hash over what a model folder's results depend on. It reads all of it."""
    files = json.dumps(store.identity(folder), sort_keys=True)
    return hashlib.sha256(files.encode()).hexdigest()


def learned(
    m: Backbone,
    keys: Keyframes,
    captions: Captions | None,
    job: Interpolate,
    *,
    identity: str,
    progress: Progress,
    cancel: Cancel,
    on_note: OnNote | None = None,
    cache: Path | None = None,
) -> tuple[AbstractContextManager[None], Progress]:
    """Return a context that applies both keyframes' updates to the network, and the progress of
    what is left to do: drawing.

    job: with its sampling resolved
    identity: see identity_of
    on_note: as of pairs.fit_pair
    cache: where fits are kept, None: the usual folder

    Raises Interrupted if `cancel` says so between two steps; what was learned until then is kept,
    but for the last pairs.KEEP steps. Raises WeightsError if job.lora is a folder that lacks a
    keyframe, MediaError if a fit cannot be kept, QualityError if it overflows.
    """
    texts = [captions.first, captions.last] if captions is not None else None
    directions = METHODS[job.sampling.method or ""].directions
    weights = mixing(directions)
    settings = pair_cache.DEFAULTS
    if job.lora != "fit":
        kept = pair_cache.kept_pair(
            m, keys, settings, captions=texts, identity=identity, cache=Path(job.lora)
        )
        return applied(m, kept, weights), progress

    share = _share(m, keys, job, settings.steps)
    begun = False

    def on_step(done: int, total: int, loss: float) -> None:
        nonlocal begun
        if cancel():
            raise Interrupted("interrupted")
        begun = True
        progress(share * done / total, "fitting")

    pair = _fitted(m, keys, texts, identity, on_step, on_note, cache)
    left = (lambda done, phase: progress(share + (1 - share) * done, phase)) if begun else progress
    return applied(m, pair, weights), left


def _fitted(
    m: Backbone,
    keys: Keyframes,
    texts: list[str] | None,
    identity: str,
    on_step: pairs.OnFit,
    on_note: OnNote | None,
    cache: Path | None,
) -> Pair:
    text = cast(Reader, m).text_embedding(texts) if texts is not None else None
    settings = pair_cache.DEFAULTS
    conds = pairs.still_conds(m, keys, text, settings)
    try:
        return pairs.fit_pair(
            *(m, keys, conds, settings, on_step),
            captions=texts,
            identity=identity,
            cache=cache,
            on_note=on_note,
        )
    except OSError as error:
        place = cache or pair_cache.cache_folder()
        raise MediaError(
            f"cannot keep what is fitted in {place}: {error.strerror or error}",
            "make room there, or name another folder with XDG_CACHE_HOME",
            subject=str(place),
        ) from error


def _share(m: Backbone, keys: Keyframes, job: Interpolate, steps: int) -> float:
    """Return the share of a segment's time that fitting takes, counted in frames looked at."""
    fitting = STEP_COST * steps * len(keys.pixels)
    looked = m.spec.evaluations(job.sampling) * keys.length
    looked += m.spec.inversions(job.sampling)
    return fitting / (fitting + looked)
