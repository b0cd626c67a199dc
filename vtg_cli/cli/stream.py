"""vtg interpolate -: keyframes that come through standard input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vtg_cli.cli.bar import progress
from vtg_cli.cli.clips import input_of, ready
from vtg_cli.cli.console import answer, result, say
from vtg_cli.errors import UsageError
from vtg_cli.ground.literals import Arriving

if TYPE_CHECKING:
    from vtg_cli.job.jobs import Interpolate
    from vtg_cli.job.presets import Preset


def carry_out(
    job: Interpolate,
    sheet: str | None,
    format: Arriving | None,
    size: str | None,
    fps: str | None,
    allow_damaged: bool,
    *,
    given: Sequence[str],
    preset: Preset | None,
    as_json: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """The clip of a job whose one keyframe is "-"."""
    from vtg_cli.cli.preflight import needs, warn
    from vtg_cli.cli.summary import tell_memory, where
    from vtg_cli.clips import stream
    from vtg_cli.job.checks import validated
    from vtg_cli.job.times import exact
    from vtg_cli.media.clip import open_clip
    from vtg_cli.plan import needs as preflight
    from vtg_cli.plan.unused import refuse_unused

    if preset is not None:
        raise UsageError(
            f"{preset.name} takes pictures, not standard input", "use vtg interpolate", subject="-"
        )
    if sheet is not None:
        raise UsageError("--sheet needs pictures that are counted", "leave it out", subject="-")
    if allow_damaged and "-" not in job.keyframes:
        flag = "--allow-damaged"
        raise UsageError(f"{flag} is for standard input", "make the pictures again", subject=flag)
    source = input_of(job.keyframes[0], format, size, fps, allow_damaged=allow_damaged, said=given)
    if job.keyframes != ("-",):
        raise UsageError(
            "standard input stands for all keyframes", "give - alone, or pictures", subject="-"
        )
    if not ready(job, as_json=as_json, dry_run=dry_run, quiet=quiet):
        return
    with open_clip(source, alpha=True) as clip:
        made = stream.decided(job, clip)
        validated(made.job)
        refuse_unused(made.model, given)
        if not quiet:
            for reason in [made.model.reason] if made.model.reason else []:
                say(f"model {made.model.name}: {reason}")
            for note in (*clip.notes, *made.notes):
                say(note)
        ahead = preflight.of_clip(made, made.schedule.segments, None)
        warn(ahead, quiet=quiet)
        height, width, _ = made.shape
        if dry_run:
            between = made.schedule.total - 2
            result(
                f"clip      {job.output}: {width}x{height}, {exact(made.schedule.fps)} a second",
                f"between   {between} frames from each keyframe to the next",
                f"model     {made.model.name}",
                *where(made),
                *needs(ahead),
            )
            return
        with progress(quiet=quiet, expected=ahead.seconds) as show:
            report = stream.save(made, clip, progress=show)
    tell_memory(report, quiet=quiet)
    for note in () if quiet else report.get("notes", ()):
        say(note)
    if job.output != "-":
        answer(report, str(job.output), as_json=as_json, indent=2)
