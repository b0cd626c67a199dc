"""Results as files: JSON with everything, a table for people, a table for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from vtg_cli import __version__
from vtg_cli.evaluation.intervals import DRAWS, LEVEL
from vtg_cli.evaluation.protocols.base import Protocol, Row
from vtg_cli.evaluation.readings import SCORES
from vtg_cli.evaluation.scores import Score
from vtg_cli.evaluation.tables import TC_SCORE, TCR, Result, columns, costs
from vtg_cli.ground.units import size_text

SCHEMA = "vtg-eval"
MORE = ("psnr", "ssim", "haarpsi", "smoothness", "flicker", "seam_first", "seam_last", "badness")
"""Scores that a table for people shows beside those the paper prints."""
JUDGED = {
    TCR: Score("transition completion ratio, %", "more", 2),
    TC_SCORE: Score("TC-Score", "more"),
}
TOTALS = {
    name: Score(f"VBench's {what} score, %", "more", 1)
    for name, what in (("quality", "quality"), ("semantic", "semantic"), ("i2v", "I2V"))
} | {"total": Score("VBench's total, %", "more", 1)}
"""Published figures that are not computed here."""


def meaning(result: Result, key: str) -> Score:
    """Return what a column of a table is."""
    for each in result.table.distances:
        if each.key == key:
            return Score(each.title, "more" if each.kind == "inception" else "less", 2)
    return {**SCORES, **JUDGED, **TOTALS}[key]


def document(
    protocol: Protocol, results: Sequence[Result], seed: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything as JSON. settings: what the run was asked for."""
    return {
        "schema": SCHEMA,
        "version": 1,
        "vtg": __version__,
        "protocol": protocol.name,
        "paper": protocol.paper,
        "settings": dict(settings),
        "interval": {"kind": "bootstrap", "level": LEVEL, "draws": DRAWS, "seed": seed},
        "tables": [_table(result) for result in results],
    }


def _table(result: Result) -> dict[str, Any]:
    table = result.table
    return {
        "name": table.name,
        "title": table.title,
        "given": table.given,
        "frames": table.frames,
        "size": None if table.size is None else f"{table.size[1]}x{table.size[0]}",
        "clips": len(result.cases),
        "expected": table.expected,
        "lacking": list(result.lacking),
        "columns": {key: asdict(meaning(result, key)) for key in columns(result)},
        "groups": result.groups,
        "absent": result.absent,
        "published": [asdict(row) for row in table.published],
        "cost": {system.name: costs(system) for system in result.systems},
        "notes": {system.name: system.note for system in result.systems if system.note},
        "unclear": list(table.unclear),
        "clips_of": {
            case: {system: asdict(made) for system, made in rows.items()}
            for case, rows in result.readings.items()
        },
    }


CSV = ("table", "part", "system", "score", "mean", "low", "high", "n", "source")


def table_csv(results: Sequence[Result]) -> str:
    """Return one figure a line: ours with interval and n, published ones with their source."""
    text = io.StringIO(newline="")
    out = csv.DictWriter(text, CSV, lineterminator="\n")
    out.writeheader()
    for result in results:
        name = result.table.name
        for group, systems in result.groups.items():
            for system, figures in systems.items():
                for key, figure in figures.items():
                    numbers = {k: figure.get(k, "") for k in ("mean", "low", "high", "n")}
                    row = {"table": name, "part": group, "system": system, "score": key}
                    out.writerow({**row, **numbers, "source": "vtg"})
        for each in result.systems:
            for key, value in costs(each).items():
                row = {"table": name, "system": each.name, "score": key}
                numbers = {"mean": value, "n": len(each.costs)}
                out.writerow({**row, **numbers, "source": "vtg"})
        for published in result.table.published:
            for key, value in published.figures.items():
                row = {"table": name, "part": published.group, "system": published.system}
                out.writerow({**row, "score": key, "mean": value, "source": published.source})
    return text.getvalue()


def table_md(results: Sequence[Result]) -> str:
    """Return the tables for people, as Markdown that reads well as plain text."""
    return "\n".join(line for result in results for line in _markdown(result))


def _markdown(result: Result) -> Iterator[str]:
    table = result.table
    yield f"# {table.title}\n"
    of = "" if table.expected is None else f" of the paper's {table.expected}"
    size = "" if table.size is None else f" at {table.size[1]}x{table.size[0]}"
    yield f"{len(result.cases)} clips{of}, {table.frames} frames each{size}; given: {table.given}."
    yield f"Mean [{LEVEL:.0%} bootstrap interval].\n"
    for group, header, rows in shown(result):
        if group or len(result.groups) > 1:
            yield f"## {group or 'all'}\n"
        yield from markdown([header, *rows])
        yield ""
    for reason in dict.fromkeys(result.absent.values()):
        yield f"- {reason}"
    for name, note in ((s.name, s.note) for s in result.systems if s.note):
        yield f"- {name}: {note}"
    for note in (*result.lacking, *table.unclear):
        yield f"- {note}"
    yield ""


ARROWS = {"more": "↑", "less": "↓", "neither": ""}
COST = ("s a clip", "evaluations", "peak memory")


def shown(result: Result) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Yield each part's table as text: its name, the header, and the rows, published ones last."""
    keys = [key for key in columns(result) if key in _own(result) or key in MORE]
    for group, systems in result.groups.items():
        rows = []
        for system in result.systems:
            figures = systems[system.name]
            cells = [cell(figures.get(key), meaning(result, key).digits) for key in keys]
            rows.append([system.name, *cells, *_spent(costs(system)), ""])
        for row in (row for row in result.table.published if row.group == group):
            published = _published(result, row, keys)
            rows.append([row.system, *published, *([""] * len(COST)), row.source])
        header = ["system", *(_headed(result, key) for key in keys), *COST, "published in"]
        if not any(row[-1] for row in rows):
            header, rows = header[:-1], [row[:-1] for row in rows]
        yield group, header, rows


def _headed(result: Result, key: str) -> str:
    """Return a score's name with an arrow to where it is better."""
    return f"{key} {ARROWS[meaning(result, key).better]}".strip()


def _own(result: Result) -> set[str]:
    """Return the scores the paper prints."""
    printed = {key for row in result.table.published for key in row.figures}
    own = {each.key for each in result.table.distances} | {*result.table.clip_scores}
    return printed | own | ({TCR, TC_SCORE} if result.table.judged else set())


def cell(figure: Mapping[str, Any] | None, digits: int) -> str:
    """Return a figure as text: its mean, and its interval where there is one."""
    if figure is None:
        return "absent"
    text = f"{figure['mean']:.{digits}f}"
    if "low" in figure:
        text += f" [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"
    return text


def _published(result: Result, row: Row, keys: Sequence[str]) -> list[str]:
    digits = {key: meaning(result, key).digits for key in keys}
    return [f"{row.figures[key]:.{digits[key]}f}" if key in row.figures else "" for key in keys]


def _spent(cost: Mapping[str, float]) -> list[str]:
    seconds = f"{cost['seconds']:.2f}" if "seconds" in cost else ""
    evaluations = f"{cost['evaluations']:.0f}" if "evaluations" in cost else ""
    return [seconds, evaluations, size_text(cost["peak"]) if cost.get("peak") else ""]


def markdown(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table that reads well as plain text, the header first."""
    plain = [[each.replace("|", "\\|") for each in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (plain[0], rule, *plain[1:]):
        first, *rest = (
            text.rjust(width) if i else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"| {' | '.join([first, *rest])} |"
