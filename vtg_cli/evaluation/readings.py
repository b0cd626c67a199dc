"""What is measured of one clip: its scores, and its curves along time. A measured clip is kept.

A line of the file of readings is a clip: the key is a hash of everything its figures follow from,
so that a run which was killed goes on where it stood, and one with other clips begins anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtg_cli import __version__
from vtg_cli.errors import MediaError
from vtg_cli.evaluation import scores, vbench
from vtg_cli.evaluation.features import Extractor
from vtg_cli.evaluation.motion import difference
from vtg_cli.evaluation.protocols.base import Pictures
from vtg_cli.evaluation.scores import Score
from vtg_cli.evaluation.shots import Frames
from vtg_cli.ground import documents
from vtg_cli.quality.segment import judge


@dataclass(frozen=True)
class Reading:
    """The figures of one clip of F frames.

    scores: by the names of scores.OF_A_CLIP
    verdict: what the quality check finds wrong, the gravest first
    steps: mean absolute difference of neighbours in code values, [F - 1]
    lpips: LPIPS of neighbours, [F - 1]; empty without its weights
    errors: mean absolute difference from the truth, [F]; empty without one
    """

    scores: Mapping[str, float]
    verdict: Sequence[str]
    steps: Sequence[float]
    lpips: Sequence[float] = ()
    errors: Sequence[float] = ()


OF_FEATURES: Mapping[str, tuple[str, Score]] = {
    "subject consistency": ("dino", Score("VBench's subject consistency", "more", 4)),
    "background consistency": ("clip", Score("VBench's background consistency", "more", 4)),
    "i2v subject": ("dino-i2v", Score("VBench-I2V's subject, of the given picture", "more", 4)),
}
"""Scores of a clip that take a network's features, by the network."""
SCORES: Mapping[str, Score] = {
    **scores.OF_A_CLIP,
    **{name: score for name, (_, score) in OF_FEATURES.items()},
}
"""All scores of a clip."""
BEST = 100.0  # dB that equal pictures count, so that means stay finite


def reading(
    clip: Frames,
    known: Pictures | None = None,
    distances: scores.Distances | None = None,
    towers: Mapping[str, Extractor] | None = None,
) -> Reading:
    """Measure a clip [F, H, W, 3] against what is known of it. Raise UsageError for other sizes.

    distances: LPIPS between neighbours; towers: networks of OF_FEATURES. What lacks one is absent.
    """
    truth = None if known is None else known.truth
    ends = None
    if known is not None and known.last is not None:
        ends = (known.first, known.last)
    apart = None if distances is None else distances(clip)
    judged = judge(clip)
    found = scores.of_a_clip(
        clip,
        truth=truth,
        keyframes=ends,
        distances=None if apart is None else lambda _: apart,
        judged=judged,
    )
    found |= _of_features(clip, None if known is None else known.first, towers or {})
    return Reading(
        {name: min(float(v), BEST) if "psnr" in name else float(v) for name, v in found.items()},
        judged.labels,
        _rounded(difference(b, a) for a, b in pairwise(clip)),
        () if apart is None else _rounded(apart),
        () if truth is None else _rounded(map(difference, clip, truth)),
    )


def _of_features(
    clip: Frames, picture: NDArray[np.uint8] | None, towers: Mapping[str, Extractor]
) -> dict[str, float]:
    found = {}
    for name, (network, _) in OF_FEATURES.items():
        if network in towers and name != "i2v subject":
            found[name] = vbench.consistency(towers[network](clip))
    if picture is not None and (tower := towers.get("dino-i2v")):
        found["i2v subject"] = vbench.fidelity(tower(clip), tower(picture[None])[0])
    return found


def fingerprint(*parts: NDArray[np.uint8] | str | None) -> str:
    """Hash arrays and words; the version of vtg counts, whose scores may differ."""
    digest = hashlib.sha256(__version__.encode())
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(str(part.shape).encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(f"\0{part}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


class Readings:
    """The readings in a file, each written as soon as it is made."""

    def __init__(self, path: Path) -> None:
        """Open the file; what is there is read. Raise MediaError."""
        self._path = path
        self._known = dict(_lines(path))
        self._torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")

    def of(self, key: str) -> Reading | None:
        """Return what was measured before."""
        return self._known.get(key)

    def keep(self, key: str, made: Reading) -> None:
        """Add one. Raise MediaError if the disk does not take it."""
        self._known[key] = made
        line = json.dumps({"key": key, **asdict(made)}, allow_nan=False)
        try:
            with self._path.open("ab") as file:
                file.write((("\n" if self._torn else "") + line + "\n").encode())
            self._torn = False  # that was a line a killed process left
        except OSError as error:
            raise MediaError(
                f"cannot write {self._path}: {error.strerror}", subject=str(self._path)
            ) from error


def _lines(path: Path) -> Iterator[tuple[str, Reading]]:
    """Yield what a file holds; a line that was cut or is no reading is passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise documents.unreadable(path, error, "file of readings") from None
    for line in lines:
        try:
            record: dict[str, Any] = documents.json_object(line)
            yield record.pop("key"), Reading(**record)
        except (ValueError, TypeError, KeyError):
            continue


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 5) for value in values]
