"""VBench's dimensions that are closed forms of given features, flow and pixels, and its totals.

Huang et al. 2024 (VBench 45e79ec). What needs a network takes its features: DINO ViT-B/16 for the
subject, CLIP ViT-B/32 for the background, DreamSim for the background of a given picture, RAFT for
the dynamic degree. Totals are with that version's constants; printed totals of other papers are of
other versions (docs/evaluation.md), so raw dimensions always stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError

FASTEST = 0.05  # share of the flow's vectors, the longest, whose mean counts
PACE = 6.0  # pixels a step at 256 pixels of the shorter side, above which a pair moves,
MOVING = 4 / 16  # and the share of frames that must


def consistency(features: NDArray[Any]) -> float:
    """Compute subject consistency (of DINO's features) or background consistency (of CLIP's).

    features: [F, d], F >= 2. The mean over frames but the first of (max(0, cos to the one before)
    + max(0, cos to the first)) / 2.
    """
    x = _unit(features)
    before = np.maximum((x[1:] * x[:-1]).sum(1), 0)
    first = np.maximum(x[1:] @ x[0], 0)
    return float(((before + first) / 2).mean())


def fidelity(features: NDArray[Any], picture: NDArray[Any]) -> float:
    """Compute I2V subject (DINO) or I2V background (DreamSim) from features [F, d] of the frames
    and [d] of the given picture: 0.4 max cos to it + 0.3 mean + 0.3 min of cos between neighbours.
    """
    x = _unit(features)
    given = np.maximum(x @ _unit(picture), 0)
    steps = np.maximum((x[1:] * x[:-1]).sum(1), 0)
    return float(0.4 * given.max() + 0.3 * steps.mean() + 0.3 * steps.min())


def flicker(frames: NDArray[np.uint8]) -> float:
    """Compute temporal flickering of frames [F, H, W, 3], F >= 2: 1 where nothing changes."""
    steps = [np.abs(b.astype(np.float32) - a).mean(dtype=float) for a, b in pairwise(frames)]
    return float((255 - np.mean(steps)) / 255)


def motion_smoothness(frames: NDArray[np.uint8], between: NDArray[np.uint8]) -> float:
    """Compute motion smoothness from what an interpolator makes of every other frame.

    frames: [F, H, W, 3]; between: [n, H, W, 3], made of frames 0 and 2, 2 and 4, ..., in place of
    1, 3, ...: n of the odd ones. VBench interpolates with AMT-S; another network's is not its score
    """
    odd = frames[1 : 2 * len(between) : 2].astype(np.float32)
    return float((255 - np.abs(odd - between).mean(dtype=float)) / 255)


def flow_score(flow: NDArray[Any]) -> float:
    """Compute the mean length of the longest 5 % of the vectors of a flow [2, H, W], in pixels."""
    lengths = np.sort(np.hypot(flow[0], flow[1]).ravel())[::-1]
    return float(lengths[: int(lengths.size * FASTEST)].mean())


def moves(scores: Sequence[float], height: int, width: int, frames: int) -> bool:
    """Return whether a clip is dynamic: enough pairs of frames whose `flow_score` is large.

    scores: of the pairs of neighbours; frames: taken at 8 a second. The dynamic degree of a set is
    the share of clips that are.
    """
    threshold, wanted = PACE * min(height, width) / 256, round(MOVING * frames)
    return max(wanted, 1) <= sum(score > threshold for score in scores)


def _unit(x: NDArray[Any]) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12))


@dataclass(frozen=True)
class Dimension:
    """A dimension's part in a total: its group, its weight, the values that count 0 and 1."""

    group: Literal["quality", "semantic", "i2v"]
    weight: float = 1.0
    low: float = 0.0
    high: float = 1.0


T2V: Mapping[str, Dimension] = {
    "subject consistency": Dimension("quality", low=0.1462),
    "background consistency": Dimension("quality", low=0.2615),
    "temporal flickering": Dimension("quality", low=0.6293),
    "motion smoothness": Dimension("quality", low=0.706, high=0.9975),
    "dynamic degree": Dimension("quality", weight=0.5),
    "aesthetic quality": Dimension("quality"),
    "imaging quality": Dimension("quality"),
    "object class": Dimension("semantic"),
    "multiple objects": Dimension("semantic"),
    "human action": Dimension("semantic"),
    "color": Dimension("semantic"),
    "spatial relationship": Dimension("semantic"),
    "scene": Dimension("semantic", high=0.8222),
    "appearance style": Dimension("semantic", low=0.0009, high=0.2855),
    "temporal style": Dimension("semantic", high=0.364),
    "overall consistency": Dimension("semantic", high=0.364),
}
I2V: Mapping[str, Dimension] = {
    "Video-Text Camera Motion": Dimension("i2v", weight=0.1),
    "Video-Image Subject Consistency": Dimension("i2v", low=0.1462),
    "Video-Image Background Consistency": Dimension("i2v", low=0.2615),
    "Subject Consistency": Dimension("quality", low=0.1462),
    "Background Consistency": Dimension("quality", low=0.2615),
    "Motion Smoothness": Dimension("quality", low=0.706, high=0.9975),
    "Dynamic Degree": Dimension("quality", weight=0.5),
    "Aesthetic Quality": Dimension("quality"),
    "Imaging Quality": Dimension("quality"),
}
"""Dimensions by the names VBench's leaderboard uses. I2V has no flickering."""
SHARES = {"t2v": {"quality": 4.0, "semantic": 1.0}, "i2v": {"quality": 1.0, "i2v": 1.0}}
"""Weights of the groups in the total."""


def totals(raw: Mapping[str, float], suite: Literal["t2v", "i2v"]) -> dict[str, float]:
    """Compute the groups' scores and the "total" from raw dimensions in [0, 1] by name.

    Raises UsageError if a dimension is missing: a total of some of them is another number.
    """
    dimensions = T2V if suite == "t2v" else I2V
    lacking = [name for name in dimensions if name not in raw]
    if lacking:
        raise UsageError(
            f"VBench's {suite} total takes {len(dimensions)} dimensions; {lacking[0]} is missing"
        )
    groups = {}
    for group in SHARES[suite]:
        parts = {name: d for name, d in dimensions.items() if d.group == group}
        scaled = [d.weight * (raw[name] - d.low) / (d.high - d.low) for name, d in parts.items()]
        groups[group] = sum(scaled) / sum(d.weight for d in parts.values())
    shares = SHARES[suite]
    total = sum(shares[group] * score for group, score in groups.items()) / sum(shares.values())
    return {**groups, "total": total}
