"""The options of vtg eval alone, in the manner of options.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from vtg_cli.errors import UsageError

EVALUATION = "Evaluation"


def _option(*flags: str, help: str, **more: Any) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=EVALUATION, **more)


ProtocolName = Annotated[
    str,
    typer.Argument(
        metavar="PROTOCOL",
        show_default=False,
        help="local, for your own clips or pairs, or a paper's: gi, vtg, aid, vidm, stiv.",
    ),
]
ClipFolders = Annotated[
    list[str],
    typer.Argument(
        metavar="DIR...",
        show_default=False,
        help="Folders of finished clips: videos, or folders of numbered pictures.",
    ),
]
Data = Annotated[
    str,
    _option(
        "--data",
        metavar="DIR",
        help="The data, a folder for each table; docs/evaluation.md says what lies in it.",
    ),
]
Methods = Annotated[
    str | None,
    _option(
        "--methods",
        metavar="NAME,...",
        help="What vtg draws with: crossfade, minterpolate, a model (flow, tiny, svd-xt), a method "
        "(gi, trf), or MODEL:METHOD.",
    ),
]
Clips = Annotated[
    list[str] | None,
    _option(
        "--clips",
        metavar="NAME=DIR",
        help="Clips of another system, called as their cases are. Repeatable.",
    ),
]
Features = Annotated[
    list[str] | None,
    _option(
        "--features",
        metavar="NAME=PATH",
        help="Weights of a feature network, such as inception=FILE. Repeatable. Without them the "
        "scores that need it are absent.",
    ),
]
Answers = Annotated[
    list[str] | None,
    _option(
        "--answers",
        metavar="NAME=FILE.json",
        help="A judge's answers about a system's clips (TC-Bench). Repeatable.",
    ),
]
Tables = Annotated[
    str | None,
    _option("--tables", metavar="NAME,...", help="Only these of the protocol's tables."),
]
Limit = Annotated[
    int | None,
    _option(
        "--limit",
        metavar="N",
        min=1,
        help="Only the first N clips of a table. Its figures then do not compare with a paper's.",
    ),
]
Frames = Annotated[
    int | None,
    _option("--frames", metavar="N", min=3, max=1000, help="Frames of a clip, with local. [9]"),
]
Shown = Annotated[
    int,
    _option("--shown", metavar="N", min=0, max=500, help="Clips of a table that the page shows."),
]
DrawSeed = Annotated[
    int,
    _option(
        "--draw-seed",
        metavar="N",
        help="Random seed of what the evaluation draws: the bootstrap, frames and places.",
    ),
]
Truth = Annotated[
    str | None,
    _option("--truth", metavar="DIR", help="Clips of the same names that they are held against."),
]


def named(flag: str, words: Sequence[str] | None) -> dict[str, str]:
    """Read NAME=VALUE options. Raise UsageError for one of another form, or a name given twice."""
    found: dict[str, str] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{flag} {word} is not NAME=VALUE", f"{flag} NAME=...", subject=flag)
        if name in found:
            raise UsageError(f"{flag} gives {name} twice", subject=flag)
        found[name] = value
    return found
