"""The page of an evaluation: published rows beside ours, strips side by side, players in step,
distances along time, the worst cases first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from vtg_cli.evaluation.motion import difference
from vtg_cli.evaluation.pages import parts
from vtg_cli.evaluation.pages.parts import text
from vtg_cli.evaluation.protocols.base import Case, Protocol, pictures
from vtg_cli.evaluation.readings import Reading
from vtg_cli.evaluation.results import shown
from vtg_cli.evaluation.tables import Result, clip_of

WIDTH = 144  # pixels of a frame in a strip
TRUTH = "truth"
CONTROLS = """<div class="bar"><button id="play">Play</button>
<input type="range" id="time" min="0" max="1" step="0.001" value="0" aria-label="time"></div>"""


def page(
    protocol: Protocol, results: Sequence[Result], seed: int, most: int, about: str = ""
) -> str:
    """Return the page. most: cases of a table that are shown, the worst ones; about: the run."""
    body = [f"<h1>{text(protocol.paper)}</h1>", f'<p class="notes">{text(about)}</p>', CONTROLS]
    for result in results:
        body += _table(result, seed, most)
    return parts.document(f"vtg eval {protocol.name}", "\n".join(body), ("player.js", "report.js"))


def _table(result: Result, seed: int, most: int) -> Iterator[str]:
    table = result.table
    yield f"<h2>{text(table.title)}</h2>"
    of = "" if table.expected is None else f" of the paper's {table.expected}"
    yield f"<p>{len(result.cases)} clips{of}, {table.frames} frames each; given: {table.given}.</p>"
    for group, header, rows in shown(result):
        if len(result.groups) > 1:
            yield f"<h3>{text(group or 'all')}</h3>"
        ours = len(result.systems)
        yield parts.table(header, rows, [number >= ours for number in range(len(rows))])
    notes = [*dict.fromkeys(result.absent.values())]
    notes += [f"{system.name}: {system.note}" for system in result.systems if system.note]
    notes += [*result.lacking, *table.unclear]
    yield f'<ul class="notes">{"".join(f"<li>{text(note)}</li>" for note in notes)}</ul>'
    colours = _colours(result)
    keys = (f'<span><i style="background:{c}"></i>{text(n)}</span>' for n, c in colours.items())
    yield f'<p class="key">{"".join(keys)}</p>'
    yield from _mean_curves(result, colours)
    ranked = sorted(result.cases, key=lambda case: -badness(result, case.name)[""])[:most]
    if not ranked:
        return
    yield _sorting(result, len(ranked))
    yield f'<div id="cases-{text(table.name)}">'
    for case in ranked:
        yield from _case(result, case, seed, colours)
    yield "</div>"


def badness(result: Result, case: str) -> dict[str, float]:
    """Return how bad each system's clip of a case is, and "" their mean: less PSNR where the truth
    is known, else the sum of vtg's own measures.
    """
    rows = result.readings[case]
    found = {name: _bad(reading) for name, reading in rows.items()}
    return {**found, "": sum(found.values()) / max(1, len(found))}


def _bad(reading: Reading) -> float:
    return -reading.scores["psnr"] if "psnr" in reading.scores else reading.scores["badness"]


def _colours(result: Result) -> dict[str, str]:
    names = [TRUTH, *(system.name for system in result.systems)]
    return {name: parts.COLOURS[i % len(parts.COLOURS)] for i, name in enumerate(names)}


def _mean_curves(result: Result, colours: Mapping[str, str]) -> Iterator[str]:
    kinds = {"errors": "error against the truth", "steps": "steps", "lpips": "LPIPS of neighbours"}
    for kind, title in kinds.items():
        series = {
            system.name: parts.mean_curve(
                [getattr(rows[system.name], kind) for rows in result.readings.values()]
            )
            for system in result.systems
        }
        if any(series.values()):
            yield parts.curves(series, colours, f"mean {title} along t")


def _sorting(result: Result, count: int) -> str:
    names = (system.name for system in result.systems)
    options = "".join(f'<option value="{text(name)}">{text(name)}</option>' for name in names)
    worst = "The worst" if count < len(result.cases) else "All"
    return (
        f'<p>{worst} {count} clips, worst first, by <select class="sort" '
        f'data-list="cases-{text(result.table.name)}"><option value="">all systems</option>'
        f"{options}</select></p>"
    )


def _case(result: Result, case: Case, seed: int, colours: Mapping[str, str]) -> Iterator[str]:
    table, rows = result.table, result.readings[case.name]
    known = pictures(case, table, seed)
    scores = {name: round(value, 4) for name, value in badness(result, case.name).items()}
    yield f'<article data-scores="{text(json.dumps(scores))}"><h3>{text(case.name)}</h3>'
    if case.captions:
        yield f'<p class="notes">{text(" → ".join(case.captions))}</p>'
    if known is not None and known.truth is not None:
        yield _row(TRUTH, "", parts.strip(known.truth, WIDTH, f"{case.name}, truth"))
    for system in result.systems:
        clip = clip_of(system, case, table, known)
        image = parts.strip(clip, WIDTH, f"{case.name}, {system.name}")
        yield _row(system.name, _figures(rows[system.name]), image)
    kinds = {"errors": "error against the truth along t", "steps": "steps along t"}
    for kind, title in kinds.items():
        series = {name: getattr(reading, kind) for name, reading in rows.items()}
        if kind == "steps" and known is not None and known.truth is not None:
            series[TRUTH] = [difference(b, a) for a, b in pairwise(known.truth)]
        if any(len(values) for values in series.values()):
            yield parts.curves(series, colours, title)
    yield "</article>"


def _figures(reading: Reading) -> str:
    known = {"psnr": ("PSNR {:.2f}", "dB"), "badness": ("badness {:.2f}", "")}
    told = [
        " ".join([form.format(reading.scores[key]), unit]).strip()
        for key, (form, unit) in known.items()
        if key in reading.scores
    ]
    wrong = "".join(f' <span class="bad">{text(label)}</span>' for label in reading.verdict)
    return f"<small>{text(', '.join(told))}{wrong}</small>"


def _row(name: str, figures: str, image: str) -> str:
    return (
        f'<div class="row"><div class="name"><b>{text(name)}</b>{figures}</div>'
        f'<canvas aria-label="{text(name)}"></canvas><div class="film">{image}</div></div>'
    )
