"""Does a clip complete its transition? TC-Bench (Feng et al. 2024), and the form with CLIP.

TC-Bench asks a vision-language model yes-or-no questions about frames of a clip. Its answers are
the input here: vtg asks no model. An answer is 1, 0.5 (unclear) or 0 and has a type.

    TCR        share of clips whose answers, but for type "other objects", are all not 0
    TC-Score   mean of all answers; for clips that begin from a picture (I2V)
               2/3 mean of the answers but for type "transition object consistency"
               + 1/3 clamp((s - 0.90) / 0.08, 0, 1),   s: similarity of neighbouring frames

An unclear answer thus completes a transition: that is how the benchmark's own code counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONSISTENCY = "transition object consistency"
OTHER = "other objects"
SIMILAR = (0.90, 0.98)  # similarities of neighbouring frames that score 0 and 1


@dataclass(frozen=True)
class Answer:
    """A judged assertion. correct: 1, 0.5 or 0; type: TC-Bench's name of the kind of question."""

    correct: float
    type: str


@dataclass(frozen=True)
class Transition:
    """The scores of a set of clips: `tcr` in per cent, `tc_score` in [0, 1], `completed` a clip."""

    tcr: float
    tc_score: float
    completed: tuple[bool, ...]


def transition(
    answers: Mapping[str, Sequence[Answer]], similarity: Mapping[str, float] | None = None
) -> Transition:
    """Compute TCR and TC-Score of judged answers by clip, each with at least one.

    similarity: of neighbouring frames by clip: the I2V form; a clip without one takes the mean of
        all its answers, as the benchmark's code does. None: the text-to-video form.
    """
    completed = tuple(
        all(a.correct for a in judged if a.type != OTHER) for judged in answers.values()
    )
    scores = [_score(judged, (similarity or {}).get(clip)) for clip, judged in answers.items()]
    return Transition(100 * float(np.mean(completed)), float(np.mean(scores)), completed)


def _score(judged: Sequence[Answer], similarity: float | None) -> float:
    if similarity is None:
        return float(np.mean([a.correct for a in judged]))
    asked = [a.correct for a in judged if a.type != CONSISTENCY]
    return 2 / 3 * float(np.mean(asked)) + consistency_score(similarity) / 3


def consistency_score(similarity: float) -> float:
    """Map a similarity of neighbouring frames to [0, 1], as TC-Bench does."""
    low, high = SIMILAR
    return float(np.clip((similarity - low) / (high - low), 0, 1))


def clip_transition_rate(
    frames: NDArray[Any], first_text: NDArray[Any], last_text: NDArray[Any], threshold: float
) -> float:
    """Compute the share of frames that have left the first caption for the last.

    It is no TCR, and is printed as `clip_transition_rate`: a frame counts where its cosine with the
    last caption is at least `threshold` and at least that with the first.

    frames: CLIP features [F, d]; first_text, last_text: [d]
    """
    first, last = (_unit(frames) @ _unit(text) for text in (first_text, last_text))
    return float(np.mean((last >= threshold) & (last >= first)))


def _unit(x: NDArray[Any]) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))
