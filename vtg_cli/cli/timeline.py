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
from vtg_cli.cli.create import carry_out, goes_ahead
from vtg_cli.errors import UsageError, no_folder

app = typer.Typer(help="Write and check timeline files.")


@app.callback(invoke_without_command=True)
def _options(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        result(*ctx.get_help().splitlines())


def render(
    timeline: o.TimelineFile,
    output: o.RenderOutput = None,
    model: o.Model = "auto",
    format: o.StreamFormat = None,
    overwrite: o.Overwrite = False,
    skip_existing: o.SkipExisting = False,
    no_sidecar: o.NoSidecar = False,
    no_metadata: o.NoMetadata = False,
    no_paths: o.NoPaths = False,
    sheet: o.Sheet = None,
    as_json: o.Json = False,
    dry_run: o.DryRun = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Draw a timeline: keyframes with their times, and settings of its own for each segment.

    vtg render timeline.toml -o clip.mp4

    'vtg timeline init' writes such a file. --model counts for segments that name none.
    """
    from vtg_cli.timeline.document import read
    from vtg_cli.timeline.plan import planned

    job = read(timeline, model)
    target = output or job.output
    if target is None:
        raise UsageError(f"{timeline} names no output", "name one with -o", subject="--output")
    choices = replace(
        job.encoding,
        format=format,
        overwrite=overwrite,
        skip_existing=skip_existing,
        sidecar=not no_sidecar,
        metadata=not no_metadata,
        paths=not no_paths,
    )
    job = replace(job, output=target, encoding=choices)
    if goes_ahead(job, sheet, [str(timeline)], as_json=as_json, dry_run=dry_run, quiet=quiet):
        carry_out(planned(job), sheet, as_json=as_json, dry_run=dry_run, quiet=quiet)


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
    from vtg_cli.media import atomic
    from vtg_cli.shorthand import split
    from vtg_cli.timeline.starting import text

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
    from vtg_cli.job import to_json
    from vtg_cli.timeline.document import read
    from vtg_cli.timeline.plan import schedule_of
    from vtg_cli.timing import exact

    job = read(timeline)
    if as_json:
        result_json(to_json(job), indent=2)
        return
    schedule = schedule_of(job)
    result(
        f"{timeline}: {len(job.keyframes)} keyframes, {schedule.total} frames at "
        f"{exact(schedule.fps)} a second, {float(schedule.duration):.4g} s"
    )
