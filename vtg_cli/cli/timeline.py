"""vtg render and vtg timeline: a file that says when each keyframe is shown and how each segment is
drawn."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vtg_cli.cli import options as o
from vtg_cli.cli.console import result, result_json
from vtg_cli.cli.execute import execute
from vtg_cli.errors import UsageError, no_folder
from vtg_cli.ground.literals import Stream

app = typer.Typer(help="Write and check timeline files.")


@app.callback(invoke_without_command=True)
def _options(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        result(*ctx.get_help().splitlines())


@o.taking(
    o.own("timeline", o.TimelineFile),
    o.own("output", o.RenderOutput, None),
    *o.declared(
        *("model", "format", "overwrite", "skip_existing", "sidecar", "metadata", "paths"),
    ),
    o.own("sheet", o.Sheet, None),
    *o.SHOWN,
)
def render(
    timeline: str,
    output: str | None,
    model: str,
    format: Stream | None,
    overwrite: bool,
    skip_existing: bool,
    sidecar: bool,
    metadata: bool,
    paths: bool,
    sheet: str | None,
    as_json: bool,
    dry_run: bool,
    quiet: bool,
    **_: object,
) -> None:
    """Draw a timeline: keyframes with their times, and settings of its own for each segment.

    vtg render timeline.toml -o clip.mp4

    'vtg timeline init' writes such a file. --model counts for segments that name none.
    """
    from vtg_cli.job.timeline.document import read

    job = read(timeline, model)
    target = output or job.output
    if target is None:
        raise UsageError(f"{timeline} names no output", "name one with -o", subject="--output")
    choices = replace(
        job.encoding,
        format=format,
        overwrite=overwrite,
        skip_existing=skip_existing,
        sidecar=sidecar,
        metadata=metadata,
        paths=paths,
    )
    job = job.written_to(target, choices)
    execute(job, sheet=sheet, inputs=[timeline], as_json=as_json, dry_run=dry_run, quiet=quiet)


@app.command()
def init(
    keyframes: o.KeyframeFiles,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.toml",
            help="Where the timeline goes. - is stdout.",
        ),
    ] = "timeline.toml",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
    debug: o.Debug = False,
) -> None:
    """Write a timeline file to start from, with every key it may have.

    vtg timeline init a.png b.png c.png -o timeline.toml

    Keyframes without a time are shown a second apart.
    """
    from vtg_cli.ground import atomic
    from vtg_cli.job.shorthand import split
    from vtg_cli.job.timeline.template import text

    folder = "." if output == "-" else os.path.dirname(output) or "."
    written = text(split(keyframes), folder)
    if output == "-":
        sys.stdout.write(written)
        return
    if Path(output).suffix.lower() != ".toml":
        raise UsageError(
            f"{output} is no name for a timeline", "end it in .toml", subject="--output"
        )
    if os.path.lexists(output) and not overwrite:
        raise UsageError(f"{output} exists", "--overwrite replaces it", subject=output)
    if not Path(folder).is_dir():
        raise no_folder(output, folder)
    atomic.write(output, written.encode())
    result(output)


@app.command()
def validate(timeline: o.TimelineFile, as_json: o.Json = False, debug: o.Debug = False) -> None:
    """Check a timeline file and that its pictures are there; nothing is drawn.

    vtg timeline validate timeline.toml
    """
    from vtg_cli.job.document import to_json
    from vtg_cli.job.timeline.document import read
    from vtg_cli.job.times import exact
    from vtg_cli.plan.segments import schedule_of

    job = read(timeline)
    if as_json:
        result_json(to_json(job), indent=2)
        return
    schedule = schedule_of(job)
    result(
        f"{timeline}: {len(job.keyframes)} keyframes, {schedule.total} frames at "
        f"{exact(schedule.fps)} a second, {float(schedule.duration):.4g} s"
    )
