"""vtg and python -m vtg_cli: what has to be right before anything else is imported."""

from __future__ import annotations

# signal itself imports enum, and Ctrl-C could come meanwhile
import _signal as signal  # type: ignore[import-not-found]
import os
import sys

INTERRUPTED = 130
"""Exit code of errors.Interrupted, which is not imported yet."""


def main() -> int:
    """Run the process's command line and return its exit code."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # nohup and & ask for that
        signal.signal(signal.SIGINT, _end_at_once)
    _open_closed_streams()
    from vtg_cli.cli import main as command_line

    return command_line()


def _open_closed_streams() -> None:
    """Open a placeholder for each closed standard stream, lest a file get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode)  # noqa: SIM115 (it gets the lowest number that is free)
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _end_at_once(signum: int, frame: object) -> None:
    """Exit at once during imports or after the work, where an exception would show a traceback."""
    try:
        os.write(2, b"vtg: interrupted\n")
    finally:
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
