"""Two clips made one: the last usable frame of the first is led to the first usable of the last.

The frames between are drawn as for two pictures. Around them stands what the clips hold, brought to
one size, rate and colour; packets that need not change are copied (media/splice.py), and where that
does not hold when it is checked, everything is encoded anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

from vtg_cli.clips import notes as clip_notes
from vtg_cli.clips import report as clip_report
from vtg_cli.clips import tracks
from vtg_cli.clips.bridging import Bridging, Found
from vtg_cli.clips.ends import Side, arriving, leaving, nothing, opened
from vtg_cli.errors import MediaError, UsageError
from vtg_cli.ground.atomic import replacing, workspace
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import Bridge
from vtg_cli.job.times import exact
from vtg_cli.media import encoding, sound, splice
from vtg_cli.media.formats import Format
from vtg_cli.media.image import fit
from vtg_cli.media.sequence import is_sequence
from vtg_cli.plan import needs
from vtg_cli.plan import pictures as stills
from vtg_cli.plan.pictures import Frame, in_channels
from vtg_cli.plan.plan import plan
from vtg_cli.plan.setup import Setup, chosen, setup
from vtg_cli.render import draw
from vtg_cli.render import report as reports
from vtg_cli.render.findings import Report
from vtg_cli.render.segments import Cancel, Progress
from vtg_cli.render.work import Saved, Work
from vtg_cli.render.write import comment, sink_of, write


@contextmanager
def prepared(job: Bridge) -> Iterator[Bridging]:
    """Decide and check everything about a bridge; standard input is open meanwhile.

    Raises UsageError, MediaError or WeightsError; after it only the computation itself can fail.
    """
    validated(job)
    if job.between.loop:
        raise UsageError("--loop means nothing to a bridge", "leave it out", subject="--loop")
    notes: list[str] = []
    with opened(job.first) as first, opened(job.last) as last:
        yield _decided(job, leaving(job, first, notes), arriving(job, last, notes), notes)


@contextmanager
def work(job: Bridge) -> Iterator[Work]:
    """Prepare a job. Errors as of `prepared`."""
    with prepared(job) as total:

        def finished(progress: Progress | None, sheet: str | None) -> Saved:
            report = save(total, progress=progress)
            return Saved(report, report["notes"][len(total.notes) :])

        yield Work(
            models=total.base.models,
            notes=total.notes,
            needs=lambda: needs.checked(total.base),
            outline=lambda: clip_report.bridged(total),
            lines=total.lines,
            save=finished,
        )


def _decided(job: Bridge, first: Side, last: Side, notes: list[str]) -> Bridging:
    fps, more = clip_notes.rate_beside(job.between.fps, first.rate, [first.rate, last.rate])
    notes += more
    between = replace(job.between, fps=fps)
    opaque = None if first.alpha or last.alpha else first.clip.path
    base = setup(between, chosen(between), first.size, opaque)
    output = base.job.output
    if output is None:
        raise UsageError("there is no output to save to", "name one: -o clip.mp4")
    form = encoding.format_of(output, base.job.encoding)
    notes[:0] = [*first.notes, *last.notes]
    height, width, channels = base.shape
    for side in (first, last):
        facts = between, side.clip.path, side.size, side.alpha
        notes += stills.laid(*facts, height, width, channels == 4)
    notes += base.notes
    if last.rate != fps:
        notes.append(
            f"{job.last.path} has {exact(last.rate)} frames a second and is shown at {exact(fps)}: "
            f"'vtg retime --fps {exact(fps)}' would draw its motion anew"
        )
    kept = (0, 0)
    if job.copy == "auto":
        kept, why = _kept(first, last, form, base, fps)
        notes += why
    clips = {side.facts.path: side.facts for side in (first, last) if side.facts}.values()
    notes += clip_notes.unmapped(clips) if kept == (0, 0) else []
    notes += clip_notes.unheard(clips, form.name) if job.audio != "drop" else []
    notes += tracks.left_out(clips)
    return Bridging(
        job=replace(job, between=base.job),
        base=base,
        first=first,
        last=last,
        fps=fps,
        form=form,
        kept=kept,
        notes=tuple(dict.fromkeys(notes)),
    )


def _other_alpha(side: Side, base: Setup) -> str:
    """Return why packets cannot stay for transparency's sake; "" if they can."""
    alpha = base.shape[2] == 4
    if side.alpha != alpha:
        return "its transparency is laid on a colour" if side.alpha else "it has no transparency"
    assert side.facts is not None
    # what VP9 shows through is a picture of its own beside the packets
    return "its transparency is not spliced" if alpha and side.facts.video.codec == "vp9" else ""


