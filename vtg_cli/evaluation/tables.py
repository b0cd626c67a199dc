"""A table carried out: every clip of every system is measured, then the set as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vtg_cli.errors import UsageError, WeightsError, naming
from vtg_cli.evaluation import features, lpips, scores, sets
from vtg_cli.evaluation.features import Extractor
from vtg_cli.evaluation.intervals import bootstrap
from vtg_cli.evaluation.protocols.base import Case, Pictures, Table, grouped, pictures
from vtg_cli.evaluation.readings import OF_FEATURES, Reading, Readings, fingerprint, reading
from vtg_cli.evaluation.shots import Frames, Shot, read
from vtg_cli.evaluation.transition import Answer, transition
from vtg_cli.media.image import fit

Progress = Callable[[float, str], None]
LPIPS = "lpips-alex"
OF_LPIPS = ("gini", "smoothness", "consistency", "worst", "ppl", "ppl_scaled", "pdv")
TCR, TC_SCORE = "tcr", "tc_score"


@dataclass(frozen=True)
class Cost:
    """What a clip cost: seconds of drawing, peak bytes of its process, network evaluations."""

    seconds: float | None = None
    peak: int | None = None
    evaluations: int | None = None


@dataclass(frozen=True)
class System:
    """What made clips: its name, the clip of each case by its name, and what they cost.

    note: what a reader must know of its clips
    answers: of a judge, by case (TC-Bench); similarity: of neighbouring frames, by case
    """

    name: str
    clips: Mapping[str, Path]
    note: str = ""
    costs: Mapping[str, Cost] = field(default_factory=dict)
    answers: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    similarity: Mapping[str, float] | None = None


class Networks:
    """The feature networks that are here, loaded when they are first asked for."""

    def __init__(self, paths: Mapping[str, str], device: str = "cpu") -> None:
        """Take the weights that the user gives, by their names in the catalogue.

        Raises UsageError for an unknown name, WeightsError for a path that is not there.
        """
        known = {each.weights for each in features.NETWORKS.values()} | {*features.DISTANCES}
        for name in paths:
            if name not in known:
                raise UsageError(
                    f"there are no weights {name!r} of features",
                    f"one of {', '.join(sorted(known))}",
                    subject="--features",
                )
            if not Path(paths[name]).exists():
                raise WeightsError(f"--features {name}: there is no {paths[name]}", subject=name)
        self._paths, self._device = paths, device
        self._loaded: dict[str, Extractor] = {}
        self._lpips: lpips.Lpips | None = None

    def absent(self, name: str) -> str | None:
        """Return why a network's scores are absent; None if they are not."""
        return features.missing(name, self._path(name))

    def extractor(self, name: str) -> Extractor:
        """Load a network. Raise WeightsError."""
        if name not in self._loaded:
            self._loaded[name] = features.extractor(name, self._path(name), self._device)
        return self._loaded[name]

    def distances(self) -> scores.Distances | None:
        """Return LPIPS between neighbours, if its weights are here."""
        if self.absent(LPIPS):
            return None
        distance = self._lpips or lpips.lpips(LPIPS, self._path(LPIPS), self._device)
        self._lpips = distance
        return lambda clip: lpips.neighbour_distances(distance, clip)

    def towers(self, table: Table) -> dict[str, Extractor]:
        """Load the networks of the scores of a clip that a table prints."""
        wanted = {OF_FEATURES[name][0] for name in table.clip_scores if name in OF_FEATURES}
        return {name: self.extractor(name) for name in sorted(wanted) if not self.absent(name)}

    def identity(self, table: Table) -> str:
        """Return what tells the networks of a clip's scores from others: their weights."""
        weights = {name: dict(each.weights) for name, each in self.towers(table).items()}
        if self.distances() is not None and self._lpips is not None:
            weights[LPIPS] = dict(self._lpips.weights)
        return repr(sorted((name, sorted(each.items())) for name, each in weights.items()))

    @property
    def notes(self) -> list[str]:
        """Sentences about loaded weights that are not known to be the published ones."""
        notes = [each.note for each in self._loaded.values()]
        notes += [] if self._lpips is None else [self._lpips.note]
        return [note for note in notes if note]

    def _path(self, name: str) -> str | None:
        network = features.NETWORKS.get(name)
        return self._paths.get(name if network is None else network.weights)


@dataclass
class Result:
    """A table's results. All is plain JSON but `table` and `cases`.

    groups: part of the table -> system -> score -> mean, low, high, n
    readings: case -> system -> figures
    lacking: what is missing in the data or not known of the weights, a sentence each
    absent: score -> why
    """

    table: Table
    cases: Sequence[Case]
    lacking: Sequence[str]
    groups: dict[str, dict[str, dict[str, Any]]]
    readings: dict[str, dict[str, Reading]]
    absent: dict[str, str]
    systems: Sequence[System]


