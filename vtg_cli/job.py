"""What a person asked for: one frozen dataclass per command, the same in Python, JSON and argv.

`validated` checks everything that can be known without looking at files; below it code trusts the
values. `to_json` and `from_json` are inverse: fractions travel as "24000/1001", tuples as lists,
and a document with an unknown field or one of another type is refused by the field's name.

A document may be older than a field. So a new field has a default, and that default does what was
done before the field came; where it cannot, sidecar.VERSION is raised. `absent` names such fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar

from vtg_cli.errors import UsageError
from vtg_cli.literals import (
    Audio,
    Copy,
    Cuts,
    Detail,
    Dtype,
    Duplicates,
    Endpoints,
    Fade,
    Fit,
    Memory,
    OnBad,
)
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.records import built, missing, plain
from vtg_cli.sampling.settings import (
    Sampling,
)
from vtg_cli.validation import check_bridge, check_interpolate, check_retime, check_timeline

NEGATIVE_PROMPT = (
    "Distorted, discontinuous, Ugly, blurry, low resolution, motionless, static, disfigured, "
    "disconnected limbs, Ugly faces, incomplete arms"
)
"""VTG's, which is the stock text of I2VGen-XL."""


@dataclass(frozen=True, kw_only=True)
class Interpolate:
    """Keyframes in, the frames between them out.

    keyframes: files, 2 or more
    output:    a file, a "%04d.png" pattern, "-" for stdout; None: nothing is written
    frames:    of each segment, both its keyframes included; one number or one per segment
    duration:  seconds of the whole clip; fps: frames a second; see timing.schedule
    at:        seconds at which each keyframe stands, the first at 0, in place of these two
    ease:      a CSS easing curve within every segment
    carry:     motion goes on through the keyframes within the clip: no pause, no corner
    model:     "auto", "tiny", "flow", a catalogue name, a folder or a hub id
    reverse:   reverse-motion weights: a delta file, a tuned U-Net folder, a name or hub id
    reverse_base: what the tuned U-Net was made from, a folder or a name; None: the catalogue's
    prompts:   captions: none, one for all keyframes or one for each; for models that read
    negative_prompt: what to keep away from; None: NEGATIVE_PROMPT where there are captions
    text_curve: how one caption turns into the next: "linear", "hold" or an easing curve
    lora:      "off"; "fit": the network learns each keyframe before it draws; or a folder that
               holds what an earlier fit kept
    fast:      fewer steps, on a schedule for few, where these are left open, and no fit
    compile:   the model's transformer blocks are compiled, which takes a while and changes nothing
    quality:   more steps where their number is left open, and nothing left out
    width, height: of the clip in pixels; None: follows from the keyframes and the model
    fit:       what happens to keyframes of another shape; background: colour of padding and of
               what lies under transparent pixels
    endpoints: "exact" pins the keyframes, "blend" fades into them, "model" leaves its frames be
    detail:    "keyframes" brings a clip a model drew smaller to the keyframes' own size, with their
               texture; "model" leaves it at the model's
    decode_chunk: frames the model decodes at once; None: its own choice
    memory:    a rung of the memory ladder (rungs.py); "auto" goes down it as far as it must
    on_bad:    what happens to a segment that is no in-between (metrics/segment.py): "warn" says so,
               "retry" draws it again under other seeds, "fallback" with flow, "fail" ends the job
    candidates: how often a segment is drawn under "retry", the first time included; None: 4 times
    """

    keyframes: tuple[str, ...]
    output: str | None = None
    frames: tuple[int, ...] | None = None
    duration: Fraction | None = None
    at: tuple[Fraction, ...] | None = None
    fps: Fraction | None = None
    loop: bool = False
    ease: str = "linear"
    carry: bool = False
    model: str = "auto"
    reverse: str | None = None
    reverse_base: str | None = None
    prompts: tuple[str, ...] = ()
    negative_prompt: str | None = None
    text_curve: str = "linear"
    lora: str = "off"
    fast: bool = False
    quality: bool = False
    compile: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    width: int | None = None
    height: int | None = None
    fit: Fit = "crop"
    background: str = "white"
    endpoints: Endpoints = "exact"
    detail: Detail = "model"
    decode_chunk: int | None = None
    memory: Memory = "auto"
    device: str = "auto"
    dtype: Dtype = "auto"
    on_bad: OnBad = "warn"
    candidates: int | None = None
    encoding: Encoding = field(default_factory=Encoding)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Segments with settings of their own, end to end.

    segments: one job for each: two keyframes, of which the first is the one before's last, and one
              number of frames; all of one rate and one size. Where they go and how they are
              encoded is left to the timeline.
    """

    segments: tuple[Interpolate, ...]
    output: str | None = None
    encoding: Encoding = field(default_factory=Encoding)

    @property
    def keyframes(self) -> tuple[str, ...]:
        """Each once, in order."""
        return (self.segments[0].keyframes[0], *(each.keyframes[1] for each in self.segments))

    @property
    def background(self) -> str:
        return self.segments[0].background


@dataclass(frozen=True, kw_only=True)
class Retime:
    """A clip in, the same clip at another pace or rate out.

    clip:       what comes in
    between:    how the frames between its frames are drawn, and where the clip goes
    factor:     how many times as long it lasts; duration: seconds it lasts, instead
    fps:        frames a second; None: the clip's own
    audio:      "stretch" to the new length, "keep" its pace, "drop"
    cuts:       "hold" the last frame of a scene, or "ignore" scenes
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
class Bridge:
    """Two clips in, one out that leads from the first to the second.

    first, last: the clips
    between:     how the way is drawn, and where the clip goes; fps: None is the first clip's
    from_, to:   seconds of the first clip's last frame and the last clip's first; None: found
    trim:        frames left out at the end of the first and the start of the last
    copy:        "auto" keeps what was encoded wherever it can, "never" encodes all anew
    audio:       "fade" or "drop"
    """

    first: Input
    last: Input
    between: Interpolate
    from_: Fraction | None = None
    to: Fraction | None = None
    trim: int = 0
    copy: Copy = "auto"
    audio: Fade = "fade"


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


def validated(job: J) -> J:
    """The job itself; UsageError naming the first option whose value cannot be."""
    if isinstance(job, Timeline):
        check_timeline(job)
    elif isinstance(job, Retime):
        check_retime(job)
    elif isinstance(job, Bridge):
        check_bridge(job)
    else:
        check_interpolate(job)
    return job


def to_json(job: Job) -> dict[str, Any]:
    """The job as plain JSON values, its kind first."""
    kind = next(name for name, made in KINDS.items() if isinstance(job, made))
    return {"kind": kind, **plain(job)}


def from_json(document: object) -> Job:
    """The job a `to_json` document describes, validated; UsageError naming what is off.

    Fields that the document lacks have their defaults; those without one are missing.
    """
    if not isinstance(document, Mapping):
        raise UsageError("a job is a JSON object", subject="job")
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(
            f"job.kind {kind!r} is not known", f"known: {', '.join(KINDS)}", subject="job.kind"
        )
    rest = {name: value for name, value in document.items() if name != "kind"}
    return validated(built(KINDS[kind], rest, "job"))


def absent(document: Mapping[str, Any]) -> list[str]:
    """Dotted names of the fields that a document `from_json` has read left to their defaults."""
    return missing(KINDS[document["kind"]], document)
