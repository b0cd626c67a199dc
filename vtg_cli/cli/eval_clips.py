"""The clips of an evaluation: those of vtg's methods are made as a batch, those of the baselines in
processes of their own, those of other systems are found by name. All of it goes on where it stood.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtg_cli.batch.crews import Engine, Show, check_models, open_crew, outcomes
from vtg_cli.batch.item import Item
from vtg_cli.batch.store import Folder
from vtg_cli.batch.worker import Settings
from vtg_cli.errors import BatchError, UsageError
from vtg_cli.evaluation import baselines
from vtg_cli.evaluation.protocols.base import Case, Table, pictures
from vtg_cli.evaluation.protocols.layouts import named_clips, safe
from vtg_cli.evaluation.readings import fingerprint
from vtg_cli.evaluation.tables import Cost
from vtg_cli.ground import atomic, documents
from vtg_cli.ground.atomic import numbered
from vtg_cli.job.checks import validated
from vtg_cli.job.keywords import job_of
from vtg_cli.job.methods import METHODS
from vtg_cli.media.beside import report_of, sidecar_path
from vtg_cli.media.image import sha256_of
from vtg_cli.media.sheet import save_png

if TYPE_CHECKING:
    from vtg_cli.job.keywords import Options

FRAMES = "%04d.png"
SHOWN = 8
"""Most names that an error gives."""


@dataclass(frozen=True)
class Way:
    """A way of making clips, as --methods calls it. model, method: None for a baseline."""

    name: str
    model: str | None = None
    method: str | None = None

    @property
    def place(self) -> str:
        """The folder of its clips."""
        return safe(self.name)


def ways(words: str, model: str) -> list[Way]:
    """Read --methods: baselines, methods (of `model`), models or MODEL:METHOD, and commas."""
    found = []
    for word in dict.fromkeys(each.strip() for each in words.split(",") if each.strip()):
        head, colon, tail = word.rpartition(":")
        if word in baselines.BASELINES:
            found.append(Way(word))
        elif word in METHODS:
            found.append(Way(word, model, word))
        elif colon and tail in METHODS:
            found.append(Way(word, head, tail))
        else:
            found.append(Way(word, word))
    return found


@dataclass
class Made:
    """The clips of one way in one table, by the case's name, and what they cost."""

    clips: dict[str, Path] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Task:
    """A case to be drawn: its table and its keyframes as files."""

    table: Table
    case: Case
    first: str
    last: str

    def pattern(self, way: Way) -> str:
        """Return where a way's clip goes, in the folder of all clips."""
        return f"{way.place}/{self.table.name}/{self.case.name}/{FRAMES}"


def tasks(table: Table, cases: Sequence[Case], place: Path, seed: int) -> Iterator[Task]:
    """Write the keyframes of all cases that have two, and yield them. Raise MediaError."""
    for case in cases:
        known = pictures(case, table, seed)
        if known is None or known.last is None:
            raise UsageError(
                f"{table.title}: its systems are given {table.given}, and vtg's methods need the "
                "first and the last frame",
                "leave --methods out, and give clips with --clips NAME=DIR",
                subject="--methods",
            )
        names = [str(place / table.name / f"{case.name}_{end}.png") for end in "ab"]
        for name, picture in zip(names, (known.first, known.last), strict=True):
            save_png(name, picture)
        yield Task(table, case, *names)


def items(way: Way, todo: Sequence[Task], options: Options) -> Iterator[Item]:
    """Yield the jobs of one way. Raise UsageError or WeightsError for what none could do."""
    from vtg_cli.plan.setup import chosen
    from vtg_cli.plan.unused import reads

    chosen_options: dict[str, Any] = {**options, "model": way.model}
    if way.method is not None:
        chosen_options["method"] = way.method
    texts = None
    for task in todo:
        own = chosen_options | {"frames": task.table.frames, "output": task.pattern(way)}
        job = job_of([task.first, task.last], own)  # type: ignore[arg-type]
        if texts is None:
            texts = reads(chosen(validated(job)))
        if texts and task.case.captions:
            job = job_of([task.first, task.last], own | {"prompts": task.case.captions})  # type: ignore[arg-type]
        yield Item(f"{way.name} {task.table.name} {task.case.name}", job)