def _kept(
    first: Side, last: Side, form: Format, base: Setup, fps: Fraction
) -> tuple[tuple[int, int], list[str]]:
    """Return how many packets of each clip can stay as they are, and why others cannot."""
    pictures = is_sequence(first.clip.path)
    if first.live or last.live or pictures or form.name not in splice.HOLDS:
        return (0, 0), []
    assert first.facts and last.facts and first.found and last.found and first.end is not None
    size, crf = base.shape[:2], base.job.encoding.crf
    if crf is not None:
        return (0, 0), [f"--crf {crf} has both clips encoded anew"]
    why = splice.obstacle(first.facts, form, size) or _other_alpha(first, base)
    why = why or ("" if splice.on_grid(first.found, fps) else "its frames do not come evenly")
    if why:
        return (0, 0), [f"{first.clip.path} is encoded anew: {why}"]
    whole = len(first.found.packets)
    head = max(cut for cut in (*splice.cuts(first.found), whole) if cut <= first.end)
    why = splice.obstacle(last.facts, form, size, first.facts.video) or _other_alpha(last, base)
    why = why or ("" if splice.on_grid(last.found, fps) else f"it has not {exact(fps)} even frames")
    if why:
        return (head, 0), [f"{last.clip.path} is encoded anew: {why}"]
    cuts = [cut for cut in splice.cuts(last.found) if cut >= last.begin]
    return (head, len(last.found.packets) - min(cuts) if cuts else 0), []


def save(
    bridging: Bridging, *, progress: Progress | None = None, cancel: Cancel | None = None
) -> dict[str, Any]:
    """Make the clip, write the report beside it and return the report."""
    output, report = str(bridging.base.job.output), Report()
    work = _Making(bridging, report, progress, cancel)
    counts, wrong = None, ""
    if any(bridging.kept):
        with workspace(output) as folder:
            counts, wrong = _spliced(work, folder, output)
    if counts is None or wrong:
        clips = [side.facts for side in (bridging.first, bridging.last) if side.facts]
        anew = f"copying did not hold, all is encoded anew: {wrong}"
        more = [anew, *clip_notes.unmapped(clips)] if wrong else []
        bridging = replace(bridging, kept=(0, 0), notes=(*bridging.notes, *more))
        counts = _encoded(replace(work, made=bridging), output)
    late = [note for side in (bridging.first, bridging.last) for note in side.notes]
    bridging = replace(
        bridging, notes=(*bridging.notes, *(note for note in late if note not in bridging.notes))
    )

    def document(folder: Path | None) -> dict[str, Any]:
        return clip_report.of_bridged(bridging, counts, report, folder)

    return document(None) if bridging.piped else reports.kept(bridging.base, document)


@dataclass(frozen=True)
class _Making:
    """A bridge in the making, with its report and callbacks."""

    made: Bridging
    report: Report
    progress: Progress | None
    cancel: Cancel | None


