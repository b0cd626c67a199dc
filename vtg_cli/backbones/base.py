"""The contract of models: a denoiser with everything that speaks its latent language (Backbone),
its facts (Spec), and the record of a kind of model (Model).

Concrete models are reached by name only; this module stays free of torch so that plans can read a
model's facts.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Protocol

from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents
from vtg_cli.ground.literals import Schedule as NoiseSchedule
from vtg_cli.job.methods import DEFAULTS, MethodDefaults
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.cost import Rates
from vtg_cli.sampling.settings import Work, inversions, work
from vtg_cli.weights.sizes import Parts

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from vtg_cli.conditioning.cond import Cond
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.sampling.fusion import Delta
    from vtg_cli.sampling.level import Level
    from vtg_cli.sampling.path import Path


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The facts of a model that need no weights.

    frames: length it was trained on
    fps: its natural playback rate
    channels: of its latents
    factor: what sizes in pixels must be a multiple of
    area: pixels it was trained on, None: any
    text: whether it reads captions, as a Reader
    posterior: whether its encode takes a sample of the autoencoder's posterior, as a Posterior
    log_sigma: mean and deviation of ln(sigma) it was trained at; None: evenly along its path
    both_ends: whether one condition holds the keyframes of both ends, not the first alone
    begins_empty, ends_clean: whether its path begins without any signal, and ends on data
    schedules: names its path may be given, its own first; empty: it has no choice
    longest: frames it draws at once, from 3 on; None: `frames` and no other number
    motion_fps: the rate it is given by default, None: none
    defaults: of every method
    unused: options it has no use for
    doubts: option -> what is known to speak against it, a sentence
    """

    name: str
    frames: int
    fps: Fraction
    channels: int
    factor: int
    area: int | None
    text: bool = False
    posterior: bool = False
    log_sigma: tuple[float, float] | None = None
    both_ends: bool = False
    begins_empty: bool = False
    ends_clean: bool = True
    schedules: tuple[NoiseSchedule, ...] = ()
    longest: int | None = None
    motion_fps: int | None = None
    defaults: Mapping[str, MethodDefaults] = field(default_factory=lambda: DEFAULTS)
    unused: frozenset[str] = frozenset()
    doubts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for sizes that no model has: they come from files."""
        for name in ("frames", "channels", "factor"):
            documents.whole_number(getattr(self, name), name)
        if self.area is not None:
            documents.whole_number(self.area, "area", 1 << 40)
        if self.motion_fps is not None:
            documents.whole_number(self.motion_fps, "motion_fps")

    def drawn(self, frames: int) -> int:
        """Return how many frames it draws where `frames` are wanted."""
        if self.longest is None:
            return self.frames
        return min(max(frames, 3), self.longest)

    def evaluations(self, sampling: Sampling) -> int:
        """Return the first number of `work`."""
        return self.work(sampling).evaluations

    def work(self, sampling: Sampling) -> Work:
        """Return sampling.settings.work on this model's path."""
        return work(sampling, begins_empty=self.begins_empty, ends_clean=self.ends_clean)

    def inversions(self, sampling: Sampling) -> int:
        """Return sampling.settings.inversions on this model's path."""
        return inversions(sampling, self.ends_clean)


@dataclass(frozen=True, kw_only=True)
class Motion:
    """The numbers a model may be given about the whole clip.

    fps: as trained, not the playback rate
    bucket: amount of motion, 0 to 255
    noise_aug: standard deviation of the noise on the conditioning picture
    fs: DynamiCrafter's own number, frames a second or (its 256 model) a stride in frames; None: as
        it was trained
    """

    fps: int = 7
    bucket: int = 127
    noise_aug: float = 0.02
    fs: int | None = None


STANDARD_MOTION = Motion()
OnFrames = Callable[[int, int], None]
"""Callback on_frames(frames decoded, frames in all)."""


class Backbone(Protocol):
    """A Denoiser with its codec, its conditions and its schedule. Shapes as in tensor.py."""

    spec: Spec
    network: nn.Module
    device: torch.device
    """The device that it computes on and answers from, wherever its weights lie."""
    reverse: Mapping[nn.Module, Delta]
    """Differences of the time-reversed half by temporal attention layer; empty: none known."""

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        """Predict x0, latents in, latents out."""

    def path(self, steps: int, schedule: str | None = None) -> Path:
        """Return the path from pure noise to data in `steps` moves.

        schedule: of Spec.schedules; None: the first, and for a model without a choice the only one
        """

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size [h, w] of a picture's latents; height and width in pixels."""

    def encode(self, pixels: Tensor) -> Tensor:
        """Encode [B, F, 3, H, W] to latents in the scaling the network works in."""

    def decode(
        self, z: Tensor, keyframes: Keyframes | None = None, on_frames: OnFrames | None = None
    ) -> Tensor:
        """Decode latents to pixels [B, F, 3, H, W]; a codec may look at the keyframes."""

    def guess(self, keyframes: Keyframes) -> Tensor:
        """Return latents of the keyframes' motion-compensated in-betweens, [1, F, C, h, w].

        Sampling starts there when not from pure noise. For keyframes at both ends.
        """

    def condition(
        self,
        keyframes: Keyframes,
        text: Tensor | None = None,
        motion: Motion = STANDARD_MOTION,
        noise: Tensor | None = None,
    ) -> Cond:
        """Return a task's conditions. noise: unit normal [1, 3, H, W], for motion.noise_aug."""

    def null(self, cond: Cond, drop: Collection[str] = ("text", "image")) -> Cond:
        """Return conditions of the same kinds that know nothing of what is dropped."""

    def modules(self, kind: str) -> Sequence[nn.Module]:
        """Return the modules of a kind, in network order.

        kind: "deep" (the U-Net's part below its first resolution; empty where there is none),
            "temporal_attention", of a temporal block the "first_temporal_attention",
            "spatial_attention", "cross_attention", "block" (transformer blocks; their input is [(B
            F), N, D] or [B, F, h, w, D]) or "block_along_time" (those of them whose input is [(B
            N), F, D])
        """


