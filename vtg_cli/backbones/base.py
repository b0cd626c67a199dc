"""What a model is to the rest of the package: a denoiser with everything that speaks its latent
language.

Concrete models are reached by name only; this module stays free of torch so that plans can read a
model's facts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Protocol

from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents
from vtg_cli.ground.literals import Schedule as NoiseSchedule
from vtg_cli.job.methods import DEFAULTS, MethodDefaults
from vtg_cli.job.sampling import Sampling
from vtg_cli.sampling.settings import Work, inversions, work

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from vtg_cli.conditioning.cond import Cond
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.sampling.fusion import Delta
    from vtg_cli.sampling.level import Level
    from vtg_cli.sampling.path import Path


@dataclass(frozen=True)
class Kind:
    """The code for a kind of model folder, "module:function" each.

    load: as `load` below
    facts: folder -> Spec, without torch
    words: as `check_words` below for a kind that reads captions, without torch; empty where it
        reads none
    """

    load: str
    facts: str
    words: str = ""


KINDS = {
    "StableVideoDiffusionPipeline": Kind(
        "vtg_cli.backbones.svd:load", "vtg_cli.backbones.base:unet_facts"
    ),
    "AnimateLCM-SVD": Kind("vtg_cli.backbones.svd:load", "vtg_cli.backbones.animatelcm:spec_of"),
    "TinyVideoModel": Kind(
        "vtg_cli.backbones.tiny.weights:load", "vtg_cli.backbones.tiny.spec:spec_of"
    ),
    "DynamiCrafter": Kind(
        "vtg_cli.backbones.dynamicrafter.weights:load",
        "vtg_cli.backbones.dynamicrafter.spec:spec_of",
        "vtg_cli.backbones.dynamicrafter.vocabulary:check",
    ),
}
"""Kinds of models by the class that a folder's model_index.json names."""


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


def kind_of(folder: FilePath) -> Kind:
    """Return the kind of a model folder. Raise WeightsError if it is unknown."""
    name = _read(folder, "model_index.json").get("_class_name")
    if not isinstance(name, str) or name not in KINDS:
        raise WeightsError(
            f"{folder}: models of class {name} are not supported",
            f"supported: {', '.join(KINDS)}",
            subject=str(folder),
        )
    return KINDS[name]


def _function(place: str) -> Callable[..., Any]:
    module, name = place.split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def load(
    folder: FilePath,
    *,
    device: str = "auto",
    dtype: str = "auto",
    reverse: Mapping[str, Tensor] | None = None,
    decode_chunk: int | None = None,
) -> Backbone:
    """Load the model in a folder. reverse: parameter name -> delta; see weights.delta.

    Raises WeightsError if files are missing, do not fit or hold values that are not numbers.
    """
    from vtg_cli.backbones.finite import check_weights

    backbone: Backbone = _function(kind_of(folder).load)(
        folder, device=device, dtype=dtype, reverse=reverse, decode_chunk=decode_chunk
    )
    alone = {"network": backbone.network}
    check_weights(folder, getattr(backbone, "parts", lambda: alone)())
    return backbone


def check_words(folder: FilePath, captions: Sequence[str]) -> None:
    """Raise WeightsError if the model in a folder reads captions and lacks what these take."""
    place = kind_of(folder).words
    if place:
        _function(place)(folder, captions)


def spec_of(folder: FilePath) -> Spec:
    """Read the facts of the model in a folder from its JSON files alone."""
    spec: Spec = _function(kind_of(folder).facts)(folder)
    return spec


def unet_facts(folder: FilePath) -> Spec:
    """Read the facts of a folder in diffusers layout."""
    with documents.reading(folder, WeightsError, "fetch the model again", "has odd configurations"):
        return _unet_facts(folder)


def _unet_facts(folder: FilePath) -> Spec:
    unet, vae = _read(folder, "unet/config.json"), _read(folder, "vae/config.json")
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    side = unet["sample_size"]
    height, width = side if isinstance(side, list) else (side, side)
    return Spec(
        name=folder.name,
        frames=unet["num_frames"],
        fps=Fraction(7),
        channels=unet["out_channels"],
        factor=factor,
        area=height * width * factor**2,
        posterior=True,
        log_sigma=(0.7, 1.6),
        schedules=("karras", "ays", "lcm"),
        motion_fps=7,
        unused=frozenset({"--rotate"}),
    )


def _read(folder: FilePath, name: str) -> dict[str, Any]:
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
