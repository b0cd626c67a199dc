"""vtg bridge: two clips to a job, and the clip that leads from one to the other."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import typer

from vtg_cli.cli import options as o
from vtg_cli.cli.clips import (
    CLIP,
    DESCRIBED,
    READ,
    clip_option,
    input_of,
    options_of,
)
from vtg_cli.cli.execute import execute
from vtg_cli.ground.literals import Copy, Fade

FirstClip = Annotated[
    str,
    typer.Argument(
        metavar="CLIP_A", show_default=False, help=("The clip that the bridge leaves; - is stdin.")
    ),
]
LastClip = Annotated[
    str,
    typer.Argument(
        metavar="CLIP_B", show_default=False, help=("The clip that the bridge leads to.")
    ),
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
    from vtg_cli.job.jobs import Bridge
    from vtg_cli.job.keywords import job_of
    from vtg_cli.media.sequence import is_sequence

    def described(path: str) -> bool:
        return path == "-" or is_sequence(path)

    mine, shown, rest = options_of(
        ctx, "clip_a", "clip_b", *{*(each.name for each in OWN), *DESCRIBED, *READ}
    )
    paths = mine["clip_a"], mine["clip_b"]
    rest["prompts"] = tuple(rest["prompts"] or ())
    options_given = o.given(ctx)
    arriving, read = [mine[name] for name in DESCRIBED], [mine[name] for name in READ]
    first, last = (
        input_of(path, None, None, None, *read)
        if any(map(described, paths)) and not described(path)
        else input_of(path, *arriving, *read, options_given=options_given)
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
    execute(job, **shown)


def second(text: str) -> Fraction:
    """Parse a moment of a clip: as a duration, and 0 is one. Raise UsageError."""
    from vtg_cli.job.times import parse_duration

    return Fraction(0) if text.strip() in ("0", "0s", "0.0") else parse_duration(text)