class Reader(Protocol):
    """A Backbone whose spec says `text`, which also embeds captions."""

    def text_embedding(self, captions: Sequence[str]) -> Tensor:
        """Embed n captions as [n, L, D]. Raise WeightsError if something for it is missing."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """The record of a kind of model: all that is known of it before it is loaded.

    It stands as MODEL in the spec.py of the kind's folder. What needs torch is named, not imported:
    "module:function".

    class_name: by which a folder's model_index.json tells that it is one
    facts: folder -> Spec
    parts: folder -> the sizes of its networks
    rates: of time and memory
    decoded: frames that it decodes at a time by default
    factor: pixels along the side of a latent; None: Spec.factor
    codec_item: bytes of a number in the autoencoder; None: as everywhere
    load: as `load` below
    words: as `check_words` below; "": it reads no captions
    convert: makes a folder of a released checkpoint; "": the files are used as they are
    copies: whether a converted folder needs the checkpoint no more
    """

    class_name: str
    facts: Callable[[FilePath], Spec]
    parts: Callable[[FilePath], Parts]
    rates: Rates
    decoded: int = 1
    factor: int | None = None
    codec_item: int | None = None
    load: str
    words: str = ""
    convert: str = ""
    copies: bool = True


@cache
def models() -> Mapping[str, Model]:
    """Return the records of all kinds by name, which is that of their folder beside this file."""
    room = __name__.rpartition(".")[0]
    beside = pkgutil.iter_modules(import_module(room).__path__)
    specs = {each.name: import_module(f"{room}.{each.name}.spec") for each in beside if each.ispkg}
    return {name: spec.MODEL for name, spec in specs.items()}


def model_of(folder: FilePath) -> Model:
    """Return the record for a model folder. Raise WeightsError if its kind is unknown."""
    name = read_json(folder, "model_index.json").get("_class_name")
    known = {model.class_name: model for model in models().values()}
    if not isinstance(name, str) or name not in known:
        raise WeightsError(
            f"{folder}: models of class {name} are not supported",
            f"supported: {', '.join(known)}",
            subject=str(folder),
        )
    return known[name]


def function(place: str) -> Callable[..., Any]:
    """Return the function of a record that needs torch. place: "module:function"."""
    module, name = place.split(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def load(
    folder: FilePath,
    *,
    device: str = "auto",
    dtype: str = "auto",
    reverse: Mapping[str, Tensor] | None = None,
    decode_chunk: int | None = None,
    motion: FilePath | None = None,
) -> Backbone:
    """Load the model in a folder.

    reverse: parameter name -> delta; see weights.delta
    motion: a folder of learned motion, for a kind that is guided by motion

    Raises WeightsError if files are missing, do not fit or hold values that are not numbers.
    """
    from vtg_cli.backbones.finite import check_weights

    guided = {"motion": motion} if motion else {}
    backbone: Backbone = function(model_of(folder).load)(
        folder, device=device, dtype=dtype, reverse=reverse, decode_chunk=decode_chunk, **guided
    )
    alone = {"network": backbone.network}
    check_weights(folder, getattr(backbone, "parts", lambda: alone)())
    return backbone


def check_words(folder: FilePath, captions: Sequence[str]) -> None:
    """Raise WeightsError if the model in a folder reads captions and lacks what these take."""
    place = model_of(folder).words
    if place:
        function(place)(folder, captions)


def spec_of(folder: FilePath) -> Spec:
    """Read the facts of the model in a folder from its JSON files alone."""
    return model_of(folder).facts(folder)


def read_json(folder: FilePath, name: str) -> dict[str, Any]:
    """Read a JSON file of a model folder. Raise WeightsError."""
    file = folder / name
    try:
        content = documents.json_file(file)
    except FileNotFoundError:
        raise WeightsError(
            f"{folder} has no {name}",
            "a model folder must be in diffusers layout (model_index.json, unet/, vae/, ...)",
            subject=str(file),
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{file} cannot be read: {documents.reason(error)}", subject=str(file)
        ) from None
    return content
