"""The one place that runs a job of any kind and tells of it: whether there is something to do, what
will be made and what it needs, progress, the result, memory and quality.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtg_cli.cli.bar import progress
from vtg_cli.cli.console import answer, check_stream, say
from vtg_cli.errors import UsageError, no_folder
from vtg_cli.ground.units import counted, size_text, time_text
from vtg_cli.job.jobs import Bridge, Interpolate, Job, Piped, Retime, Timeline

if TYPE_CHECKING:
    from vtg_cli.plan.needs import Preflight
    from vtg_cli.render.work import Work

Run = Callable[[Any], AbstractContextManager["Work"]]
"""job -> its work, while its clips are open"""

RUNS: Mapping[type[Any], str] = {
    Interpolate: "vtg_cli.render.draw",
    Timeline: "vtg_cli.render.draw",
    Piped: "vtg_cli.clips.stream",
    Retime: "vtg_cli.clips.retime",
    Bridge: "vtg_cli.clips.bridge",
}
"""The module of each kind of job, whose `work` is a Run; one kind costs no other's imports."""


def execute(
    job: Job | Piped,
    *,
    as_json: bool,
    dry_run: bool,
    quiet: bool,
    run: Run | None = None,
    sheet: str | None = None,
    inputs: Sequence[str] = (),
    options_given: Collection[str] = (),
) -> None:
    """Make a job's clip, or tell what would be made.

    run: in place of the kind's own
    sheet: the contact sheet to write
    inputs: files beside the job's own that must stay
    options_given: names of the given options, which the model must have a use for
    """
    from vtg_cli.plan import memory
    from vtg_cli.plan.needs import document
    from vtg_cli.plan.unused import refuse_unused

    if not _goes_ahead(job, sheet, inputs, as_json=as_json, dry_run=dry_run, quiet=quiet):
        return
    run = run or import_module(RUNS[type(job)]).work
    with run(job) as work:
        for model in work.models:
            refuse_unused(model, options_given)
        reasons = (f"model {each.name}: {each.reason}" for each in work.models if each.reason)
        for line in () if quiet else (*reasons, *work.notes):
            say(line)
        needs = work.needs()
        for note in () if quiet else needs.notes:
            say(note)
        if dry_run:
            outline = {**work.outline(), "prediction": document(needs)}
            answer(outline, *work.lines(), *_needs(needs), as_json=as_json, indent=2)
            return
        with progress(quiet=quiet, expected=needs.seconds) as show:
            saved = work.save(show, sheet)
    remarks = saved.quality, memory.report(saved.report.get("memory", ())), *saved.notes
    for remark in () if quiet else filter(None, remarks):
        say(remark)
    if job.output != "-":
        answer(saved.report, str(job.output), as_json=as_json, indent=2)


def _needs(preflight: Preflight) -> Iterator[str]:
    """Yield weights, memory, time and disk, one fact a line."""
    cost, machine = preflight.cost, preflight.machine
    for each in preflight.weights:
        licence = f", {each.licence}" if each.licence else ""
        size = f"{counted(each.files, 'file')}, {size_text(each.bytes)}"
        yield f"weights   {each.name}: {size}{licence}"
    has = f" of {size_text(machine.memory.total)}" if machine.memory else ""
    yield (
        f"memory    about {size_text(cost.memory)}{has} "
        f"(within {cost.memory_within:g} times, {cost.basis})"
    )
    if cost.gpu is not None:
        has = f" of {size_text(machine.gpu.total)}" if machine.gpu else ""
        yield f"GPU       about {size_text(cost.gpu)}{has}"
    if preflight.whole:
        more = f"; up to {preflight.takes} takes of a segment" if preflight.takes > 1 else ""
        yield (
            f"time      about {time_text(cost.seconds)} "
            f"(within {cost.seconds_within:g} times, {cost.basis}{more})"
        )
    else:
        yield "time      depends on how long the input is"
    if preflight.volume is not None and machine.disk is not None:
        yield (
            f"disk      about {size_text(preflight.volume)} "
            f"(within {preflight.volume_within:g} times); {size_text(machine.disk)} free"
        )


def _goes_ahead(
    job: Job | Piped,
    sheet: str | None,
    inputs: Sequence[str],
    *,
    as_json: bool,
    dry_run: bool,
    quiet: bool,
) -> bool:
    """Return whether there is something to do. UsageError for what terminal or files forbid."""
    from vtg_cli.plan.plan import claimed

    assert job.output is not None
    if job.output == "-":
        example = "slow clip.mp4" if job.clips else "interpolate a.png b.png"
        check_stream(example, as_json=as_json, dry_run=dry_run)
    if sheet is not None:
        _check_sheet(sheet, job, inputs)
    for name in job.clips:
        _check_pictures(name, job.output)
    if claimed(job.output, job.encoding, (*job.inputs, *inputs)):
        return True
    if not quiet:
        say(f"{job.output} exists and is kept")
    answer({"output": job.output, "skipped": True}, job.output, as_json=as_json)
    return False


def _check_sheet(sheet: str, job: Job | Piped, inputs: Sequence[str]) -> None:
    from vtg_cli.ground.atomic import number_of
    from vtg_cli.media.encoding import same_file

    assert job.output is not None
    if job.clips:
        raise UsageError("--sheet needs a known number of pictures", "leave it out", subject="-")
    if Path(sheet).suffix.lower() != ".png" or "%" in sheet:
        raise UsageError(
            f"--sheet {sheet} is no name for one picture", "end it in .png", subject="--sheet"
        )
    places = (job.output, *job.inputs, *inputs)
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


def _check_pictures(name: str, output: str) -> None:
    """Raise UsageError where the output would replace pictures of a clip."""
    from vtg_cli.ground.atomic import numbered
    from vtg_cli.media.sequence import found, is_sequence

    if output == "-" or not is_sequence(name):
        return
    taken = {*numbered(Path(output).absolute())}
    if taken & {file.absolute() for file in found(name).files.values()}:
        raise UsageError(
            f"{output} would replace pictures of {name}",
            "give the output another name",
            subject=output,
        )
