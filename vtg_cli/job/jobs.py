"""The kinds of jobs a person may ask for: one frozen dataclass each, the same in Python, JSON and
argv.

Their options stand in options.py, once each; checks.py holds the rules between them. Every kind
tells its paths (`inputs`, `output`, `renamed`), so that nobody asks which kind a job is of.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar

from vtg_cli.ground.literals import Audio, Copy, Cuts, Duplicates, Fade
from vtg_cli.ground.option import OUTPUT, Opt
from vtg_cli.job.engine import Engine, Judging, Machine
from vtg_cli.job.options import Captions, Picture, Timing
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.encoding import Encoding, Input

if TYPE_CHECKING:
    from typing_extensions import Self

NEGATIVE_PROMPT = (
    "Distorted, discontinuous, Ugly, blurry, low resolution, motionless, static, disfigured, "
    "disconnected limbs, Ugly faces, incomplete arms"
)
"""VTG's negative prompt, which is the stock text of I2VGen-XL."""

Rename = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Interpolate(Machine, Judging, Picture, Engine, Captions, Timing):
    """A job that takes keyframes and draws the frames between them."""

    keyframes: Annotated[
        tuple[str, ...],
        Opt(
            "The keyframes in order, two or more: png, jpg, webp, tiff, bmp, gif, avif. "
            "Each may say when it is shown, in place of --frames and --duration: a.png@0 "
            "b.png@1.5s c.png@3s, or on which frame: a.png@0f b.png@36f.",
            "",
            "PICTURE...",
            scope="run",
        ),
    ]
    output: Annotated[
        str | None,
        Opt(
            "Where the clip goes; the suffix decides the format: .mp4 .mov (ProRes) .mkv "
            "(lossless) .webm .gif .webp .apng, or numbered pictures as in out/%04d.png. - "
            "is stdout.",
            OUTPUT,
            metavar="FILE",
            scope="clip",
            flags=("--output", "-o"),
            example="clip.mp4",
            read=os.fspath,
            common=True,
        ),
    ] = None
    sampling: Sampling = field(default_factory=Sampling)
    encoding: Encoding = field(default_factory=Encoding)

    clips: ClassVar[tuple[str, ...]] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pictures or clips it is made from."""
        return self.keyframes

    def written_to(self, output: str, encoding: Encoding) -> Self:
        """Return the job with another output."""
        return replace(self, output=output, encoding=encoding)

    def renamed(self, rename: Rename, model: Rename) -> Self:
        """Return the job with other file names, and other names of models and weights.

        What is not a file keeps its name.
        """
        return replace(
            self,
            keyframes=tuple(_other(name, rename) for name in self.keyframes),
            output=None if self.output is None else _other(self.output, rename),
            model=model(self.model),
            reverse=self.reverse and model(self.reverse),
            reverse_base=self.reverse_base and model(self.reverse_base),
            lora=model(self.lora),
        )


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Segments with settings of their own, end to end.

    segments: one job for each: two keyframes, of which the first is the one before's last, and one
        number of frames; all of one rate and one size. Where they go and how they are encoded is
        left to the timeline.
    """

    segments: tuple[Interpolate, ...]
    output: str | None = None
    encoding: Encoding = field(default_factory=Encoding)

    clips: ClassVar[tuple[str, ...]] = ()

    @property
    def keyframes(self) -> tuple[str, ...]:
        """The keyframes, each once, in order."""
        return (self.segments[0].keyframes[0], *(each.keyframes[1] for each in self.segments))

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.keyframes

    @property
    def background(self) -> str:
        return self.segments[0].background

    def written_to(self, output: str, encoding: Encoding) -> Self:
        return replace(self, output=output, encoding=encoding)

    def renamed(self, rename: Rename, model: Rename) -> Self:
        segments = tuple(each.renamed(rename, model) for each in self.segments)
        return replace(self, segments=segments, output=self.output and _other(self.output, rename))


class _OfClips:
    """A job of clips: `between` says how frames between frames of the clips are drawn, and where
    the clip goes.
    """

    between: Interpolate

    @property
    def _inputs(self) -> dict[str, Input]:
        return {name: each for name, each in vars(self).items() if isinstance(each, Input)}

    @property
    def clips(self) -> tuple[str, ...]:
        return tuple(each.path for each in self._inputs.values())

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.clips

    @property
    def output(self) -> str | None:
        return self.between.output

    @property
    def encoding(self) -> Encoding:
        return self.between.encoding

    def written_to(self, output: str, encoding: Encoding) -> Self:
        return self._with(between=self.between.written_to(output, encoding))

    def renamed(self, rename: Rename, model: Rename) -> Self:
        clips = {
            name: replace(each, path=_other(each.path, rename))
            for name, each in self._inputs.items()
        }
        return self._with(**clips, between=self.between.renamed(rename, model))

    def _with(self, **changes: object) -> Self:
        return replace(self, **changes)  # type: ignore[type-var]  # every kind is a dataclass


@dataclass(frozen=True, kw_only=True)
class Retime(_OfClips):
    """A job that shows a clip at another pace or rate.

    clip: the clip that is read
    between: how the frames between its frames are drawn, and where the clip goes
    factor: how many times as long it lasts
    duration: seconds it lasts, instead of a factor
    fps: frames a second; None: the clip's own
    audio: "stretch" to the new length, "keep" its pace, "drop"
    cuts: "hold" the last frame of a scene, or "ignore" scenes
    duplicates: "smooth" passes over repeated frames, "keep" shows them
    """

    clip: Input
    between: Interpolate
    factor: Fraction = Fraction(1)
    duration: Fraction | None = None
    fps: Fraction | None = None
    audio: Audio = "stretch"
    cuts: Cuts = "hold"
    duplicates: Duplicates = "smooth"


@dataclass(frozen=True, kw_only=True)
class Bridge(_OfClips):
    """A job that leads from one clip to another in a new clip.

    first, last: the clips
    between: how the way is drawn, and where the clip goes; fps: None is the first clip's
    from_, to: seconds of the first clip's last frame and the last clip's first; None: found
    trim: frames left out at the end of the first and the start of the last
    copy: "auto" keeps what was encoded wherever it can, "never" encodes all anew
    audio: "fade" or "drop"
    """

    first: Input
    last: Input
    between: Interpolate
    from_: Fraction | None = None
    to: Fraction | None = None
    trim: int = 0
    copy: Copy = "auto"
    audio: Fade = "fade"


@dataclass(frozen=True, kw_only=True)
class Piped(_OfClips):
    """Keyframes that arrive one after the other; what is gone cannot be made again, so that this
    kind has no report and none of KINDS.

    source:  what arrives
    between: how one is led to the next, and where the clip goes
    """

    source: Input
    between: Interpolate


def _other(name: str, rename: Rename) -> str:
    return name if name == "-" else rename(name)


Drawing = Interpolate | Timeline
"""Jobs of keyframes; the others are of clips."""
Job = Drawing | Retime | Bridge
KINDS: dict[str, type[Job]] = {
    "interpolate": Interpolate,
    "timeline": Timeline,
    "retime": Retime,
    "bridge": Bridge,
}

J = TypeVar("J", bound=Interpolate | Timeline | Retime | Bridge)
