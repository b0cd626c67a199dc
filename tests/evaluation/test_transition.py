"""TCR and TC-Score of judged answers against the recordings; the form with CLIP by its name."""

from __future__ import annotations

import numpy as np
import pytest
from published import CASES, record

from vtg_cli.evaluation.transition import (
    Answer,
    clip_transition_rate,
    consistency_score,
    transition,
)


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_recordings(case: str) -> None:
    recorded = record(case)["tc_bench"]
    answers = {
        clip: [Answer(a["correct"], a["type"]) for a in judged]
        for clip, judged in recorded["answers"].items()
    }
    forms = {"plain": None, "i2v_with_similarity": recorded["similarity"]}
    for form, similarity in forms.items():
        found, expected = transition(answers, similarity), recorded["results"][form]
        assert list(found.completed) == expected["tcr_each"]
        assert found.tcr == pytest.approx(expected["tcr"], abs=1e-6)
        assert found.tc_score == pytest.approx(expected["score"], abs=1e-6)
    for similarity, score in recorded["map_score"]:
        assert consistency_score(similarity) == pytest.approx(score, abs=1e-6)


def test_an_unclear_answer_completes_and_others_do_not_count() -> None:
    unclear = [Answer(0.5, "transition completion"), Answer(0, "other objects")]
    found = transition({"a": unclear, "b": [Answer(0, "transition completion")]})
    assert (found.completed, found.tcr, found.tc_score) == ((True, False), 50, 0.125)


def test_a_clip_without_similarity_takes_the_plain_mean() -> None:
    judged = [Answer(1, "transition completion"), Answer(0, "transition object consistency")]
    assert transition({"a": judged}, {}).tc_score == 0.5
    assert transition({"a": judged}, {"a": 0.98}).tc_score == pytest.approx(1)


def test_frames_that_left_the_first_caption() -> None:
    frames = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 2]])
    captions = np.array([1.0, 0]), np.array([0, 3.0])
    assert clip_transition_rate(frames, *captions, threshold=0.7) == 0.5
    assert clip_transition_rate(frames, *captions, threshold=0.9) == 0.25
