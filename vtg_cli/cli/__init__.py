"""The command line: assembles the commands, turns every ending into an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, NoReturn, cast

import typer
from typer.core import TyperGroup

from vtg_cli import __version__
from vtg_cli.cli.commands import Commands
from vtg_cli.cli.console import fail, inform, nothing_more, result, say
from vtg_cli.cli.settings import expanded
from vtg_cli.errors import Interrupted, UsageError, VtgError, explained

# click's ClickException, which typer carries at a place that depends on its version
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])

app = typer.Typer(
    name="vtg",
    cls=Commands,
    help="Keyframes in, video out: vtg interpolate first.png last.png -o clip.mp4",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        result(f"vtg {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        result(*ctx.get_help().splitlines())


class _Ended(BaseException):
    """A signal to end, raised where the program stands, so that every `with` cleans up."""


@contextmanager
def _ending_cleanly() -> Iterator[list[int]]:
    """Raise _Ended when told to end or losing the terminal.

    Yields the signals that came: a library being imported may take the exception for a failure of
    its own.
    """
    came: list[int] = []

    def end(signum: int, frame: FrameType | None) -> NoReturn:
        came.append(signum)
        raise _Ended

    numbers = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is not signal.SIG_IGN:  # nohup asks for that
            signal.signal(number, end)
    try:
        yield came
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    command.rich_markup_mode = None  # a plain list of commands: rich would double the start-up time
    came: list[int] = []
    try:
        with _ending_cleanly() as came:
            code = command.main(expanded(arguments), prog_name="vtg", standalone_mode=False)
    except BaseException as error:
        if came:
            return _ended(came[0])
        if isinstance(error, SystemExit | typer.Abort):  # what typer makes of EPIPE and EOFError
            error = error.__context__ or error
        if isinstance(error, BrokenPipeError):  # who reads the help has seen enough
            nothing_more(sys.stdout)
            return 0
        if not isinstance(error, Exception):
            raise
        if "--debug" in arguments:
            import traceback

            inform(*"".join(traceback.format_exception(error)).splitlines())
        return fail(_explained(error))
    return code if isinstance(code, int) else 0


def _ended(signum: int) -> int:
    """Say that a signal ended the work; return the exit code."""
    interrupted = signum == signal.SIGINT
    say("interrupted" if interrupted else "terminated")
    return Interrupted.exit_code if interrupted else 128 + signal.SIGTERM


def _explained(error: Exception) -> VtgError:
    """Return any failure as a VtgError, those of the command line's own grammar among them."""
    if isinstance(error, _CommandLineError):
        path = error.ctx.command_path if error.ctx else "vtg"
        message = error.format_message().replace("Value error, ", "")
        return UsageError(message[:1].lower() + message[1:].rstrip("."), f"see {path} --help")
    return explained(error)
