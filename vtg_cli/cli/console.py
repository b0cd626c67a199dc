"""The voice of the command line: results on stdout, everything for people on stderr.

All text passes `printable` on its way, so that no name of a file, column or model and no answer of
a server can speak to the terminal. JSON keeps every name as it is, in escapes.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from vtg_cli.errors import MediaError, UsageError, VtgError
from vtg_cli.ground.printable import printable


def result(*lines: str, stdout: TextIO | None = None) -> None:
    """Print lines of result on stdout; a reader that has gone away is no failure.

    stdout: where it was before somebody else's prints were led away from it

    Raises MediaError if it takes nothing, as on a full disk.
    """
    _result("\n".join(map(printable, lines)), stdout or sys.stdout)


def result_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON on stdout, in ASCII: names keep every character, as an escape."""
    import json

    text = json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
    _result(text, sys.stdout)


def answer(value: Any, *lines: str, as_json: bool, indent: int | None = None) -> None:
    """Print a value as JSON if that is wanted, else the lines that say it."""
    if as_json:
        result_json(value, indent=indent)
    else:
        result(*lines)


def say(text: str, hint: str = "") -> None:
    """Print one line on stderr for the user, and a hint what to do."""
    inform(f"vtg: {text}", *([f"     {hint}"] if hint else []))


def inform(*lines: str) -> None:
    """Print lines on stderr for the user; where nobody can read them they are lost."""
    with suppress(OSError, ValueError):
        _print("\n".join(map(printable, lines)), sys.stderr)


def fail(error: VtgError) -> int:
    """Print what went wrong and what to do about it; return the exit code."""
    say(error.message, error.hint)
    return error.exit_code


def check_stream(example: str, *, as_json: bool, dry_run: bool) -> None:
    """Refuse to send video to a stdout that is a terminal, closed, or JSON's.

    example: a command to pipe on.
    """
    pipe = f"pipe it on, as in: vtg {example} -o - --format y4m | ffplay -"
    if as_json:
        raise UsageError(
            "--json and -o - both want stdout", "leave one of them out", subject="--json"
        )
    if sys.stdout.isatty() and not dry_run:
        raise UsageError("-o - would pour video into the terminal", pipe, subject="--output")
    if getattr(sys.stdout, "name", None) == os.devnull:  # see __main__: the place of a closed one
        raise MediaError("-o - has nowhere to go: stdout is closed", pipe, subject="--output")


def asks() -> bool:
    """Return whether there is a person who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agreed(question: str) -> bool:
    """Ask the user; anything but a yes is a no. stdout stays for results."""
    _print(f"{printable(question)} [y/N] ", sys.stderr, end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _result(text: str, stdout: TextIO) -> None:
    try:
        _print(text, stdout)
    except OSError as error:
        nothing_more(stdout)
        if not isinstance(error, BrokenPipeError):
            raise MediaError(f"cannot write to standard output: {error.strerror}") from error


def nothing_more(stdout: TextIO) -> None:
    """Redirect what Python still flushes when it ends to a place that takes everything."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())


def _print(text: str, stream: TextIO, end: str = "\n") -> None:
    """Print to a stream, with escapes for what its encoding lacks."""
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), end=end, file=stream)
    stream.flush()
