"""Write docs/cli.md from the commands themselves; `--check` only says whether it is stale (exit 1).

It reads the declared parameters, not the printed help, so the page does not depend on the width of
a terminal or on how a version of typer draws its boxes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from vtg_cli.cli import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
NOTICE = "<!-- Written by scripts/gen_cli_docs.py (make docs); edit the help texts instead. -->"


def page() -> str:
    """The whole page, ending in one newline."""
    root = typer.main.get_command(app)
    TOLD.clear()
    body = "\n".join(_command("vtg", root, 2))
    return f"# The command line\n\n{NOTICE}\n\n{body}".rstrip() + "\n"


def _command(name: str, command: Any, depth: int) -> Iterator[str]:
    params = [p for p in command.params if p.name not in ("help", "help_all")]
    arguments = [p for p in params if p.param_type_name == "argument"]
    options = [p for p in params if p.param_type_name == "option"]
    children = {k: c for k, c in getattr(command, "commands", {}).items() if not c.hidden}
    usage = [name, *map(_placeholder, arguments), *(["[OPTIONS]"] if options else [])]
    yield f"{'#' * depth} `{name}`\n"
    if command.help:
        yield f"{_plain(command.help)}\n"
    yield f"```text\n{' '.join([*usage, *(['COMMAND ...'] if children else [])])}\n```\n"
    if arguments:
        yield "| argument | |\n|---|---|"
        yield from (f"| `{_cell(_placeholder(p))}` | {_cell(p.help)} |" for p in arguments)
        yield ""
    shared = [p for p in options if TOLD.get(_line(p), name) != name]
    options = [p for p in options if p not in shared]
    panels = dict.fromkeys(p.rich_help_panel or "Options" for p in options)
    for panel in panels:
        yield f"{panel}:\n\n| option | default | |\n|---|---|---|"
        for p in options:
            if (p.rich_help_panel or "Options") == panel:
                yield _line(p)
                TOLD.setdefault(_line(p), name)
        yield ""
    for home in dict.fromkeys(TOLD[_line(p)] for p in shared):
        names = (f"`{(p.opts or p.secondary_opts)[0]}`" for p in shared if TOLD[_line(p)] == home)
        yield f"As of `{home}`: {', '.join(names)}.\n"
    for child, subcommand in children.items():
        yield from _command(f"{name} {child}", subcommand, min(depth + 1, 4))


TOLD: dict[str, str] = {}
"""An option's line -> the command that has it first: the others name it only."""


def _line(param: Any) -> str:
    return f"| {_spelling(param)} | {_default(param)} | {_cell(param.help)} |"


def _placeholder(param: Any) -> str:
    word = (param.metavar or param.name).upper()
    if param.nargs == -1 and not word.endswith("..."):
        word += "..."
    return word if param.required else f"[{word}]"


def _spelling(param: Any) -> str:
    value = "" if param.is_flag else f" {param.metavar or _choices(param) or param.name.upper()}"
    spelled = [f"{opt}{value}" for opt in param.opts] + param.secondary_opts
    return ", ".join(f"`{_cell(each)}`" for each in spelled)


def _choices(param: Any) -> str:
    """`a|b|c` where the declared type is Literal["a", "b", "c"], perhaps or None."""
    declared = param.type_descriptor.annotation
    for each in (declared, *get_args(declared)):
        if get_origin(each) is Literal:
            return "|".join(get_args(each))
    return ""


def _default(param: Any) -> str:
    if param.required:
        return "required"
    silent = param.default is None or param.default is False or not param.show_default
    return "" if silent or callable(param.default) else f"`{param.default}`"


def _plain(text: str) -> str:
    """Paragraphs of one line each; a line that is a command becomes code."""
    lines = [" ".join(p.split()) for p in text.replace("\b", "").split("\n\n")]
    return "\n\n".join(f"`{line}`" if line.startswith("vtg ") else line for line in lines)


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    check = parser.parse_args().check
    current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    fresh = page()
    if check and current != fresh:
        print("docs/cli.md is stale: run make docs", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
