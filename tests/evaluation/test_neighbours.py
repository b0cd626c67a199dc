"""Scores of distances between neighbours against the recordings and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from published import CASES, record

from vtg_cli.evaluation.neighbours import gini, neighbours, rescheduled


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_recordings(case: str) -> None:
    for clip in record(case)["neighbour"]:
        found = neighbours(clip["distances"])
        names = {
            "gini": found.gini,
            "smoothness": found.smoothness,
            "consistency_mean": found.consistency,
            "max": found.worst,
            "ppl_plain_sum": found.ppl,
            "ppl_sum_over_eps2": found.ppl_scaled,
            "pdv_population_variance": found.pdv,
        }
        for name in names.keys() & clip.keys():
            assert names[name] == pytest.approx(clip[name], abs=1e-6), name
        if "inverse_gini" in clip:
            assert 1 / found.gini == pytest.approx(clip["inverse_gini"], rel=1e-6)
        assert found.frames == len(clip["distances"]) + 1


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_rescheduled_times(case: str) -> None:
    recorded = record(case)["reschedule"]
    asked = [key for key in recorded if key.startswith("alphas_")]
    assert asked
    for key in asked:
        found = rescheduled(recorded["neighbour_distances"], int(key.removeprefix("alphas_")))
        np.testing.assert_allclose(found, recorded[key], atol=1e-6)


def test_gini_of_known_sets() -> None:
    assert gini(np.array([2.0, 2.0, 2.0])) == 0
    assert gini(np.array([0.0, 0.0, 0.0])) == 0
    assert gini(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(3 / 4)
    assert gini(np.array([1.0, 3.0])) == pytest.approx(1 / 4)


def test_even_distances_need_no_other_times() -> None:
    np.testing.assert_allclose(rescheduled([0.3] * 4, 9), np.linspace(0, 1, 9), atol=1e-15)
