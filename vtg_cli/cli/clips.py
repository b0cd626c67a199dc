"""vtg slow and vtg retime: a whole clip at another pace, from a file or from standard input."""

from __future__ import annotations

import sys
from collections.abc import Collection
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vtg_cli.cli import complete
from vtg_cli.cli import options as o
from vtg_cli.cli.execute import execute
from vtg_cli.errors import UsageError
from vtg_cli.ground.literals import Arriving, Audio, Cuts, Duplicates, Fields
from vtg_cli.ground.option import MODEL, TIMING

if TYPE_CHECKING:
    from vtg_cli.job.keywords import Options
    from vtg_cli.media.encoding import Input

CLIP, DEFAULT_MODEL = o.READING, "auto"


def clip_option(panel: str, *flags: str, help: str, **more: Any) -> Any:
    """Declare an option of a panel of the help."""
    return typer.Option(*flags, help=help, rich_help_panel=panel, **more)


ClipFile = Annotated[
    str,
    typer.Argument(
        metavar="CLIP",
        show_default=False,
        help="The clip: a file, a folder of numbered pictures, a pattern such as shot_%04d.png; - "
        "is standard input, see --input-format.",
    ),
]
Factor = Annotated[
    str | None,
    clip_option(
        TIMING,
        "--factor",
        metavar="N",
        help="How many times as long the clip lasts, exact: 4, 2.5 or 5/2; below 1 it gets faster.",
    ),
]
ClipDuration = Annotated[
    str | None,
    clip_option(
        TIMING,
        "--duration",
        metavar="TIME",
        help="How long the new clip lasts: 1.5, 800ms or 00:01:30. In place of --factor.",
    ),
]
ClipFps = Annotated[
    str | None,
    clip_option(
        TIMING,
        "--fps",
        metavar="RATE",
        help="Frames a second of the new clip, exact: 60, 29.97 or 24000/1001. Default: the "
        "clip's own.",
    ),
]
AudioHow = Annotated[
    Audio,
    clip_option(
        CLIP,
        "--audio",
        help="stretch: as long as the picture, at its own pitch; copied where nothing changes. "
        "keep: at its own pace from the start. drop: no sound.",
    ),
]
CutsHow = Annotated[
    Cuts,
    clip_option(
        CLIP,
        "--cuts",
        help="hold: the last frame of a scene stays until the next begins. ignore: one scene is "
        "drawn into the next.",
    ),
]
DuplicatesHow = Annotated[
    Duplicates,
    clip_option(
        CLIP,
        "--duplicates",
        help="smooth: motion goes on through repeated frames, where a picture stays for a quarter "
        "of a second or less. keep: they are shown as they come.",
    ),
]


ClipModel = Annotated[
    str,
    clip_option(
        MODEL,
        "--model",
        metavar="NAME",
        autocompletion=complete.model_names,
        envvar="VTG_MODEL",
        help="What draws between two frames: auto (rife where 'vtg models pull rife' has brought "
        "it, else flow), or any model of 'vtg interpolate'.",
    ),
]

CHANGES = (
    o.own("audio", AudioHow, "stretch"),
    o.own("cuts", CutsHow, "hold"),
    o.own("duplicates", DuplicatesHow, "smooth"),
    *o.ARRIVES,
    o.own("fields", o.Fields, "merge"),
    o.own("allow_damaged", o.AllowDamaged, False),
    *o.declared(
        *("output", "method", "steps", "seed", "background", "format", "crf", "overwrite"),
        *("skip_existing", "sidecar", "metadata", "paths", "device", "dtype", "memory"),
        output=...,
    ),
    o.own("model", ClipModel, DEFAULT_MODEL),
    *o.SHOWN,
)
"""Parameters that slow and retime share."""


@o.taking(
    o.own("clip", ClipFile),
    o.own("factor", Factor, "4"),
    o.own("fps", ClipFps, None),
    *CHANGES,
)
def slow(ctx: typer.Context, **_: object) -> None:
    """Slow a clip down: draw the frames that its motion passes through.

    vtg slow clip.mp4 --factor 4 -o slow.mp4

    Every frame of the clip stands at its exact time, unchanged unless it repeats the one before;
    scene cuts stay cuts.
    """
    _retime(ctx)


