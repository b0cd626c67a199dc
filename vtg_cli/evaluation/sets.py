"""Scores of a whole set of clips, as a table's Distance asks: features stream past, once a system.

What a Frechet distance takes is kept as moments, in constant memory; the kernel distance, the
inception score and random picks take the features themselves, some kilobytes a clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError, naming
from vtg_cli.evaluation.distances import FEWEST, frechet, frechet_of_moments, mmd, mmd_of_centred
from vtg_cli.evaluation.features import Extractor
from vtg_cli.evaluation.inception_score import inception_score
from vtg_cli.evaluation.moments import Moments
from vtg_cli.evaluation.protocols.base import Distance, Pictures
from vtg_cli.evaluation.shots import Frames, place_of

SPLITS = 10  # of the inception score
FRAMES_AT_ONCE = 32  # that a network of pictures sees


@dataclass(frozen=True)
class Figure:
    """A score of `n` features. spread: its standard deviation over repeats or splits, if any."""

    value: float
    n: int
    spread: float | None = None


@dataclass
class Seen:
    """The features of one set of clips: moments a group, and the features if they are needed."""

    moments: dict[str, Moments] = field(default_factory=dict)
    features: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)

    def add(self, found: NDArray[np.float32], groups: Iterable[str], keep: bool) -> None:
        """Add the features [k, d] of one clip to its groups."""
        for group in groups:
            if keep:
                self.features.setdefault(group, []).append(found)
            else:
                self.moments.setdefault(group, Moments.empty(found.shape[1])).update(found)


class Sets:
    """The features of real clips and of every system's, as far as some distances take them."""

    def __init__(
        self, distances: Sequence[Distance], extractor: Callable[[str], Extractor], seed: int
    ) -> None:
        """Begin without a clip. extractor: loads a network; seed: of what is drawn."""
        self._distances, self._extractor, self._seed = distances, extractor, seed
        self._real = {each.key: Seen() for each in distances}
        self._made: dict[tuple[str, str], Seen] = {}

    def add_real(self, known: Pictures, name: str, groups: Sequence[str]) -> None:
        """Add what is real of a case: its clip, or its input pictures."""
        inputs = np.stack([each for each in (known.first, known.last) if each is not None])
        clips = {"truth": known.truth, "inputs": inputs}
        for real in clips:
            chosen = [d for d in self._distances if d.real == real and d.kind != "inception"]
            clip = clips[real]
            if clip is not None:
                for each, found in self._features(chosen, clip, name):
                    self._real[each.key].add(found, groups, _keeps(each))

    def add_made(self, system: str, clip: Frames, name: str, groups: Sequence[str]) -> None:
        """Add a system's clip of a case."""
        for each, found in self._features(self._distances, clip, name):
            seen = self._made.setdefault((system, each.key), Seen())
            seen.add(found, groups, _keeps(each))

    def figures(self, system: str, group: str) -> dict[str, Figure]:
        """Compute a system's distances in a part of the table; what has too few clips is absent."""
        found = {}
        for each in self._distances:
            made = self._made.get((system, each.key), Seen())
            value = figure(each, made, self._real[each.key], group, self._seed)
            if value is not None:
                found[each.key] = value
        return found

    def _features(
        self, distances: Sequence[Distance], clip: Frames, name: str
    ) -> Iterator[tuple[Distance, NDArray[np.float32]]]:
        """Yield a clip's features for each distance; those that share them, once computed."""
        known: dict[tuple[object, ...], NDArray[np.float32]] = {}
        for each in distances:
            key = each.network, each.of == "clips", each.clip
            if key not in known:
                place = place_of(name, self._seed)
                known[key] = features(self._extractor(each.network), each, clip, place)
            yield each, known[key]


def _keeps(distance: Distance) -> bool:
    """Return whether a distance takes the features themselves."""
    return distance.kind != "frechet" or distance.of == "picks"


def features(network: Extractor, distance: Distance, clip: Frames, place: int) -> NDArray[Any]:
    """Compute the features of a clip [F, H, W, 3]: of its frames [F, d], or of all of it [1, d].

    place: a number that says where the network's stretch of frames begins

    Raises UsageError for a clip that is shorter than the network needs.
    """
    if distance.of != "clips":
        parts = [clip[i : i + FRAMES_AT_ONCE] for i in range(0, len(clip), FRAMES_AT_ONCE)]
        return np.concatenate([network(part) for part in parts])
    count = len(clip) if distance.clip is None else distance.clip
    if len(clip) < max(count, network.frames):
        raise UsageError(
            f"{distance.title} takes clips of {max(count, network.frames)} frames, not {len(clip)}"
        )
    start = place % (len(clip) - count + 1)
    return network(clip[None, start : start + count])


def figure(distance: Distance, made: Seen, real: Seen, group: str, seed: int) -> Figure | None:
    """Compute a distance of what was made from what is real; None of too few clips."""
    with naming(distance.title):
        if distance.kind == "frechet" and distance.of != "picks":
            a, b = (each.moments.get(group) for each in (made, real))
            if a is None or b is None or min(a.count, b.count) < FEWEST:
                return None
            return Figure(frechet_of_moments(a, b, distance.ddof), a.count)
        clips, against = (each.features.get(group, []) for each in (made, real))
        if distance.kind == "inception":
            if len(clips) < SPLITS:
                return None
            labels = np.concatenate(clips)
            score, spread = inception_score(labels, SPLITS, shuffle=distance.shuffle)
            return Figure(score, len(clips), spread)
        if min(len(clips), len(against)) == 0:
            return None
        if distance.of == "picks":
            return _of_picks(distance, clips, against, np.random.default_rng(seed))
        x, y = np.concatenate(clips), np.concatenate(against)
        few = min(len(x), len(y)) < FEWEST
        return None if few else Figure(KERNELS[distance.kind](x, y), len(x))


KERNELS: Mapping[str, Callable[[NDArray[Any], NDArray[Any]], float]] = {
    "kernel": mmd,
    "centred kernel": mmd_of_centred,
}


def _of_picks(
    distance: Distance,
    made: Sequence[NDArray[np.float32]],
    real: Sequence[NDArray[np.float32]],
    rng: np.random.Generator,
) -> Figure:
    """Compute DiffMorpher's FID: random frames of every clip, anew each time, and the mean."""
    against = np.concatenate(real)
    values = []
    for _ in range(distance.repeats):
        picked = [x[rng.choice(len(x), min(distance.picks, len(x)), replace=False)] for x in made]
        values.append(frechet(np.concatenate(picked), against, distance.ddof))
    count = sum(min(distance.picks, len(x)) for x in made)
    return Figure(float(np.mean(values)), count, float(np.std(values)))
