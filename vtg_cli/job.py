"""What a person asked for: one frozen dataclass per command, the same in Python, JSON and argv.

`validated` checks everything that can be known without looking at files; below it code trusts the
values. `to_json` and `from_json` are inverse: fractions travel as "24000/1001", tuples as lists,
and a document with an unknown field or one of another type is refused by the field's name.

A document may be older than a field. So a new field has a default, and that default does what was
done before the field came; where it cannot, sidecar.VERSION is raised. `absent` names such fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, TypeVar, get_args

from vtg_cli import timing
from vtg_cli.errors import UsageError, naming
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
    Init,
    Memory,
    Method,
    OnBad,
    Rotate,
    Schedule,
    Solver,
)
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.records import built, missing, plain
from vtg_cli.rungs import AWAY
from vtg_cli.sampling.settings import (
    BETWEEN_INVERTED,
    OWN_SOLVER,
    Sampling,
    fusion_weights,
)

MAX_SIDE = 16384  # pixels
MAX_FRAMES = 100_000  # of a segment
MAX_SEED = 2**63 - 1
MAX_CANDIDATES = 100
MAX_REUSE = 100
NEGATIVE_PROMPT = (
    "Distorted, discontinuous, Ugly, blurry, low resolution, motionless, static, disfigured, "
    "disconnected limbs, Ugly faces, incomplete arms"
)
"""VTG's, which is the stock text of I2VGen-XL."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?|xpu(:\d+)?", re.ASCII)


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
MAX_FACTOR = 1000

J = TypeVar("J", bound=Interpolate | Timeline | Retime | Bridge)


def validated(job: J) -> J:
    """The job itself; UsageError naming the first option whose value cannot be."""
    if isinstance(job, Timeline):
        _check_segments(job)
    elif isinstance(job, Retime):
        _check_retime(job)
    elif isinstance(job, Bridge):
        _check_bridge(job)
    else:
        _check(job)
    return job


def _check_retime(job: Retime) -> None:
    _check(job.between)
    _within("--factor", job.factor, Fraction(1, MAX_FACTOR), MAX_FACTOR)
    _within("--fps", job.fps, Fraction(1, 1000), timing.MAX_FPS)
    _within("--duration", job.duration, Fraction(1, 1000), 24 * 3600)
    _one_of("--audio", job.audio, get_args(Audio))
    _one_of("--cuts", job.cuts, get_args(Cuts))
    _one_of("--duplicates", job.duplicates, get_args(Duplicates))
    if job.duration is not None and job.factor != 1:
        raise UsageError(
            "--factor and --duration both say how long the clip lasts",
            "leave one of them out",
            subject="--duration",
        )


def _check_bridge(job: Bridge) -> None:
    _check(job.between)
    _within("--trim", job.trim, 0, MAX_FRAMES)
    _one_of("--copy", job.copy, get_args(Copy))
    _one_of("--audio", job.audio, get_args(Fade))
    if job.first.path == job.last.path == "-":
        raise UsageError(
            "standard input can be one of the clips, not both", "name the other", subject="-"
        )


def _check_segments(job: Timeline) -> None:
    shared = ("fps", "width", "height", "fit", "background")
    for i, each in enumerate(job.segments):
        with naming(f"segment {i + 1}"):
            validated(each)
            if len(each.keyframes) != 2 or len(each.frames or ()) != 1 or each.loop:
                raise UsageError("it has two keyframes and one number of frames")
            if each.fps is None or each.output is not None or each.encoding != Encoding():
                raise UsageError("it has a frame rate, and no output of its own")
            if i and each.keyframes[0] != job.segments[i - 1].keyframes[1]:
                raise UsageError("it has to begin with the keyframe the one before ends with")
            for name in shared:
                if getattr(each, name) != getattr(job.segments[0], name):
                    raise UsageError(f"its {name} is another than that of segment 1")
    if not job.segments:
        raise UsageError("a timeline has one segment or more", subject="segments")
    _check_overwriting(job.encoding)


