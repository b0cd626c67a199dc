"""The options of a job that say what is shown and when, each declared once (ground/option.py).

The others: what draws and where in engine.py, sampling in sampling.py, the output in
media/encoding.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from vtg_cli.ground.literals import Detail, Endpoints, Fit
from vtg_cli.ground.option import PICTURE, TEXT, TIMING, Opt
from vtg_cli.job import reading
from vtg_cli.job.times import MAX_FPS, MAX_FRAMES

MAX_SIDE = 16384  # pixels
MAX_SECONDS = 24 * 3600
RATE = {"type": "string", "pattern": "^[0-9.]+(/[0-9]+)?$", "maxLength": 20}
FPS_SCHEMA = {"anyOf": [{"type": "number", "minimum": 0.001, "maximum": MAX_FPS}, RATE]}
PROMPT_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
    ]
}


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The options of when each picture is shown."""

    frames: Annotated[
        tuple[int, ...] | None,
        Opt(
            "Frames from one keyframe to the next, both included: one number for all "
            "segments or one for each, such as 16,24,16. Default: the model's own length, "
            "24 for tiny and flow.",
            TIMING,
            metavar="N[,N...]",
            scope="run",
            low=2,
            high=MAX_FRAMES,
            read=reading.read_frames,
            common=True,
        ),
    ] = None
    duration: Annotated[
        Fraction | None,
        Opt(
            "Length of the whole clip: 1.5, 800ms or 00:01:30. Given without --frames it "
            "decides their number; given with --frames it decides the frame rate.",
            TIMING,
            metavar="TIME",
            scope="run",
            low=Fraction(1, 1000),
            high=MAX_SECONDS,
            read=reading.read_duration,
            common=True,
        ),
    ] = None
    at: Annotated[
        tuple[Fraction, ...] | None,
        Opt(
            "Seconds at which each keyframe stands, the first at 0, in place of frames and "
            "duration.",
            "",
            scope="run",
            read=reading.read_moments,
        ),
    ] = None
    fps: Annotated[
        Fraction | None,
        Opt(
            "Frames a second, exact: 24, 29.97 or 24000/1001. Default: the model's own "
            "rate, 24 for tiny and flow.",
            TIMING,
            metavar="RATE",
            scope="clip",
            low=Fraction(1, 1000),
            high=MAX_FPS,
            read=reading.read_fps,
            schema=FPS_SCHEMA,
            common=True,
        ),
    ] = None
    loop: Annotated[
        bool,
        Opt(
            "Lead back to the first keyframe, so that the clip loops; the first frame is not "
            "repeated at the end.",
            TIMING,
            scope="run",
            common=True,
        ),
    ] = False
    ease: Annotated[
        str,
        Opt(
            "Easing curve of each segment: linear, ease, ease-in, ease-out, ease-in-out or "
            "cubic-bezier(x1,y1,x2,y2), as in CSS.",
            TIMING,
            metavar="CURVE",
            example="ease-in-out",
            complete="curve_names",
            common=True,
        ),
    ] = "linear"
    carry: Annotated[
        bool,
        Opt(
            "With three keyframes or more: let motion go on through the inner ones, without a "
            "pause or a corner, as things swing, roll or fly. Leave it out where something stops "
            "or turns back at a keyframe.",
            TIMING,
            example=True,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Captions:
    """The options of what the pictures show, in words."""

    prompts: Annotated[
        tuple[str, ...],
        Opt(
            "What the clip shows, in words: once for all keyframes, or once for each of "
            "them, repeated in their order.",
            TEXT,
            metavar="TEXT",
            needs="text",
            example="a lion",
            flags=("--prompt",),
            read=reading.read_prompts,
            schema=PROMPT_SCHEMA,
            common=True,
        ),
    ] = ()
    negative_prompt: Annotated[
        str | None,
        Opt(
            "What the clip should not show. Default: with captions, words for common flaws.",
            TEXT,
            metavar="TEXT",
            needs="text",
            example="blurry",
        ),
    ] = None
    text_curve: Annotated[
        str,
        Opt(
            "How one caption turns into the next: linear, hold (a tenth of the other always "
            "remains) or a curve as for --ease.",
            TEXT,
            metavar="CURVE",
            needs="text",
            example="linear",
            complete="text_curve_names",
        ),
    ] = "linear"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The options of how keyframes become frames."""

    width: Annotated[
        int | None,
        Opt(
            "Width of the clip. Default: the first keyframe's; for Stable Video Diffusion "
            "its own area in the first keyframe's shape, a multiple of 8.",
            PICTURE,
            metavar="PIXELS",
            scope="clip",
            low=1,
            high=MAX_SIDE,
            example=1280,
            common=True,
        ),
    ] = None
    height: Annotated[
        int | None,
        Opt(
            "Height of the clip. With only one of the two given, the other follows.",
            PICTURE,
            metavar="PIXELS",
            scope="clip",
            low=1,
            high=MAX_SIDE,
            example=720,
            common=True,
        ),
    ] = None
    fit: Annotated[
        Fit,
        Opt(
            "How keyframes of another shape are fitted: crop their edges, pad them with the "
            "background, or stretch them.",
            PICTURE,
            scope="clip",
            example="crop",
            common=True,
        ),
    ] = "crop"
    background: Annotated[
        str,
        Opt(
            "Colour behind transparent keyframes and of --fit pad: a name or #rrggbb.",
            PICTURE,
            metavar="COLOUR",
            scope="clip",
            example="white",
        ),
    ] = "white"
    endpoints: Annotated[
        Endpoints,
        Opt(
            "exact: the keyframes themselves appear at their times, and the frames between are "
            "colour-matched to them. blend: a short fade into them as well. model: the model's "
            "frames as they are.",
            PICTURE,
            example="exact",
        ),
    ] = "exact"
    detail: Annotated[
        Detail,
        Opt(
            "Where fine detail comes from: model, what it draws at its own size; "
            "keyframes, their texture carried into every frame, at their own size. flow "
            "and tiny always do the latter.",
            PICTURE,
            needs="diffusion",
            example="model",
        ),
    ] = "model"
