"""What a protocol is: tables, each with its data, its scores and its published rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.shots import Frames, Shot, read
from vtg_cli.media.image import fit, read_image

Given = Literal["ends", "first frames", "every second frame", "text", "nothing"]
"""What a system of the table may know of a clip."""
SHOWN = 8
"""Most names that an error gives."""


@dataclass(frozen=True)
class Case:
    """One clip to be made.

    name: unique in its table, fit for a file name
    truth: the real clip, if there is one
    ends: first and last picture, where there is no real clip; None: only the first is given
    captions: what they show, if somebody wrote it down
    group: the part of the table it is counted in as well; "" if there are no parts
    """

    name: str
    truth: Shot | None = None
    ends: tuple[Path, Path | None] | None = None
    captions: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Found:
    """The cases of a folder. lacking: what is incomplete there and left out, a sentence each."""

    cases: tuple[Case, ...]
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Distance:
    """A score of a whole set of clips.

    key, title: its name in files and for people
    network: a key of features.NETWORKS
    kind: "frechet"; "kernel", unbiased; "centred kernel", blind to the mean (distances.py);
        "inception", of the made clips alone
    of: features of every frame, of `picks` random frames a clip, or of whole clips
    clip: frames of a clip that a network of clips sees, at one place drawn for each clip; None: all
    ddof: of covariances
    picks, repeats: random frames a clip, and how often the distance is computed anew and averaged
    real: compared with the real clips, or with the input pictures
    shuffle: of the inception score
    """

    key: str
    title: str
    network: str
    kind: Literal["frechet", "kernel", "centred kernel", "inception"] = "frechet"
    of: Literal["frames", "picks", "clips"] = "frames"
    clip: int | None = None
    ddof: int = 1
    picks: int = 2
    repeats: int = 1
    real: Literal["truth", "inputs"] = "truth"
    shuffle: bool = False


@dataclass(frozen=True)
class Row:
    """A published row: its figures by a score's key, and where they stand."""

    system: str
    figures: Mapping[str, float]
    source: str
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A paper's table.

    name: of its folder in the data, and in files
    title, source: for people: what it is, and where it was published
    layout: what must lie in its folder, in words
    published_at: where the data come from
    find: reads the folder
    expected: clips of the paper; None: it does not say, or there is no paper
    frames: of a clip
    size: [H, W] to which everything is scaled and cut; None: each clip's own
    given: what the paper's systems know of a clip
    distances: scores of the set
    clip_scores: scores of a clip (scores.OF_A_CLIP) that the paper prints; all others follow them
    judged: a person or a model has to answer questions (TC-Bench); answers come from a file
    unclear: what is wrong with the published protocol, or not said, and what is done here
    """

    name: str
    title: str
    source: str
    layout: str
    published_at: str
    find: Callable[[Path], Found]
    frames: int
    size: tuple[int, int] | None = None
    expected: int | None = None
    given: Given = "ends"
    distances: tuple[Distance, ...] = ()
    clip_scores: tuple[str, ...] = ()
    judged: bool = False
    published: tuple[Row, ...] = ()
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """A paper's tables. whole: the only table's folder is the data's own."""

    name: str
    paper: str
    tables: tuple[Table, ...]
    whole: bool = False

    def folder(self, data: Path, table: Table) -> Path:
        """Return where a table's data lie."""
        return data if self.whole else data / table.name


@dataclass(frozen=True)
class Pictures:
    """A case as arrays: its keyframes [H, W, 3], and the truth [F, H, W, 3] if it is known.

    last: None where only the first picture was given
    """

    first: NDArray[np.uint8]
    last: NDArray[np.uint8] | None
    truth: Frames | None = None


def found(protocol: Protocol, table: Table, data: Path) -> Found:
    """Read a table's cases. Raise UsageError that says what should lie there and where it is
    published, if nothing does.
    """
    folder = protocol.folder(data, table)
    result = table.find(folder) if folder.is_dir() else Found((), (f"there is no folder {folder}",))
    if not result.cases:
        more = len(result.lacking) - SHOWN
        told = "; ".join([*result.lacking[:SHOWN], *([f"and {more} more"] if more > 0 else [])])
        raise UsageError(
            f"{table.title}: {told or f'{folder} is empty'}",
            f"expected there: {table.layout}; published at {table.published_at}",
            subject=str(folder),
        )
    return result


def pictures(case: Case, table: Table, seed: int) -> Pictures | None:
    """Read a case at its table's size; None if it is words alone. Raise MediaError."""
    if case.truth is not None:
        truth = read(case.truth, table.size, seed)
        return Pictures(truth[0], truth[-1], truth)
    if case.ends is None:
        return None
    first = read_image(case.ends[0])[..., :3]
    height, width = table.size or first.shape[:2]
    first = fit(first, height, width, "crop")
    if case.ends[1] is None:
        return Pictures(first, None)
    return Pictures(first, fit(read_image(case.ends[1])[..., :3], height, width, "crop"))


def grouped(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Return cases by the part of the table they are counted in; all of them under ""."""
    groups: dict[str, list[Case]] = {"": [*cases]}
    for case in cases:
        if case.group:
            groups.setdefault(case.group, []).append(case)
    return groups