def _spliced(work: _Making, folder: Path, output: str) -> tuple[Found, str]:
    """Make the clip from copied packets and what lies between. Return what is wrong with it, if
    anything; then no output is left.
    """
    bridging, counts = work.made, Found(copied=work.made.kept)
    first, last, (head, tail) = bridging.first, bridging.last, bridging.kept
    assert first.facts and first.found and last.found
    begins = len(last.found.packets) - tail
    tick, suffix = first.found.tick, Path(output).suffix
    parts = []
    try:
        if head:
            parts.append(folder / f"head{suffix}")
            splice.copy_part(first.clip.path, 0, head, parts[-1], tick)
        frames = _frames(work, counts, head, begins)
        if (frame := next(frames, None)) is not None:
            parts.append(folder / f"middle{suffix}")
            shape = bridging.base.shape
            part = splice.open_part(parts[-1], first.facts.video, shape, bridging.fps, tick)
            write(lambda _: chain([frame], frames), part, work.report)
        if tail:
            parts.append(folder / f"tail{suffix}")
            splice.copy_part(last.clip.path, begins, None, parts[-1], tick)
        counts.first += head
        counts.last += tail
        whole = folder / f"whole{suffix}"
        _join(bridging, counts, parts, whole)
        copied: list[splice.Copied] = [(first.clip.path, 0, head, 0)] if head else []
        copied += [(last.clip.path, begins, None, counts.total - tail)] if tail else []
        wrong = splice.verify(str(whole), bridging.fps, counts.total, copied)
    except MediaError as error:
        return counts, error.message
    if not wrong:
        with replacing(output, overwrite=bridging.base.job.encoding.overwrite) as target:
            os.replace(whole, target)
    return counts, wrong


def _encoded(work: _Making, output: str) -> Found:
    """Make the clip from frames alone; its sound is added in a second step."""
    bridging, counts = work.made, Found()
    heard = any(tracks.has_sound(side) for side in (bridging.first, bridging.last))
    if output == "-" or bridging.form.name not in sound.CODECS or not heard:
        _write(work, output, counts)
        return counts
    with workspace(output) as folder:
        silent = folder / f"silent{Path(output).suffix}"
        _write(work, str(silent), counts)
        with replacing(output, overwrite=bridging.base.job.encoding.overwrite) as target:
            _join(bridging, counts, [silent], target)
    return counts


def _write(work: _Making, output: str, counts: Found) -> None:
    def drawn(stop: Cancel) -> Iterator[Frame]:
        return _frames(replace(work, cancel=stop), counts, 0, None)

    sink = sink_of(work.made.base, output, fps=work.made.fps)
    write(drawn, sink, work.report, work.cancel)


def _join(bridging: Bridging, counts: Found, parts: list[Path], output: Path) -> None:
    heard = tracks.joined(bridging, counts)
    splice.join(
        parts, output, bridging.form, rate=bridging.fps, sound=heard, comment=comment(bridging.base)
    )


def _frames(work: _Making, counts: Found, head: int, begins: int | None) -> Iterator[Frame]:
    """Yield what is not copied: the first clip from `head` on, the way, the last to `begins`."""
    bridging = work.made
    first, last, base = bridging.first, bridging.last, bridging.base
    height, width, channels = base.shape

    def fitted(frame: Frame) -> Frame:
        frame = in_channels(frame, channels, base.job.background)
        return fit(frame, height, width, base.job.fit, base.job.background)

    leaves = None
    for leaves in first.frames(bridging.fps, head, first.end):
        counts.first += 1
        yield fitted(leaves)
    if leaves is None and first.end:
        leaves = next(first.frames(first.rate, first.end - 1, first.end), None)
    rest = last.frames(bridging.fps, last.begin, begins)
    arrives = opens = next(rest, None)
    if arrives is None and last.live is None:
        arrives = next(last.frames(last.rate, last.begin, last.begin + 1), None)
    if leaves is None or arrives is None:
        raise nothing((first if leaves is None else last).clip.path)
    pictures = [in_channels(each, channels, base.job.background) for each in (leaves, arrives)]
    ends = stills.from_arrays(base.job.keyframes, pictures)
    way = draw.render(plan(base, ends), progress=work.progress, cancel=work.cancel)
    inner = base.schedule.total - 2
    for frame in islice(way, 1, 1 + inner):
        counts.between += 1
        yield frame
    work.report.add(way.report)
    for frame in () if opens is None else chain([opens], rest):
        counts.last += 1
        yield fitted(frame)