@o.taking(
    o.own("clip", ClipFile),
    o.own("factor", Factor, None),
    o.own("duration", ClipDuration, None),
    o.own("fps", ClipFps, None),
    *CHANGES,
)
def retime(ctx: typer.Context, **_: object) -> None:
    """Give a clip another frame rate or another length, with in-betweens where frames are lacking.

    vtg retime clip.mp4 --fps 60 -o smooth.mp4
    """
    if not (ctx.params["fps"] or ctx.params["duration"] or ctx.params["factor"]):
        raise UsageError(
            "nothing to change", "use --fps 60, --duration 10 or --factor 2", subject="--fps"
        )
    _retime(ctx)


SHOWN = ("as_json", "dry_run", "quiet")
DESCRIBED = ("input_format", "input_size", "input_fps")
READ = ("fields", "allow_damaged")
"""Options of what comes through standard input, and of any clip that is read."""


def options_of(ctx: typer.Context, *own: str) -> tuple[dict[str, Any], dict[str, Any], Options]:
    """Split the values a command was given: the command's own, how to show things, the rest as the
    options of `interpolate`.
    """
    rest = dict(ctx.params)
    mine = {name: rest.pop(name, None) for name in own}
    shown = {name: rest.pop(name) for name in SHOWN}
    del rest["debug"]
    return mine, shown, cast("Options", rest)


def _retime(ctx: typer.Context) -> None:
    from vtg_cli.job.jobs import Retime
    from vtg_cli.job.keywords import job_of
    from vtg_cli.job.times import parse_duration, parse_fps

    own = ("clip", "factor", "duration", "fps", "audio", "cuts", "duplicates")
    mine, shown, rest = options_of(ctx, *own, *DESCRIBED, *READ)
    clip = input_of(
        mine["clip"], *(mine[name] for name in (*DESCRIBED, *READ)), options_given=o.given(ctx)
    )
    job = Retime(
        clip=clip,
        between=job_of([clip.path] * 2, rest),
        factor=parse_factor(mine["factor"]) if mine["factor"] else Fraction(1),
        duration=parse_duration(mine["duration"]) if mine["duration"] else None,
        fps=parse_fps(mine["fps"]) if mine["fps"] else None,
        audio=mine["audio"],
        cuts=mine["cuts"],
        duplicates=mine["duplicates"],
    )
    execute(job, **shown)


def input_of(
    path: str,
    format: Arriving | None = None,
    size: str | None = None,
    fps: str | None = None,
    fields: Fields = "merge",
    allow_damaged: bool = False,
    *,
    options_given: Collection[str] = (),
) -> Input:
    """Return a clip to read. Raise UsageError for what means nothing to it."""
    from vtg_cli.job.times import parse_fps
    from vtg_cli.media.encoding import Input
    from vtg_cli.media.sequence import is_sequence

    described = [name for name in DESCRIBED if name in options_given]
    if path != "-" and is_sequence(path):
        described = [name for name in described if name != "input_fps"]
    if path != "-" and described:
        flag = "--" + described[0].replace("_", "-")
        raise UsageError(f"{flag} is for standard input", "name - as the clip", subject=flag)
    if path == "-" and sys.stdin.isatty():
        raise UsageError(
            "nothing comes through standard input",
            "pipe a clip in: ffmpeg -i clip.mp4 -f yuv4mpegpipe - | vtg slow - -o slow.mp4",
            subject="-",
        )
    return Input(
        path=path,
        format=format,
        size=None if size is None else parse_size(size),
        fps=None if fps is None else parse_fps(fps),
        fields=fields,
        allow_damaged=allow_damaged,
    )


def parse_size(text: str) -> tuple[int, int]:
    """Parse width and height from "640x360". Raise UsageError."""
    width, x, height = text.lower().partition("x")
    if not (x and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"--input-size {text} is no size", "write 640x360", subject="--input-size")
    return int(width), int(height)


def parse_factor(text: str) -> Fraction:
    """Parse how many times as long: "4", "2.5" or "5/2". Raise UsageError for 0 and all else."""
    from vtg_cli.job.checks import MAX_FACTOR

    try:
        factor = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if not Fraction(1, MAX_FACTOR) <= factor <= MAX_FACTOR:
        raise UsageError(
            f"--factor {text} is not a factor",
            f"write 4, 2.5 or 5/2; from 1/{MAX_FACTOR} to {MAX_FACTOR}",
            subject="--factor",
        )
    return factor
