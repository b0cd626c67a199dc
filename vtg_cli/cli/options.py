"""The parameters of commands. Those of declared options (job/options.py) follow from the
declaration; what only the terminal has - files, how a result is shown, standard input - stands
here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from vtg_cli.cli import complete
from vtg_cli.cli.console import result
from vtg_cli.ground import literals
from vtg_cli.ground.literals import Arriving
from vtg_cli.ground.option import MACHINE, OUTPUT, PANELS, TEXT, Option
from vtg_cli.job.keywords import OPTIONS

READING = "Clip"
ARRIVING = "Standard input (with - as the clip)"
Parameter = inspect.Parameter
C = TypeVar("C", bound=Callable[..., None])


def declared(*names: str, without: Sequence[str] = (), **defaults: Any) -> list[Parameter]:
    """Return the parameters of declared options, panel by panel: those named, or all but some.

    defaults: in place of the declared ones; `...`: the option has to be given
    """
    chosen = [OPTIONS[n] for n in names or OPTIONS if n not in without and OPTIONS[n].opt.panel]
    chosen.sort(key=lambda option: PANELS.index(option.opt.panel))
    return [_parameter(option, defaults.get(option.name, _NOTHING)) for option in chosen]


_NOTHING = object()


def _show_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        for parameter in ctx.command.params:
            parameter.hidden = False  # type: ignore[attr-defined]
        result(*ctx.get_help().splitlines())
        raise typer.Exit


HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all",
        callback=_show_all,
        is_eager=True,
        expose_value=False,
        help="Show all options. Any of them can be given as --set NAME=VALUE too.",
    ),
]


def _parameter(option: Option, default: Any) -> Parameter:
    opt = option.opt
    kind: Any = option.kind
    if opt.read is not None:
        kind = list[str] if option.kind == tuple[str, ...] else str
    if default is _NOTHING:
        default = opt.shown or option.default
        default = None if default == () else default
    how = typer.Option(
        *(opt.flags or (option.flag,)),
        help=opt.help,
        rich_help_panel=opt.panel,
        metavar=opt.metavar,
        envvar=opt.variable,
        autocompletion=getattr(complete, opt.complete) if opt.complete else None,
        show_default=not any("/" in flag for flag in opt.flags),
        hidden=not opt.common,
    )
    optional = default is None
    return own(option.name, Annotated[kind | None if optional else kind, how], default)


def own(name: str, annotation: Any, default: Any = ...) -> Parameter:
    """Return a command's own parameter. default: `...` if it has to be given."""
    empty = Parameter.empty if default is ... else default
    return Parameter(name, Parameter.KEYWORD_ONLY, default=empty, annotation=annotation)


def taking(*parameters: Parameter) -> Callable[[C], C]:
    """Give a command these parameters; it finds their values in its typer.Context."""

    def given(command: C) -> C:
        context = own("ctx", typer.Context)
        ordered = sorted(parameters, key=lambda each: each.default is not Parameter.empty)
        command.__signature__ = inspect.Signature([context, *ordered])  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in (context, *ordered)}
        return command

    return given