def make(
    todo: Sequence[Item], place: Path, engine: Engine, *, overwrite: bool, show: Show | None
) -> None:
    """Make what is not there yet, as `vtg batch` does. Raise BatchError if some cannot be made."""
    if not todo:
        return
    if engine.name == "local":
        check_models(todo)
    settings = Settings(str(place), overwrite=overwrite)
    store = Folder(place)
    failed = []
    with open_crew(todo, settings, engine) as (crew, places):
        for outcome in outcomes(crew, places, todo, store, settings, show):
            if outcome.state == "failed":
                failed.append(f"{outcome.name}: {outcome.error}")
    store.tidy()
    store.close()
    _check_failed(failed, len(todo))


def make_baselines(
    way: Way, todo: Sequence[Task], place: Path, workers: int, show: Show | None
) -> None:
    """Draw a baseline's clips that are not there yet. Raise BatchError if some cannot be drawn."""
    wanted = [task for task in todo if _baseline(way, task, place) is None]
    if not wanted:
        return
    failed = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        drawing = {}
        for task in wanted:
            pattern = str(place / task.pattern(way))
            drawn = pool.submit(
                baselines.draw, way.name, task.first, task.last, task.table.frames, pattern
            )
            drawing[drawn] = task
        for done, future in enumerate(as_completed(drawing), start=1):
            task = drawing[future]
            error = future.exception()
            if error is not None:
                failed.append(f"{way.name} {task.case.name}: {error}")
            else:
                record = {"key": _key(way, task), **future.result()._asdict()}
                atomic.write(_record(way, task, place), json.dumps(record).encode())
            if show is not None:
                show(done / len(wanted), f"{way.name}: {done} of {len(wanted)}")
    _check_failed(failed, len(wanted))


def made(way: Way, todo: Sequence[Task], place: Path) -> Made:
    """Return the clips of a way that are there, with their costs."""
    result = Made()
    store = Folder(place, look=True)
    for task in todo:
        name, pattern = task.case.name, place / task.pattern(way)
        result.clips[name] = pattern
        if way.model is None:
            record = _baseline(way, task, place) or {}
            result.costs[name] = Cost(record.get("seconds"), record.get("peak"))
            continue
        report = report_of(str(pattern), sidecar_path(str(pattern))) or {}
        drawn, model = report.get("seconds", {}), report.get("model", {})
        done = store.history(task.pattern(way)).done or {}
        result.costs[name] = Cost(drawn.get("drawing"), done.get("peak"), model.get("evaluations"))
        result.models.add(str(model.get("name", way.model)))
    return result


def others(name: str, folder: Path, table: Table, cases: Sequence[Case]) -> dict[str, Path]:
    """Find another system's clips by the names of the cases, in DIR/TABLE or in DIR.

    Raises UsageError with the names of those that are missing.
    """
    place = folder / table.name if (folder / table.name).is_dir() else folder
    if not place.is_dir():
        raise UsageError(f"--clips {name}: there is no folder {folder}", subject="--clips")
    there = named_clips(place)
    found = {}
    for case in cases:
        path = there.get(case.name) or there.get(f"{case.name}-0")  # VBench numbers them
        if path is not None:
            found[case.name] = path
    lacking = [case.name for case in cases if case.name not in found]
    if lacking:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        raise UsageError(
            f"--clips {name}: {place} has no clip for {', '.join(lacking[:SHOWN])}{more}",
            "a clip is a video or a folder of numbered pictures with the case's name",
            subject="--clips",
        )
    return found


def _check_failed(failed: Sequence[str], total: int) -> None:
    if failed:
        raise BatchError(
            f"{len(failed)} of {total} clips failed; {failed[0]}",
            "run the same command again to retry what is missing",
        )


def _record(way: Way, task: Task, place: Path) -> Path:
    return place / way.place / task.table.name / f"{task.case.name}.json"


def _key(way: Way, task: Task) -> str:
    """Hash what a baseline's clip follows from."""
    inputs = sha256_of(task.first), sha256_of(task.last)
    return fingerprint(way.name, str(task.table.frames), *inputs)


def _baseline(way: Way, task: Task, place: Path) -> Mapping[str, Any] | None:
    """Return the record of a baseline's clip, if the clip is there and of these pictures."""
    try:
        record = documents.json_file(_record(way, task, place))
    except (OSError, ValueError):
        return None
    whole = len(numbered(place / task.pattern(way))) == task.table.frames
    return record if whole and record.get("key") == _key(way, task) else None
