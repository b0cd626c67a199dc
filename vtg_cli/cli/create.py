"""vtg interpolate, its presets and vtg run: arguments to a job, a plan, and the clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from vtg_cli.cli import options as o
from vtg_cli.cli.bar import progress
from vtg_cli.cli.clips import DESCRIBED
from vtg_cli.cli.console import answer, check_stream, say
from vtg_cli.errors import UsageError, no_folder
from vtg_cli.ground.literals import Stream

if TYPE_CHECKING:
    from vtg_cli.job.jobs import Drawing, Interpolate
    from vtg_cli.job.keywords import Options
    from vtg_cli.job.presets import Preset
    from vtg_cli.plan.model import Choice
    from vtg_cli.plan.plan import Plan
    from vtg_cli.plan.segments import TimelinePlan


OWN = (
    o.own("keyframes", o.KeyframeFiles),
    *o.declared(output=...),
    o.own("sheet", o.Sheet, None),
    *o.SHOWN,
    *o.ARRIVES,
    o.own("allow_damaged", o.AllowDamaged, False),
)


@o.taking(*OWN)
def interpolate(ctx: typer.Context, **_: object) -> None:
    """Draw the frames between pictures and write them as a video.

    vtg interpolate first.png last.png -o clip.mp4

    With - in place of the pictures, every frame that comes through standard input is one.

    Each picture appears once and unchanged; --dry-run tells at which frame.

    No model has to be fetched: one called tiny is embedded.
    """
    _draw(ctx)  # which finds the values of all these options in ctx


def preset_command(preset: Preset) -> Callable[..., None]:
    """Make a command with the options of `interpolate`, told by --from and --to in place of
    --prompt.
    """
    spoken = {"from_": o.FirstCaption, "to": o.LastCaption, "caption": o.Caption}
    parameters: list[o.Parameter] = []
    for each in OWN:
        if each.name == "prompts":
            parameters += [o.own(name, kind, None) for name, kind in spoken.items()]
        else:
            parameters.append(each.replace(default=preset.always.get(each.name, each.default)))

    @o.taking(*parameters)
    def command(ctx: typer.Context, **_: object) -> None:
        _draw(ctx, preset)

    command.__name__, command.__doc__ = preset.name, preset.help
    return command


def _draw(ctx: typer.Context, preset: Preset | None = None) -> None:
    """What `interpolate` and the presets do with the options they were given."""
    from vtg_cli.job.keywords import job_of
    from vtg_cli.plan.segments import planned
    from vtg_cli.plan.unused import refuse_unused

    options = dict(ctx.params)
    arriving = [options.pop(name) for name in (*DESCRIBED, "allow_damaged")]
    keyframes = _keyframes(options)
    sheet = options.pop("sheet")
    shown = {name: options.pop(name) for name in ("as_json", "dry_run", "quiet")}
    del options["debug"]
    given = o.given(ctx)
    if preset is None:
        options["prompts"] = tuple(options["prompts"] or ())
    else:
        said = options.pop("from_"), options.pop("to"), options.pop("caption")
        options["prompts"] = _captions(*said, keyframes=len(keyframes))
    job = job_of(keyframes, cast("Options", options))
    if "-" in keyframes or any(arriving):
        from vtg_cli.cli import stream

        stream.carry_out(job, sheet, *arriving, given=given, preset=preset, **shown)
        return
    notes: tuple[str, ...] = ()
    model = None
    if preset is not None:
        job, model, notes = _preset(job, preset, given)
    if not goes_ahead(job, sheet, **shown):
        return
    made = planned(job, model=model)
    refuse_unused(made.model, given)
    carry_out(replace(made, notes=(*notes, *made.notes)), sheet, **shown)


def _keyframes(options: dict[str, Any]) -> tuple[str, ...]:
    """The pictures; the times they are given with become options."""
    from vtg_cli.job.shorthand import split
    from vtg_cli.job.times import parse_fps

    fps = options["fps"]
    found = split(options.pop("keyframes"), None if fps is None else parse_fps(fps))
    if found.frames is not None or found.at is not None:
        for name in ("frames", "duration", "loop"):
            if options[name]:
                raise UsageError(
                    f"--{name} and keyframes with a time of their own exclude each other",
                    "leave one of them out",
                    subject=f"--{name}",
                )
        options["frames"], options["at"] = found.frames, found.at
    return found.names


def _captions(
    first: str | None, last: str | None, each: Sequence[str] | None, *, keyframes: int
) -> tuple[str, ...]:
    """One way of saying them or the other. UsageError for half of one, or for both."""
    if first is None and last is None:
        return tuple(each or ())
    if each:
        raise UsageError(
            "--caption says what --from and --to say", "leave one of them out", subject="--caption"
        )
    if first is None or last is None:
        said, lacking = ("--to", "--from") if first is None else ("--from", "--to")
        raise UsageError(f"{said} needs {lacking} beside it", "give both", subject=said)
    if keyframes != 2:
        raise UsageError(
            f"--from and --to are for two pictures, {keyframes} given",
            "give --caption for each of them",
            subject="--from",
        )
    return first, last


def _preset(
    job: Interpolate, preset: Preset, given: Collection[str]
) -> tuple[Interpolate, Choice, tuple[str, ...]]:
    """Return the job with the preset's values, what draws it, and what to say about them."""
    from vtg_cli.job.checks import validated
    from vtg_cli.job.sampling import Sampling
    from vtg_cli.plan.setup import chosen
    from vtg_cli.plan.unused import reads

    validated(replace(job, sampling=Sampling()))  # the rest when the preset's values are in
    model = chosen(job)
    job, notes = preset.applied(job, given, model=model.name, reads=reads(model))
    return job, model, notes


