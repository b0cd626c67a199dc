"""vtg bridge: two clips to a job, and the clip that leads from one to the other."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from vtg_cli.cli import options as o
from vtg_cli.cli.bar import progress
from vtg_cli.cli.clips import (
    CLIP,
    DESCRIBED,
    READ,
    clip_option,
    input_of,
    options_of,
    ready,
)
from vtg_cli.cli.console import answer, say
from vtg_cli.ground.literals import Copy, Fade

if TYPE_CHECKING:
    from vtg_cli.clips.bridging import Bridging
    from vtg_cli.job.jobs import Bridge

FirstClip = Annotated[
    str,
    typer.Argument(metavar="CLIP_A", show_default=False, help="The clip that is left; - is stdin."),
]
LastClip = Annotated[
    str,
    typer.Argument(metavar="CLIP_B", show_default=False, help="The clip that is reached."),
]
From = Annotated[
    str | None,
    clip_option(
        CLIP,
        "--from",
        metavar="TIME",
        help="The second of CLIP_A that the bridge leaves from: 3.5, 800ms or 00:01:30. Default: "
        "its last frame that shows something.",
    ),
]
To = Annotated[
    str | None,
    clip_option(
        CLIP,
        "--to",
        metavar="TIME",
        help="The second of CLIP_B that the bridge leads to; 0 is its first frame. Default: its "
        "first frame that shows something.",
    ),
]
Trim = Annotated[
    int,
    clip_option(
        CLIP,
        "--trim",
        metavar="N",
        help="Leave N frames out on either side of the join; their sound fades over the bridge.",
    ),
]
CopyHow = Annotated[
    Copy,
    clip_option(
        CLIP,
        "--copy",
        help="auto: keep what is encoded already wherever codec, size, rate and colours allow, and "
        "check that. never: encode both clips anew.",
    ),
]
AudioHow = Annotated[
    Fade,
    clip_option(
        CLIP, "--audio", help="fade: one clip's sound into the other's over the bridge. drop: none."
    ),
]

OWN = (
    o.own("from_", From, None),
    o.own("to", To, None),
    o.own("trim", Trim, 0),
    o.own("copy", CopyHow, "auto"),
    o.own("audio", AudioHow, "fade"),
    o.own("fields", o.Fields, "merge"),
)
ABSENT = ("loop", "alpha")
"""Options of `interpolate` that mean nothing here."""


@o.taking(
    o.own("clip_a", FirstClip),
    o.own("clip_b", LastClip),
    *OWN,
    *o.declared(without=ABSENT, output=...),
    *o.ARRIVES,
    o.own("allow_damaged", o.AllowDamaged, False),
    *o.SHOWN,
)
def bridge(ctx: typer.Context, **_: object) -> None:
    """Lead from one clip to another: draw the frames between them, and splice.

    vtg bridge a.mp4 b.mp4 -o both.mp4

    The new clip has the first one's size, rate and colours. What can stay as it was encoded is
    copied, packet by packet. --frames, --duration and --fps are those of the bridge, the frames
    that it leaves and reaches included.
    """
    _bridge(ctx)


def _bridge(ctx: typer.Context) -> None:
    from vtg_cli.job.jobs import Bridge
    from vtg_cli.media.sequence import is_sequence

    def described(path: str) -> bool:
        return path == "-" or is_sequence(path)

    from vtg_cli.job.keywords import job_of

    mine, shown, rest = options_of(
        ctx, "clip_a", "clip_b", *{*(each.name for each in OWN), *DESCRIBED, *READ}
    )
    paths = mine["clip_a"], mine["clip_b"]
    rest["prompts"] = tuple(rest["prompts"] or ())
    said = o.given(ctx)
    arriving, read = [mine[name] for name in DESCRIBED], [mine[name] for name in READ]
    first, last = (
        input_of(path, None, None, None, *read)
        if any(map(described, paths)) and not described(path)
        else input_of(path, *arriving, *read, said=said)
        for path in paths
    )
    job = Bridge(
        first=first,
        last=last,
        between=job_of(paths, rest),
        from_=None if mine["from_"] is None else second(mine["from_"]),
        to=None if mine["to"] is None else second(mine["to"]),
        trim=mine["trim"],
        copy=mine["copy"],
        audio=mine["audio"],
    )
    carry_out(job, **shown)


def second(text: str) -> Fraction:
    """A moment of a clip: as a duration, and 0 is one. UsageError."""
    from vtg_cli.job.times import parse_duration

    return Fraction(0) if text.strip() in ("0", "0s", "0.0") else parse_duration(text)


def carry_out(job: Bridge, *, as_json: bool, dry_run: bool, quiet: bool) -> None:
    """Makes the clip, or says what would be made."""
    from vtg_cli.cli.preflight import tell, warn
    from vtg_cli.cli.summary import tell_memory
    from vtg_cli.clips import bridge as bridging
    from vtg_cli.clips import report as clip_report
    from vtg_cli.plan import needs

    if not ready(job.between, as_json=as_json, dry_run=dry_run, quiet=quiet):
        return
    with bridging.prepared(job) as made:
        if not quiet:
            if made.base.model.reason:
                say(f"model {made.base.model.name}: {made.base.model.reason}")
            for note in made.notes:
                say(note)
        ahead = needs.checked(made.base)
        warn(ahead, quiet=quiet)
        if dry_run:
            tell(ahead, clip_report.bridged(made), _summary(made), as_json=as_json)
            return
        with progress(quiet=quiet, expected=ahead.seconds) as show:
            report = bridging.save(made, progress=show)
    tell_memory(report, quiet=quiet)
    if not quiet:
        for note in report["notes"][len(made.notes) :]:
            say(note)
    if job.between.output != "-":
        answer(report, str(job.between.output), as_json=as_json, indent=2)


def _summary(made: Bridging) -> list[str]:
    """What will be made, for people, one fact a line."""
    from vtg_cli.cli.summary import where
    from vtg_cli.job.times import exact

    (height, width), job, (head, tail) = made.base.shape[:2], made.job, made.kept
    leaves = "its last frame" if made.first.end is None else f"frame {made.first.end - 1}"
    return [
        f"clip      {job.between.output}: {exact(made.fps)} a second, {width}x{height}",
        f"leaves    {job.first.path} at {leaves}",
        f"between   {made.base.schedule.total - 2} frames",
        f"arrives   {job.last.path} at frame {made.last.begin}",
        f"copied    {head} frames of the first, {tail} of the last",
        f"model     {made.base.model.name}",
        *where(made.base),
    ]
