"""vtg interpolate, its presets and vtg run: arguments to a job, a plan, and the clip."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from vtg_cli.cli import options as o
from vtg_cli.cli.clips import DESCRIBED, SHOWN, input_of
from vtg_cli.cli.execute import execute
from vtg_cli.errors import UsageError
from vtg_cli.ground.literals import Arriving, Stream

if TYPE_CHECKING:
    from vtg_cli.job.jobs import Interpolate, Piped
    from vtg_cli.job.keywords import Options
    from vtg_cli.job.presets import Preset
    from vtg_cli.plan.model import Choice


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
    """Make a command like `interpolate`, with --from and --to in place of --prompt."""
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
    """Run `interpolate` or a preset with the options it was given."""
    from vtg_cli.job.keywords import job_of

    options = dict(ctx.params)
    arriving = [options.pop(name) for name in (*DESCRIBED, "allow_damaged")]
    keyframes, sheet = _keyframes(options), options.pop("sheet")
    shown = {name: options.pop(name) for name in SHOWN}
    del options["debug"]
    options_given = o.given(ctx)
    if preset is None:
        options["prompts"] = tuple(options["prompts"] or ())
    else:
        captions = options.pop("from_"), options.pop("to"), options.pop("caption")
        options["prompts"] = _captions(*captions, keyframes=len(keyframes))
    job = job_of(keyframes, cast("Options", options))
    if "-" in keyframes or any(arriving):
        piped = _piped(job, preset, *arriving, options_given=options_given)
        execute(piped, sheet=sheet, options_given=options_given, **shown)
        return
    run = None
    if preset is not None:
        from vtg_cli.plan.segments import planned
        from vtg_cli.render.draw import work

        job, model, notes = _preset(job, preset, options_given)
        run = partial(work, notes=notes, decide=partial(planned, model=model))
    execute(job, run=run, sheet=sheet, options_given=options_given, **shown)


def _piped(
    job: Interpolate,
    preset: Preset | None,
    format: Arriving | None,
    size: str | None,
    fps: str | None,
    allow_damaged: bool,
    *,
    options_given: Sequence[str],
) -> Piped:
    """Return the job of keyframes that come through standard input."""
    from vtg_cli.job.jobs import Piped

    if preset is not None:
        raise UsageError(
            f"{preset.name} takes pictures, not standard input", "use vtg interpolate", subject="-"
        )
    if allow_damaged and "-" not in job.keyframes:
        flag = "--allow-damaged"
        raise UsageError(f"{flag} is for standard input", "make the pictures again", subject=flag)
    source = input_of(
        job.keyframes[0],
        format,
        size,
        fps,
        allow_damaged=allow_damaged,
        options_given=options_given,
    )
    if job.keyframes != ("-",):
        raise UsageError(
            "standard input stands for all keyframes", "give - alone, or pictures", subject="-"
        )
    return Piped(source=source, between=job)


def _keyframes(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the pictures; the times they are given with become options."""
    from vtg_cli.job.shorthand import split
    from vtg_cli.job.times import parse_fps

    fps = options["fps"]
    keyframes = split(options.pop("keyframes"), None if fps is None else parse_fps(fps))
    if keyframes.frames is not None or keyframes.at is not None:
        for name in ("frames", "duration", "loop"):
            if options[name]:
                raise UsageError(
                    f"--{name} and keyframes with a time of their own exclude each other",
                    "leave one of them out",
                    subject=f"--{name}",
                )
        options["frames"], options["at"] = keyframes.frames, keyframes.at
    return keyframes.names


def _captions(
    first: str | None, last: str | None, each: Sequence[str] | None, *, keyframes: int
) -> tuple[str, ...]:
    """Return the captions, given in one of two ways. Raise UsageError for half of one, or both."""
    if first is None and last is None:
        return tuple(each or ())
    if each:
        raise UsageError(
            "--caption says what --from and --to say", "leave one of them out", subject="--caption"
        )
    if first is None or last is None:
        option, lacking = ("--to", "--from") if first is None else ("--from", "--to")
        raise UsageError(f"{option} needs {lacking} beside it", "give both", subject=option)
    if keyframes != 2:
        raise UsageError(
            f"--from and --to are for two pictures, {keyframes} given",
            "give --caption for each of them",
            subject="--from",
        )
    return first, last


def _preset(
    job: Interpolate, preset: Preset, options_given: Collection[str]
) -> tuple[Interpolate, Choice, tuple[str, ...]]:
    """Return the job with the preset's values, what draws it, and what to say about them."""
    from vtg_cli.job.checks import validated
    from vtg_cli.job.sampling import Sampling
    from vtg_cli.plan.setup import chosen
    from vtg_cli.plan.unused import reads

    validated(replace(job, sampling=Sampling()))  # the rest when the preset's values are in
    model = chosen(job)
    job, notes = preset.applied(job, options_given, model=model.name, reads=reads(model))
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

    from vtg_cli.render import report as sidecars
    from vtg_cli.render.draw import work
    from vtg_cli.render.report_paths import check_there

    recorded = sidecars.read(Path(sidecar))
    job = recorded.job
    check_there(job, recorded.path)
    target = output or job.output
    if target is None:
        raise UsageError(f"{sidecar} names no output", "name one with -o", subject="--output")
    if output is None and not Path(target).resolve().is_relative_to(Path(sidecar).resolve().parent):
        raise UsageError(
            f"{sidecar} names the output {target}, outside of its own folder",
            f"say that you want it there: -o {quote(target)}",
            subject="--output",
        )
    same_kind = job.output is not None and Path(target).suffix == Path(job.output).suffix
    choices = replace(
        job.encoding,
        format=format,
        crf=job.encoding.crf if same_kind else None,
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    sidecars.unchanged(recorded, job.clips)
    execute(
        job.written_to(target, choices),
        run=None if job.clips else partial(work, recorded=recorded),
        sheet=sheet,
        inputs=(sidecar,) if target != job.output else (),
        as_json=as_json,
        dry_run=dry_run,
        quiet=quiet,
    )
