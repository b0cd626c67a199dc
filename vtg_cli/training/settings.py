"""The settings of a training command, and what follows from them without loading a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vtg_cli.backbones.base import Spec
from vtg_cli.errors import UsageError

MULTIPLE = 64
"""Sizes that are chosen are multiples of this many pixels."""
SMALL = (256, 256)
"""Height and width for models that were trained on none in particular."""
Kind = Literal["reverse-motion", "align"]
Schedule = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The settings of representation alignment.

    encoder: a folder of a DINOv2 model
    weight: lambda, of its loss beside the other
    layer: number of the transformer block whose output is aligned, None: the middle one
    variant: "cosine" of each token, or "relational", of all pairs of tokens
    reduction: "mean" over frames, or VTG's "sum", as many times stronger as there are frames
    hidden: width of the projector
    """

    encoder: str
    weight: float = 0.5
    layer: int | None = None
    variant: Literal["cosine", "relational"] = "cosine"
    reduction: Literal["mean", "sum"] = "mean"
    hidden: int = 2048


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run.

    data: a folder, a manifest, or procedural[:COUNT]; out: the folder of the run
    steps, batch: of the optimizer, and the clips of each
    rate, warmup, schedule, decay, clip: of the optimizer
    ema: share of the average that stays at every step, 0: no average
    frames, stride: of a window; None frames: as the model was trained
    size: (height, width), None: the model's own; how: clips of another shape are fitted
    save_every, keep: steps between checkpoints, and how many are kept
    sample_every: steps between strips of in-betweens, 0: none
    tries: clips held out and measured before and after, 0: none
    sample_steps: of sampling these, None: the model's own number
    begin: a delta file to begin with
    """

    kind: Kind
    data: str
    out: str
    model: str = "tiny"
    steps: int = 15_000
    batch: int = 4
    rate: float = 1e-4
    schedule: Schedule = "constant"
    warmup: int = 0
    decay: float = 1e-2
    clip: float = 1.0
    ema: float = 0.999
    frames: int | None = None
    stride: int = 2
    size: tuple[int, int] | None = None
    how: str = "crop"
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    checkpointing: bool = False
    save_every: int = 500
    keep: int = 2
    sample_every: int = 500
    tries: int = 2
    sample_steps: int | None = None
    begin: str | None = None
    latents: str | None = None
    tensorboard: bool = False
    alignment: Alignment | None = None


LASTING = frozenset({"out", "steps", "save_every", "keep", "sample_every", "tensorboard", "device"})
"""Settings that may be others when a run goes on."""


def size_for(settings: Settings, spec: Spec) -> tuple[int, int]:
    """Return the (height, width) trained at. Raise UsageError for one the model cannot take."""
    if settings.size is not None:
        if any(side % spec.factor or side < 1 for side in settings.size):
            height, width = settings.size
            raise UsageError(
                f"--size {width}x{height} is not possible with {spec.name}",
                f"width and height must be multiples of {spec.factor}",
                subject="--size",
            )
        return settings.size
    if spec.area is None:
        return SMALL
    width = round((spec.area * 16 / 9) ** 0.5 / MULTIPLE) * MULTIPLE
    return round(spec.area / width / MULTIPLE) * MULTIPLE, width


def frames_for(settings: Settings, spec: Spec) -> int:
    """Return the frames of a window. Raise UsageError for a number the model cannot draw."""
    frames = settings.frames or spec.frames
    if frames < 3 or (spec.longest is not None and frames > spec.longest):
        raise UsageError(
            f"--frames {frames} is not possible with {spec.name}",
            f"from 3 to {spec.longest}" if spec.longest else "3 or more",
            subject="--frames",
        )
    return frames
