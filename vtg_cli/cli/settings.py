"""--set NAME=VALUE, for options that `--help` leaves to `--help-all`: the same as --NAME VALUE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from vtg_cli.errors import UsageError


def expanded(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with each `--set name=value` as the option it stands for.

    Raises UsageError for a name that no option has.
    """
    return [*_expanded(arguments)] if any(map(_sets, arguments)) else [*arguments]


def _sets(argument: str) -> bool:
    return argument == "--set" or argument.startswith("--set=")


def _expanded(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            yield from (argument, *rest)
        elif argument == "--set":
            yield from _option(next(rest, ""))
        elif argument.startswith("--set="):
            yield from _option(argument.removeprefix("--set="))
        else:
            yield argument


def _option(setting: str) -> Iterator[str]:
    """Yield the option that "name=value" stands for, spelt as on the terminal."""
    from vtg_cli.ground.option import TRUTH
    from vtg_cli.job.keywords import OPTIONS

    name, equals, value = setting.partition("=")
    keys = {option.key: option for option in OPTIONS.values() if option.opt.panel}
    option = keys.get(name.strip().replace("-", "_"))
    if not equals or option is None:
        close = get_close_matches(name, keys, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"--set {setting} sets no option",
            f"{meant}write --set NAME=VALUE; --help-all lists the names",
            subject="--set",
        )
    if option.kind is not bool:
        yield f"{option.flag}={value}"
        return
    wanted = TRUTH.get(value.strip().lower())
    if wanted is None:
        raise UsageError(
            f"--set {setting} is neither true nor false", "write true or false", subject="--set"
        )
    spelling = (option.opt.flags or (option.flag,))[0]
    yes, _, no = spelling.strip().partition("/")
    flag = (yes if wanted else no).strip()
    if flag:
        yield flag
