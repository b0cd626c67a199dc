"""What the command line says and where: results on stdout, everything for people on stderr."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from vtg_cli.errors import VtgError


def result(text: str, stdout: TextIO | None = None) -> None:
    """One line of result on stdout; a reader that has gone away is no failure.

    stdout: where it was before somebody else's prints were led away from it.
    """
    try:
        print(text, file=stdout or sys.stdout, flush=True)
    except BrokenPipeError:
        # Python flushes stdout once more when it ends: give it a place that takes everything.
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stdout or sys.stdout).fileno())


def say(text: str, hint: str = "") -> None:
    """One line for people on stderr, and one that says what to do."""
    print(f"vtg: {text}", file=sys.stderr, flush=True)
    if hint:
        print(f"     {hint}", file=sys.stderr, flush=True)


def fail(error: VtgError) -> int:
    """Says what went wrong and what to do about it; returns the exit code."""
    say(error.message, error.hint)
    return error.exit_code


def asks() -> bool:
    """Whether a person is there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agreed(question: str) -> bool:
    """Asks a person; anything but a yes is a no. stdout stays for results."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
