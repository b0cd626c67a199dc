"""Finished clips in folders, scored as they are, against the truth where there is some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vtg_cli.errors import UsageError, naming
from vtg_cli.evaluation.protocols.base import Pictures
from vtg_cli.evaluation.protocols.layouts import named_clips
from vtg_cli.evaluation.readings import SCORES, Reading, reading
from vtg_cli.evaluation.results import cell
from vtg_cli.evaluation.shots import Shot, read
from vtg_cli.evaluation.tables import Networks, means

Found = Mapping[str, Mapping[str, Reading]]
"""Folder -> clip -> figures."""


def scored(
    folders: Sequence[str],
    networks: Networks,
    truth: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Found:
    """Measure all clips of all folders.

    truth: a folder of clips of the same names, sizes and lengths; a clip without one is measured
        without it

    Raises UsageError for a folder without clips, or another size than the truth's; MediaError.
    """
    known = {} if truth is None else _clips(truth)
    clips = {folder: _clips(folder) for folder in folders}
    total = sum(map(len, clips.values()))
    found: dict[str, dict[str, Reading]] = {folder: {} for folder in folders}
    between, done = networks.distances(), 0
    for folder, paths in clips.items():
        for name, path in paths.items():
            if progress is not None:
                progress(done / total, f"measuring {name}")
            with naming(str(path)):
                clip = read(Shot(path))
                if len(clip) < 2:
                    raise UsageError("a clip has two frames or more")
                real = read(Shot(known[name])) if name in known else None
                ends = None if real is None else Pictures(real[0], real[-1], real)
                found[folder][name] = reading(clip, ends, between)
            done += 1
    return found


def table(found: Found, seed: int) -> list[list[str]]:
    """Return means of every folder as rows of text, the header first: a score a row."""
    columns = [means([each.scores for each in clips.values()], seed) for clips in found.values()]
    header = ["score", *(f"{folder} ({len(clips)})" for folder, clips in found.items())]
    names = [name for name in SCORES if any(name in column for column in columns)]
    rows = [
        [f"{name}: {SCORES[name].what}"]
        + [cell(column.get(name), SCORES[name].digits) for column in columns]
        for name in names
    ]
    return [header, *rows]


def resampled(count: int, frames: int) -> list[int]:
    """Return which of `count` frames is nearest each of `frames` even times, ends with ends."""
    return [round(t * (count - 1)) for t in np.linspace(0, 1, frames)]


def _clips(folder: str) -> dict[str, Path]:
    place = Path(folder)
    found = named_clips(place) if place.is_dir() else {}
    if not found:
        raise UsageError(
            f"{folder} holds no clips", "videos, or folders of numbered pictures", subject=folder
        )
    return found