def _check(job: Interpolate) -> None:
    if len(job.keyframes) < 2:
        raise UsageError(
            f"{'a loop' if job.loop else 'in-betweening'} needs two keyframes or more, "
            f"{len(job.keyframes)} given",
            "vtg interpolate first.png last.png -o clip.mp4",
            subject="keyframes",
        )
    timing.easing(job.ease)
    _check_text(job)
    _one_of("--fit", job.fit, get_args(Fit))
    _one_of("--endpoints", job.endpoints, get_args(Endpoints))
    _one_of("--detail", job.detail, get_args(Detail))
    _one_of("--dtype", job.dtype, get_args(Dtype))
    _one_of("--memory", job.memory, get_args(Memory))
    _check_retakes(job)
    _within("--width", job.width, 1, MAX_SIDE)
    _within("--height", job.height, 1, MAX_SIDE)
    _within("--decode-chunk", job.decode_chunk, 1, 10_000)
    for count in job.frames or ():
        _within("--frames", count, 2, MAX_FRAMES)
    _within("--fps", job.fps, Fraction(1, 1000), timing.MAX_FPS)
    _within("--duration", job.duration, Fraction(1, 1000), 24 * 3600)
    if not _DEVICE.fullmatch(job.device):
        raise UsageError(
            f"--device {job.device} is no device",
            "use auto, cpu, cuda, cuda:1 or mps",
            subject="--device",
        )
    if job.reverse_base is not None and job.reverse is None:
        raise UsageError(
            "--reverse-base means nothing without --reverse",
            "name the tuned U-Net with --reverse",
            subject="--reverse-base",
        )
    if job.fast and job.lora == "fit":
        raise UsageError(
            "--fast and --lora fit exclude each other", "leave one of them out", subject="--fast"
        )
    if job.memory in AWAY and job.lora == "fit":
        raise UsageError(
            f"--memory {job.memory} and --lora fit exclude each other",
            "a network whose weights come and go cannot be trained: use auto, full or chunked",
            subject="--memory",
        )
    for option, other in (("--fast", job.fast), ("--reuse", job.sampling.reuse > 1)):
        if job.quality and other:
            raise UsageError(
                f"--quality and {option} exclude each other",
                "leave one of them out",
                subject="--quality",
            )
    if job.at is not None:
        _check_at(job, job.at)
    _check_colour(job.background)
    _check_sampling(job.sampling)
    _check_overwriting(job.encoding)


def _check_at(job: Interpolate, at: tuple[Fraction, ...]) -> None:
    if job.frames is not None or job.duration is not None or job.loop:
        other = "--frames" if job.frames else "--duration" if job.duration else "--loop"
        raise UsageError(
            f"{other} and keyframes with a time of their own exclude each other",
            "leave one of them out",
            subject=other,
        )
    if len(at) != len(job.keyframes):
        raise UsageError(f"{len(at)} times for {len(job.keyframes)} keyframes", subject="at")
    timing.check_rising(at)


def _check_overwriting(encoding: Encoding) -> None:
    if encoding.overwrite and encoding.skip_existing:
        raise UsageError(
            "--overwrite and --skip-existing exclude each other",
            "give one of them",
            subject="--overwrite",
        )


def _check_retakes(job: Interpolate) -> None:
    _one_of("--on-bad", job.on_bad, get_args(OnBad))
    _within("--candidates", job.candidates, 2, MAX_CANDIDATES)
    if job.candidates is not None and job.on_bad != "retry":
        raise UsageError(
            f"--candidates means nothing to --on-bad {job.on_bad}",
            "give --on-bad retry beside it",
            subject="--candidates",
        )


def _check_text(job: Interpolate) -> None:
    if len(job.prompts) not in (0, 1, len(job.keyframes)):
        raise UsageError(
            f"{len(job.prompts)} captions for {len(job.keyframes)} keyframes",
            "give one for all of them, or one for each",
            subject="--prompt",
        )
    _check_curve("--text-curve", job.text_curve, ("hold",))


def _check_curve(option: str, name: str, others: tuple[str, ...]) -> None:
    if name in others:
        return
    try:
        timing.easing(name)
    except UsageError as error:
        known = ", ".join((*others, *timing.CURVES))
        raise UsageError(
            f"{option} {name} is not a curve",
            f"choose {known} or cubic-bezier(x1,y1,x2,y2)",
            subject=option,
        ) from error