def evaluated(
    table: Table,
    cases: Sequence[Case],
    systems: Sequence[System],
    networks: Networks,
    *,
    seed: int,
    kept: Readings,
    lacking: Sequence[str] = (),
    progress: Progress | None = None,
) -> Result:
    """Measure a table's clips. Raise UsageError or MediaError for one that is missing or wrong.

    seed: of the bootstrap, and of frames that a protocol draws
    kept: what was measured before; it is added to
    """
    absent = absences(table, networks)
    distances = [each for each in table.distances if each.key not in absent]
    features_of_sets = sets.Sets(distances, networks.extractor, seed)
    towers, between = networks.towers(table), networks.distances()
    found: dict[str, dict[str, Reading]] = {}
    for number, case in enumerate(cases):
        if progress is not None:
            progress(number / len(cases), f"measuring {case.name}")
        known = pictures(case, table, seed)
        parts = ["", *([case.group] if case.group else [])]
        if known is not None:
            features_of_sets.add_real(known, case.name, parts)
        found[case.name] = {}
        for system in systems:
            with naming(f"{system.name}, {case.name}"):
                clip = clip_of(system, case, table, known)
                key = _key(clip, known, table, networks)
                made = kept.of(key)
                if made is None:
                    made = reading(clip, known, between, towers)
                    kept.keep(key, made)
                found[case.name][system.name] = made
                features_of_sets.add_made(system.name, clip, case.name, parts)
    summary: dict[str, dict[str, dict[str, Any]]] = {}
    for group, members in grouped(cases).items():
        summary[group] = {}
        for system in systems:
            rows = [found[case.name][system.name].scores for case in members]
            figures = features_of_sets.figures(system.name, group)
            summary[group][system.name] = {
                **means(rows, seed),
                **{key: _of_a_set(figure) for key, figure in figures.items()},
                **(_judged(system, members) if table.judged else {}),
            }
    told = [*lacking, *networks.notes]
    return Result(table, cases, told, summary, found, absent, systems)


def _key(clip: Frames, known: Pictures | None, table: Table, networks: Networks) -> str:
    """Hash what a reading follows from."""
    given = () if known is None else (known.first, known.last, known.truth)
    return fingerprint(
        clip, *given, networks.identity(table), repr((table.given, table.clip_scores))
    )


def _of_a_set(figure: sets.Figure) -> dict[str, Any]:
    spread = {} if figure.spread is None else {"spread": figure.spread}
    return {"mean": figure.value, "n": figure.n, **spread}


def clip_of(system: System, case: Case, table: Table, known: Pictures | None) -> Frames:
    """Read a system's clip of a case, at the table's size and of its number of frames.

    Raises UsageError for another number of frames, MediaError.
    """
    if case.name not in system.clips:
        raise UsageError("there is no clip", "one for each case is needed")
    clip = read(Shot(system.clips[case.name]))
    few = len(clip) < table.frames
    if few or (table.given == "ends" and len(clip) != table.frames):
        raise UsageError(f"the clip has {len(clip)} frames, those of {table.name} {table.frames}")
    height, width = table.size or (clip.shape[1:3] if known is None else known.first.shape[:2])
    return np.stack([fit(frame, height, width, "crop") for frame in clip[: table.frames]])


def absences(table: Table, networks: Networks) -> dict[str, str]:
    """Return why scores of a table are absent: no weights, or no answers."""
    wanted = {each.key: each.network for each in table.distances}
    wanted |= {name: OF_FEATURES[name][0] for name in table.clip_scores if name in OF_FEATURES}
    wanted |= dict.fromkeys(OF_LPIPS, LPIPS)
    reasons = {key: networks.absent(name) for key, name in wanted.items()}
    return {key: reason for key, reason in reasons.items() if reason is not None}


def means(rows: Sequence[Mapping[str, float]], seed: int) -> dict[str, dict[str, Any]]:
    """Compute mean, interval and number of every score that a clip has."""
    names = dict.fromkeys(name for row in rows for name in row)
    means = {}
    for name in names:
        values = [row[name] for row in rows if name in row]
        low, high = bootstrap(values, seed)
        means[name] = {"mean": float(np.mean(values)), "low": low, "high": high, "n": len(values)}
    return means


def _judged(system: System, members: Sequence[Case]) -> dict[str, dict[str, Any]]:
    answers = {
        case.name: system.answers[case.name] for case in members if case.name in system.answers
    }
    if not answers:
        return {}
    found = transition(answers, system.similarity)
    n = len(answers)
    return {TCR: {"mean": found.tcr, "n": n}, TC_SCORE: {"mean": found.tc_score, "n": n}}


def costs(system: System) -> dict[str, float]:
    """Compute mean seconds, the largest peak and mean evaluations of a system's clips."""
    rows = [asdict(cost) for cost in system.costs.values()]
    found: dict[str, float] = {}
    for name, of in (("seconds", np.mean), ("peak", np.max), ("evaluations", np.mean)):
        values = [row[name] for row in rows if row[name] is not None]
        if values:
            found[name] = float(of(values))
    return found


def columns(result: Result) -> Iterator[str]:
    """Yield the keys of a result's scores, those the paper prints first."""
    table = result.table
    own = [each.key for each in table.distances]
    own += [TCR, TC_SCORE] if table.judged else []
    own += table.clip_scores
    there = {key for group in result.groups.values() for row in group.values() for key in row}
    printed = {key for row in table.published for key in row.figures}
    rest = [*scores.OF_A_CLIP, *OF_FEATURES, *sorted(printed)]
    yield from dict.fromkeys(key for key in (*own, *rest) if key in there | printed | {*own})