def given(ctx: typer.Context) -> list[str]:
    """Return the names of the parameters that the command line itself gives."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return [name for name, where in sources.items() if where and where.name == "COMMANDLINE"]


def flag_of(name: str) -> str:
    """Return how a parameter is spelt on the terminal."""
    return OPTIONS[name].flag if name in OPTIONS else "--" + name.replace("_", "-")


def _option(panel: str, *flags: str, help: str, **more: Any) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=panel, **more)


KeyframeFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="PICTURE...",
        show_default=False,
        help="The keyframes in order, two or more: png, jpg, webp, tiff, bmp, gif, avif. Each may "
        "say when it is shown, in place of --frames and --duration: a.png@0 b.png@1.5s c.png@3s, "
        "or on which frame: a.png@0f b.png@36f.",
    ),
]

SidecarFile = Annotated[
    str,
    typer.Argument(
        metavar="SIDECAR",
        show_default=False,
        help="The .json file that lies beside a clip vtg made.",
    ),
]

TimelineFile = Annotated[
    str,
    typer.Argument(
        metavar="TIMELINE",
        show_default=False,
        help="A .toml file, as 'vtg timeline init' writes it.",
    ),
]

FirstCaption = Annotated[
    str | None,
    _option(TEXT, "--from", metavar="TEXT", help="What the first of two pictures shows."),
]

LastCaption = Annotated[
    str | None,
    _option(TEXT, "--to", metavar="TEXT", help="What the last of two pictures shows."),
]

Caption = Annotated[
    list[str] | None,
    _option(
        TEXT,
        "--caption",
        metavar="TEXT",
        help="In place of --from and --to: once for all pictures, or once for each of them, "
        "repeated in their order.",
    ),
]

OtherOutput = Annotated[
    str | None,
    _option(
        OUTPUT,
        "--output",
        "-o",
        metavar="FILE",
        help="Where the clip goes. Default: where the sidecar says.",
    ),
]

RenderOutput = Annotated[
    str | None,
    _option(
        OUTPUT,
        "--output",
        "-o",
        metavar="FILE",
        help="Where the clip goes. Default: where the timeline says.",
    ),
]

Sheet = Annotated[
    str | None,
    _option(
        OUTPUT,
        "--sheet",
        metavar="FILE.png",
        help="Also write a contact sheet: frames of the clip side by side in one picture.",
    ),
]

Json = Annotated[
    bool,
    _option(OUTPUT, "--json", help="Print the whole report on stdout instead of the file's name."),
]

JsonOnly = Annotated[bool, _option(OUTPUT, "--json", help="Print JSON.")]
DryRun = Annotated[
    bool,
    _option(OUTPUT, "--dry-run", help="Print what would be made, and make nothing."),
]

Quiet = Annotated[
    bool,
    _option(OUTPUT, "--quiet", "-q", help="No progress and no notes; errors are still shown."),
]

Debug = Annotated[
    bool,
    _option(MACHINE, "--debug", hidden=True, help="Show the whole traceback of an error."),
]

InputFormat = Annotated[
    Arriving | None,
    _option(
        ARRIVING,
        "--input-format",
        hidden=True,
        help="Format of standard input: y4m, png or jpeg pictures end to end, rawvideo (RGB, 8 "
        "bits), nut. Default: y4m.",
    ),
]

InputSize = Annotated[
    str | None,
    _option(
        ARRIVING,
        "--input-size",
        metavar="WxH",
        hidden=True,
        help="Width and height of rawvideo on standard input.",
    ),
]

InputFps = Annotated[
    str | None,
    _option(
        ARRIVING,
        "--input-fps",
        metavar="RATE",
        hidden=True,
        help="Frames a second of numbered pictures, and of pictures or rawvideo on standard "
        "input. Default: 25.",
    ),
]

Fields = Annotated[
    literals.Fields,
    _option(
        READING,
        "--fields",
        hidden=True,
        help="Interlaced clips. merge: one full frame from every two fields, at the clip's own "
        "rate. keep: frames as they are stored.",
    ),
]

AllowDamaged = Annotated[
    bool,
    _option(
        READING,
        "--allow-damaged",
        hidden=True,
        help="Use what is left of a clip or stream that is cut short or damaged.",
    ),
]

SHOWN = (
    own("help_all", HelpAll, False),
    own("as_json", Json, False),
    own("dry_run", DryRun, False),
    own("quiet", Quiet, False),
    own("debug", Debug, False),
)
"""Parameters of how a command shows what it does."""
ARRIVES = (
    own("input_format", InputFormat, None),
    own("input_size", InputSize, None),
    own("input_fps", InputFps, None),
)
"""Parameters of what comes through standard input, or how fast numbered pictures go by."""