def _check_sampling(s: Sampling) -> None:
    if s.method is not None:
        _one_of("--method", s.method, get_args(Method))
    _one_of("--solver", s.solver, get_args(Solver))
    if s.method in OWN_SOLVER and s.solver != "euler":
        raise UsageError(
            f"--solver means nothing to --method {s.method}",
            "leave it out; the method draws fresh noise at every step",
            subject="--solver",
        )
    if s.schedule is not None:
        _one_of("--schedule", s.schedule, get_args(Schedule))
    _within("--reuse", s.reuse, 1, MAX_REUSE)
    if s.reuse > 1 and s.solver == "heun":
        raise UsageError(
            "--reuse and --solver heun exclude each other",
            "leave one of them out; heun looks at every step twice",
            subject="--reuse",
        )
    if s.method in BETWEEN_INVERTED:
        _check_inverted(s)
    try:
        fusion_weights(s.fusion)
    except ValueError:
        raise UsageError(
            f"--fusion {s.fusion} is not a weight",
            "use mean, linear, a number from 0 to 1 or several such as 1,0.8,0",
            subject="--fusion",
        ) from None
    _one_of("--rotate", s.rotate, get_args(Rotate))
    _check_curve("--image-curve", s.image_curve, ("off", "hold"))
    if s.init is not None:
        _one_of("--init", s.init, get_args(Init))
    if s.init in ("random", "slerp") and s.strength is not None and s.strength < 1:
        raise UsageError(
            f"--strength {s.strength} and --init {s.init} exclude each other",
            "leave one of them out; only --init flow starts part of the way",
            subject="--strength",
        )
    if s.init != "slerp" and s.init_until is not None:
        raise UsageError(
            "--init-until means nothing without --init slerp",
            "leave it out",
            subject="--init-until",
        )
    _within("--init-until", s.init_until, 0, 1)
    _within("--steps", s.steps, 1, 1000)
    _within("--strength", s.strength, 0.01, 1)
    _within("--temperature", s.temperature, 0, 1)
    _within("--renoise", s.renoise, 0, 100)
    _within("--renoise-until", s.renoise_until, 0, 1)
    _within("--motion-fps", s.motion_fps, 1, 60)
    _within("--motion-bucket", s.motion_bucket, 0, 255)
    _within("--noise-aug", s.noise_aug, 0, 1)
    _within("--seed", s.seed, 0, MAX_SEED)
    for scale in s.guidance or ():
        _within("--guidance", scale, 0, 100)
    first, last = s.guidance_span
    if not 0 <= first < last <= 1:
        raise UsageError(
            f"--guidance-span {first:g}:{last:g} is no share of the steps",
            "write two numbers from 0 to 1 in rising order, such as 0:0.6",
            subject="--guidance-span",
        )


def _check_inverted(s: Sampling) -> None:
    """Of a method that starts between the inverted keyframes and nowhere else."""
    for option, odd in (
        ("--init", s.init not in (None, "slerp")),
        ("--init-until", bool(s.init_until)),
        ("--strength", s.strength not in (None, 1)),
    ):
        if odd:
            raise UsageError(
                f"{option} means nothing to --method {s.method}",
                "leave it out; the method starts between both inverted keyframes",
                subject=option,
            )


def _check_colour(name: str) -> None:
    from PIL import ImageColor

    try:
        ImageColor.getrgb(name)
    except ValueError:
        raise UsageError(
            f"--background {name} is no colour",
            "use a name such as white or a code such as #ff8800",
            subject="--background",
        ) from None


def _within(
    option: str, value: float | Fraction | None, low: float | Fraction, high: float
) -> None:
    if value is not None and not low <= value <= high:
        raise UsageError(
            f"{option} {value} is out of range",
            f"it goes from {float(low):g} to {high}",
            subject=option,
        )


def _one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        close = get_close_matches(value, choices, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"{option} {value} is not known", f"{meant}choose {', '.join(choices)}", subject=option
        )


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
    if kind not in KINDS:
        raise UsageError(
            f"job.kind {kind!r} is not known", f"known: {', '.join(KINDS)}", subject="job.kind"
        )
    rest = {name: value for name, value in document.items() if name != "kind"}
    return validated(built(KINDS[kind], rest, "job"))


def absent(document: Mapping[str, Any]) -> list[str]:
    """Dotted names of the fields that a document `from_json` has read left to their defaults."""
    return missing(KINDS[document["kind"]], document)
