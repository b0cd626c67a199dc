"""The checks of a job that need no files; below them code trusts the values.

Each raises UsageError naming the first option whose value cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, get_args

from vtg_cli.errors import UsageError, naming
from vtg_cli.ground.literals import (
    Audio,
    Copy,
    Cuts,
    Duplicates,
    Fade,
)
from vtg_cli.ground.option import options_of
from vtg_cli.job import easing, times
from vtg_cli.job.jobs import Bridge, Interpolate, J, Retime, Timeline
from vtg_cli.job.methods import METHODS
from vtg_cli.job.sampling import (
    Sampling,
    fusion_weights,
)
from vtg_cli.machine.rungs import AWAY
from vtg_cli.media.encoding import Encoding

MAX_FACTOR = 1000
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?|xpu(:\d+)?", re.ASCII)


def validated(job: J) -> J:
    """Return the job itself. Raise UsageError naming the first option with an impossible value."""
    CHECKS[type(job)](job)
    return job


def check_interpolate(job: Interpolate) -> None:
    if len(job.keyframes) < 2:
        raise UsageError(
            f"{'a loop' if job.loop else 'in-betweening'} needs two keyframes or more, "
            f"{len(job.keyframes)} given",
            "vtg interpolate first.png last.png -o clip.mp4",
            subject="keyframes",
        )
    check_values(job)
    easing.easing(job.ease)
    _check_text(job)
    _check_retakes(job)
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


def check_values(job: Interpolate) -> None:
    """Check each option by itself against its choices and range."""
    for option in options_of(Interpolate).values():
        value = option.of(job)
        if value is None:
            continue
        if option.choices:
            _one_of(option.flag, value, option.choices)
        if option.opt.low is not None and option.opt.high is not None:
            for number in value if isinstance(value, tuple) else (value,):
                _within(option.flag, number, option.opt.low, option.opt.high)


def check_timeline(job: Timeline) -> None:
    shared = ("fps", "width", "height", "fit", "background")
    for i, each in enumerate(job.segments):
        with naming(f"segment {i + 1}"):
            check_interpolate(each)
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


def check_retime(job: Retime) -> None:
    check_interpolate(job.between)
    _within("--factor", job.factor, Fraction(1, MAX_FACTOR), MAX_FACTOR)
    _within("--fps", job.fps, Fraction(1, 1000), times.MAX_FPS)
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


def check_bridge(job: Bridge) -> None:
    check_interpolate(job.between)
    _within("--trim", job.trim, 0, times.MAX_FRAMES)
    _one_of("--copy", job.copy, get_args(Copy))
    _one_of("--audio", job.audio, get_args(Fade))
    if job.first.path == job.last.path == "-":
        raise UsageError(
            "standard input can be one of the clips, not both", "name the other", subject="-"
        )


CHECKS: Mapping[type[Any], Callable[[Any], None]] = {
    Interpolate: check_interpolate,
    Timeline: check_timeline,
    Retime: check_retime,
    Bridge: check_bridge,
}


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
    times.check_rising(at)


def _check_overwriting(encoding: Encoding) -> None:
    if encoding.overwrite and encoding.skip_existing:
        raise UsageError(
            "--overwrite and --skip-existing exclude each other",
            "give one of them",
            subject="--overwrite",
        )


def _check_retakes(job: Interpolate) -> None:
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
        easing.easing(name)
    except UsageError as error:
        curves = ", ".join((*others, *easing.CURVES))
        raise UsageError(
            f"{option} {name} is not a curve",
            f"choose {curves} or cubic-bezier(x1,y1,x2,y2)",
            subject=option,
        ) from error


def _check_sampling(s: Sampling) -> None:
    facts = METHODS.get(s.method or "")
    if facts and facts.eta and s.solver not in (None, "euler"):
        raise UsageError(
            f"--solver means nothing to --method {s.method}",
            "leave it out; the method draws fresh noise at every step",
            subject="--solver",
        )
    if s.solver == "lcm" and (s.init == "slerp" or (facts and facts.inverted)):
        other = "--init slerp" if s.init == "slerp" else f"--method {s.method}"
        raise UsageError(
            f"--solver lcm and {other} exclude each other",
            "leave one of them out; lcm draws fresh noise at every step, which undoes inverted one",
            subject="--solver",
        )
    if s.reuse > 1 and s.solver == "heun":
        raise UsageError(
            "--reuse and --solver heun exclude each other",
            "leave one of them out; heun looks at every step twice",
            subject="--reuse",
        )
    if facts and facts.inverted:
        _check_inverted(s)
    try:
        fusion_weights(s.fusion)
    except ValueError:
        raise UsageError(
            f"--fusion {s.fusion} is not a weight",
            "use mean, linear, a number from 0 to 1 or several such as 1,0.8,0",
            subject="--fusion",
        ) from None
    _check_curve("--image-curve", s.image_curve, ("off", "hold"))
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
    first, last = s.guidance_span
    if not 0 <= first < last <= 1:
        raise UsageError(
            f"--guidance-span {first:g}:{last:g} is no share of the steps",
            "write two numbers from 0 to 1 in rising order, such as 0:0.6",
            subject="--guidance-span",
        )


def _check_inverted(s: Sampling) -> None:
    """Check the options of a method that starts between the inverted keyframes and nowhere else."""
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
