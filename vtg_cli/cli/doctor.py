"""vtg doctor: a table of what vtg needs of this machine, and whether it is there."""

from __future__ import annotations

from dataclasses import asdict

import typer

from vtg_cli.cli import options as o
from vtg_cli.cli.console import result, result_json


def doctor(as_json: o.JsonOnly = False, debug: o.Debug = False) -> None:
    """Check ffmpeg, torch, GPUs, memory, the cache, models and the hub; say what to do.

    vtg doctor

    One line for each: ok, note (lacking, and not everybody needs it) or bad. Ends with 1 where
    something is bad: then nothing can be drawn.
    """
    from vtg_cli.cli import health

    listed = []
    for each in health.findings():
        listed.append(each)
        if not as_json:  # at once: some take seconds
            todo = f" -> {each.todo}" if each.todo else ""
            result(f"{each.state:<4}  {each.name:<12}  {each.text}{todo}")
    draws = health.can_draw(listed)
    if as_json:
        document = {"can_draw": draws, "findings": [asdict(each) for each in listed]}
        result_json(document, indent=2)
    if not draws:
        raise typer.Exit(1)
