"""Inception score against the recordings and its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from published import CASES, record, tensors

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.inception_score import inception_score


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_recordings(case: str) -> None:
    recorded, p = record(case)["inception_score"], tensors(case)["is.probs"]
    splits = recorded["num_splits"]
    shuffled = inception_score(p, splits, shuffle=True)
    assert shuffled == pytest.approx(recorded["stylegan_v_shuffled_RandomState42"], rel=1e-6)
    assert inception_score(p, splits) == pytest.approx(recorded["vidm_script_unshuffled"], rel=1e-6)


def test_one_label_scores_one_and_all_labels_score_their_number() -> None:
    assert inception_score(np.full((20, 4), 0.25)) == pytest.approx((1, 0))
    assert inception_score(np.tile(np.eye(4), (5, 1)), splits=5) == pytest.approx((4, 0))


def test_fewer_clips_than_splits() -> None:
    with pytest.raises(UsageError, match="more than 3"):
        inception_score(np.full((3, 4), 0.25))
