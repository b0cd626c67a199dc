"""vtg eval run, carried out: clips, measures, files. Everything in the output folder is made by
writing aside and renaming, and a run that was killed goes on where it stood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtg_cli import __version__
from vtg_cli.batch.crews import Engine
from vtg_cli.cli import eval_clips as clips
from vtg_cli.cli.bar import progress
from vtg_cli.cli.console import say
from vtg_cli.errors import MediaError, UsageError
from vtg_cli.evaluation.pages import report
from vtg_cli.evaluation.protocols.base import Found, Protocol, Table
from vtg_cli.evaluation.readings import Readings
from vtg_cli.evaluation.results import document, table_csv, table_md
from vtg_cli.evaluation.tables import Networks, Result, System, evaluated
from vtg_cli.evaluation.transition import Answer
from vtg_cli.ground import atomic, documents

READINGS = "readings.jsonl"
BOTH_ENDS = "vtg's methods were given the first and the last frame; the paper's systems {}"


@dataclass(frozen=True)
class Run:
    """What was asked for. own: the command's options; options: of the jobs."""

    protocol: Protocol
    tables: Sequence[Table]
    read: Mapping[str, Found]
    ways: Sequence[clips.Way]
    folders: Mapping[str, str]
    answers: Mapping[str, str]
    networks: Networks
    own: Mapping[str, Any]
    options: Mapping[str, Any]


def carried_out(run: Run) -> tuple[dict[str, Any], list[Result], list[Path]]:
    """Make and measure everything; return the results as JSON and as they are, and the files."""
    out, quiet, seed = Path(run.own["output"]), run.own["quiet"], run.own["draw_seed"]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"cannot make the folder {out}: {error.strerror}") from error
    _claim(out)
    judged = {name: _answers(Path(path)) for name, path in run.answers.items()}
    found_elsewhere = {
        table.name: {
            name: clips.others(name, Path(folder), table, run.read[table.name].cases)
            for name, folder in run.folders.items()
        }
        for table in run.tables
    }
    drawn = _drawn(run, out, seed)
    kept = Readings(out / READINGS)
    results = []
    for table in run.tables:
        systems = [
            *_ours(run, table, drawn[table.name], out / "clips", judged),
            *(
                System(name, paths, **judged.get(name, {}))
                for name, paths in found_elsewhere[table.name].items()
            ),
        ]
        found = run.read[table.name]
        with progress(quiet=quiet) as show:
            made = evaluated(
                table,
                found.cases,
                systems,
                run.networks,
                seed=seed,
                kept=kept,
                lacking=found.lacking,
                progress=show,
            )
        results.append(made)
    return _written(run, results, out, seed)


def _claim(out: Path) -> None:
    """Make the folder an evaluation's. Raise UsageError for one with other things in it."""
    if any(out.iterdir()) and not (out / READINGS).is_file():
        raise UsageError(
            f"{out} is not empty and holds no evaluation", "name a new folder", subject="--output"
        )
    (out / READINGS).touch()


def _drawn(run: Run, out: Path, seed: int) -> dict[str, list[clips.Task]]:
    """Write the keyframes and make the clips of vtg's own methods."""
    tasks: dict[str, list[clips.Task]] = {table.name: [] for table in run.tables}
    if not run.ways:
        return tasks
    for table in run.tables:
        tasks[table.name] += clips.tasks(table, run.read[table.name].cases, out / "inputs", seed)
    todo = [task for each in tasks.values() for task in each]
    items = [
        item
        for way in run.ways
        if way.model is not None
        for item in clips.items(way, todo, run.options)  # type: ignore[arg-type]
    ]
    own = run.own
    engine = Engine(own["engine"], own["workers"], own["ray_address"], run.options["device"])
    with progress(quiet=own["quiet"]) as show:
        clips.make(items, out / "clips", engine, overwrite=own["overwrite"], show=show)
        for way in run.ways:
            if way.model is None:
                clips.make_baselines(way, todo, out / "clips", own["workers"] or 1, show)
    return tasks


def _ours(
    run: Run,
    table: Table,
    tasks: Sequence[clips.Task],
    place: Path,
    judged: Mapping[str, Mapping[str, Any]],
) -> list[System]:
    """Return the systems of vtg's own methods, with what a reader must know of them."""
    systems = []
    for way in run.ways:
        made = clips.made(way, tasks, place)
        notes = [f"drawn by {', '.join(sorted(made.models))}"] if made.models else []
        if table.given != "ends":
            notes.append(BOTH_ENDS.format(f"{table.given}: the rows do not compare"))
        answers = judged.get(way.name, {})
        systems.append(System(way.name, made.clips, "; ".join(notes), made.costs, **answers))
    return systems


def _answers(path: Path) -> dict[str, Any]:
    """Read {"answers": {case: [{"correct", "type"}]}, "similarity": {case: number}}."""
    shape = '{"answers": {"CASE": [{"correct": 1, "type": "..."}]}, "similarity": {"CASE": 0.95}}'
    with documents.reading(path, UsageError, f"it is {shape}"):
        content = documents.json_file(path)
        answers = {
            case: [Answer(float(each["correct"]), str(each["type"])) for each in asked]
            for case, asked in content["answers"].items()
        }
        if not all(answers.values()):
            raise ValueError("a clip has no answer")
        similarity = content.get("similarity")
        numbers = None if similarity is None else {k: float(v) for k, v in similarity.items()}
        return {"answers": answers, "similarity": numbers}


def _written(
    run: Run, results: list[Result], out: Path, seed: int
) -> tuple[dict[str, Any], list[Result], list[Path]]:
    names = ("data", "methods", "clips", "features", "tables", "limit", "frames")
    settings = {name: run.own[name] for name in names if run.own.get(name)}
    settings |= {name: value for name, value in run.options.items() if value is not None}
    whole = document(run.protocol, results, seed, settings)
    told = "; ".join(f"{name} {value}" for name, value in settings.items())
    about = f"vtg {__version__}; {told}; drawn from seed {seed}"
    page = report.page(run.protocol, results, seed, run.own["shown"], about)
    files = {
        "results.json": json.dumps(whole, indent=1, default=str),
        "table.md": table_md(results),
        "table.csv": table_csv(results),
        "report.html": page,
    }
    for name, text in files.items():
        atomic.write(out / name, text.encode("utf-8", "backslashreplace"))
    if not run.own["quiet"]:
        for reason in dict.fromkeys(r for each in results for r in each.absent.values()):
            say(reason)
    return whole, results, [out / name for name in reversed(files)]
