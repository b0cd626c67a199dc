"""vtg eval: a paper's tables with one command, finished clips scored, two clips beside each other,
and what people prefer.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vtg_cli.cli import batch_options as b
from vtg_cli.cli import eval_options as e
from vtg_cli.cli import eval_pages as pages
from vtg_cli.cli import options as o
from vtg_cli.cli.console import answer, inform, result
from vtg_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtg_cli.evaluation.protocols.base import Found, Protocol, Table
    from vtg_cli.evaluation.tables import Result

app = typer.Typer(help="Compute the tables of papers, score clips, compare two, ask people.")


@app.callback(invoke_without_command=True)
def _options(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        result(*ctx.get_help().splitlines())


Folder = Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of results.")]
OF_JOBS = ("model", "steps", "seed", "endpoints", "device", "dtype", "memory")
OWN = (
    o.own("protocol", e.ProtocolName),
    o.own("data", e.Data),
    o.own("output", Folder),
    o.own("methods", e.Methods, None),
    o.own("clips", e.Clips, None),
    o.own("features", e.Features, None),
    o.own("answers", e.Answers, None),
    o.own("tables", e.Tables, None),
    o.own("limit", e.Limit, None),
    o.own("frames", e.Frames, None),
    o.own("shown", e.Shown, 12),
    o.own("draw_seed", e.DrawSeed, 0),
    o.own("overwrite", b.Overwrite, False),
    o.own("engine", b.EngineName, "local"),
    o.own("workers", b.Workers, None),
    o.own("ray_address", b.RayAddress, None),
    *o.SHOWN,
)


@app.command()
@o.taking(*OWN, *o.declared(*OF_JOBS))
def run(ctx: typer.Context, **values: Any) -> None:
    """Carry out a protocol: make the clips, measure them, and write the tables and a page.

    vtg eval run local --data windows/ --methods crossfade,flow,tiny -o results/

    A run that was stopped goes on where it stood. --dry-run tells what would be made and which
    scores are absent.
    """
    mine = {each.name for each in OWN}
    options = {name: value for name, value in values.items() if name not in mine}
    _run({name: values[name] for name in mine if name in values}, options)


for command in (pages.clips, pages.compare, pages.poll, pages.votes):
    app.command()(command)


def _run(own: dict[str, Any], options: dict[str, Any]) -> None:
    from vtg_cli.cli import eval_clips as clips
    from vtg_cli.evaluation.protocols import chosen
    from vtg_cli.evaluation.protocols.base import found
    from vtg_cli.evaluation.tables import Networks

    protocol, tables = chosen(own["protocol"], own["tables"])
    if own["frames"] is not None:
        tables = tuple(_with_frames(table, own["frames"]) for table in tables)
    ways = clips.ways(own["methods"] or "", options.pop("model"))
    folders, answers = e.named("--clips", own["clips"]), e.named("--answers", own["answers"])
    networks = Networks(e.named("--features", own["features"]), _device(options["device"]))
    if not ways and not folders:
        raise UsageError("there is nothing to evaluate", "give --methods, --clips or both")
    for name in {way.name for way in ways} & {*folders}:
        raise UsageError(f"two systems are called {name}", "rename one", subject="--clips")
    for name in answers:
        if name not in folders and name not in {way.name for way in ways}:
            raise UsageError(f"--answers {name}: there is no such system", subject="--answers")
    data = Path(own["data"])
    read = {table.name: _limited(found(protocol, table, data), own["limit"]) for table in tables}
    if own["dry_run"]:
        _tell_plan(protocol, tables, read, ways, [*folders], networks, as_json=own["as_json"])
        return
    from vtg_cli.cli.eval_run import Run, carried_out

    wanted = Run(protocol, tables, read, ways, folders, answers, networks, own, options)
    document, results, files = carried_out(wanted)
    if not own["quiet"]:
        tell(results)
    answer(document, *map(str, files), as_json=own["as_json"], indent=2)


def tell(results: Sequence[Result]) -> None:
    """Print the tables for people on stderr."""
    from vtg_cli.evaluation.results import table_md

    inform(*table_md(results).splitlines())


def _with_frames(table: Table, frames: int) -> Table:
    from vtg_cli.evaluation.protocols import local

    if table.name != "local":
        raise UsageError(
            f"{table.title} has clips of {table.frames} frames", "--frames is for local"
        )
    return replace(table, frames=frames, find=partial(local.find, frames=frames))


def _device(name: str) -> str:
    from vtg_cli.machine.hardware import device_name

    return device_name(name)


def _limited(found: Found, limit: int | None) -> Found:
    if limit is None or len(found.cases) <= limit:
        return found
    left = f"only the first {limit} of {len(found.cases)} clips are taken (--limit)"
    return replace(found, cases=found.cases[:limit], lacking=(left, *found.lacking))


def _tell_plan(
    protocol: Protocol,
    tables: Sequence[Table],
    read: dict[str, Found],
    ways: Sequence[Any],
    others: Sequence[str],
    networks: Any,
    *,
    as_json: bool,
) -> None:
    from vtg_cli.evaluation.tables import absences

    rows, lines = [], []
    systems = [*(way.name for way in ways), *others]
    for table in tables:
        found, absent = read[table.name], absences(table, networks)
        row = {"table": table.name, "title": table.title, "clips": len(found.cases)}
        row |= {"expected": table.expected, "frames": table.frames, "given": table.given}
        rows.append({**row, "systems": systems, "lacking": [*found.lacking], "absent": absent})
        of = "" if table.expected is None else f" of {table.expected}"
        lines.append(
            f"{table.title}: {len(found.cases)}{of} clips of {table.frames} frames, "
            f"{len(table.published)} published rows"
        )
        lines += [f"  {note}" for note in (*found.lacking, *dict.fromkeys(absent.values()))]
    lines.append(f"systems: {', '.join(systems)}")
    answer({"protocol": protocol.name, "tables": rows}, *lines, as_json=as_json, indent=2)