@o.taking(
    o.own("sidecar", o.SidecarFile),
    o.own("output", o.OtherOutput, None),
    *o.declared("format", "overwrite", "skip_existing"),
    o.own("sheet", o.Sheet, None),
    *o.SHOWN,
)
def run(
    sidecar: str,
    output: str | None,
    format: Stream | None,
    overwrite: bool,
    skip_existing: bool,
    sheet: str | None,
    as_json: bool,
    dry_run: bool,
    quiet: bool,
    **_: object,
) -> None:
    """Make a clip again from the .json beside it: the same frames, from the same pictures.

    vtg run clip.mp4.json -o again.mp4
    """
    from shlex import quote

    from vtg_cli.job.jobs import Bridge, Retime
    from vtg_cli.plan.segments import planned
    from vtg_cli.render import report as sidecars
    from vtg_cli.render.report_paths import check_there

    recorded = sidecars.read(Path(sidecar))
    asked = recorded.job
    check_there(asked, recorded.path)
    target = output or asked.output
    if target is None:
        raise UsageError(f"{sidecar} names no output", "name one with -o", subject="--output")
    if output is None and not Path(target).resolve().is_relative_to(Path(sidecar).resolve().parent):
        raise UsageError(
            f"{sidecar} names the output {target}, outside of its own folder",
            f"say that you want it there: -o {quote(target)}",
            subject="--output",
        )
    same_kind = asked.output is not None and Path(target).suffix == Path(asked.output).suffix
    choices = replace(
        asked.encoding,
        format=format,
        crf=asked.encoding.crf if same_kind else None,
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    if isinstance(asked, Retime | Bridge):
        from vtg_cli.cli.again import again

        clips = asked.written_to(target, choices)
        again(recorded, clips, as_json=as_json, dry_run=dry_run, quiet=quiet)
        return
    job = asked.written_to(target, choices)
    inputs = (sidecar,) if job.output != asked.output else ()
    if not goes_ahead(job, sheet, inputs, as_json=as_json, dry_run=dry_run, quiet=quiet):
        return
    made = planned(job)
    differences = sidecars.compare(recorded, made)
    made = replace(made, notes=(*made.notes, *differences))
    carry_out(made, sheet, as_json=as_json, dry_run=dry_run, quiet=quiet)


def goes_ahead(
    job: Drawing,
    sheet: str | None,
    inputs: Sequence[str] = (),
    *,
    as_json: bool,
    dry_run: bool,
    quiet: bool,
) -> bool:
    """Whether there is something to do; UsageError for what the terminal or the files forbid.

    inputs: files beside the keyframes that must stay.
    """
    from vtg_cli.plan.plan import claimed

    assert job.output is not None
    if job.output == "-":
        check_stream("interpolate a.png b.png", as_json=as_json, dry_run=dry_run)
    if sheet is not None:
        _check_sheet(sheet, job, inputs)
    if claimed(job.output, job.encoding, (*job.keyframes, *inputs)):
        return True
    if not quiet:
        say(f"{job.output} exists and is left as it is")
    answer({"output": job.output, "skipped": True}, job.output, as_json=as_json)
    return False


def _check_sheet(sheet: str, job: Drawing, inputs: Sequence[str]) -> None:
    from vtg_cli.ground.atomic import number_of
    from vtg_cli.media.encoding import same_file

    assert job.output is not None
    if Path(sheet).suffix.lower() != ".png" or "%" in sheet:
        raise UsageError(
            f"--sheet {sheet} is no name for one picture", "end it in .png", subject="--sheet"
        )
    places = (job.output, *job.keyframes, *inputs)
    a_frame = same_file(Path(sheet).parent, Path(job.output).parent) and (
        number_of(Path(job.output), Path(sheet).name) is not None
    )
    if a_frame or sheet in places or any(same_file(sheet, place) for place in places):
        raise UsageError(
            f"--sheet {sheet} is already in use", "give it a name of its own", subject="--sheet"
        )
    if os.path.lexists(sheet) and not job.encoding.overwrite:
        raise UsageError(f"{sheet} exists", "--overwrite replaces it", subject="--sheet")
    if not Path(sheet).absolute().parent.is_dir():
        raise no_folder(sheet, Path(sheet).parent)


def carry_out(
    made: Plan | TimelinePlan, sheet: str | None, *, as_json: bool, dry_run: bool, quiet: bool
) -> None:
    from vtg_cli.cli.preflight import tell, warn
    from vtg_cli.cli.summary import summary, tell_memory
    from vtg_cli.plan import needs
    from vtg_cli.render import draw
    from vtg_cli.render import report as reports
    from vtg_cli.render.retry import summary as findings

    output = made.job.output
    assert output is not None
    if not quiet:
        for model in made.models:
            if model.reason:
                say(f"model {model.name}: {model.reason}")
        for note in made.notes:
            say(note)
    ahead = needs.checked(made)
    warn(ahead, quiet=quiet)
    if dry_run:
        lines = [*summary(made, reports.place_of(made))]
        tell(ahead, reports.outline(made), lines, as_json=as_json)
        return
    with progress(quiet=quiet, expected=ahead.seconds) as show:
        rendering = draw.render(made, progress=show)
        report = rendering.save(sheet=sheet)
    segments = len(made.schedule.segments)
    said = findings(rendering.report.outcomes, segments, made.parts[0].job.on_bad)
    if said and not quiet:
        say(said)
    tell_memory(report, quiet=quiet)
    for note in () if quiet else rendering.report.notes:
        say(note)
    if output != "-":
        answer(report, output, as_json=as_json, indent=2)
