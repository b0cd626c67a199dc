"""VBench's closed forms and totals against the recordings."""

from __future__ import annotations

import numpy as np
import pytest
from published import CASES, record, tensors

from vtg_cli.errors import UsageError
from vtg_cli.evaluation import vbench


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_recordings(case: str) -> None:
    recorded, arrays = record(case)["vbench"], tensors(case)
    features = arrays["vbench.features"]
    found = {
        "subject_consistency": vbench.consistency(features),
        "background_consistency": vbench.consistency(features),
        "i2v_subject": vbench.fidelity(features, arrays["vbench.input_feature"]),
        "temporal_flickering": vbench.flicker(arrays["vbench.frames"]),
        "dynamic_degree_flow_score": vbench.flow_score(arrays["vbench.flow"][0]),
    }
    for name, value in found.items():
        assert value == pytest.approx(recorded[name], rel=1e-6), name
    for check in recorded["dynamic_degree_checks"]:
        moves = vbench.moves(check["scores"], *check["hw"], check["frames"])
        assert moves == check["moves"]


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suite", ["t2v", "i2v"])
def test_totals(case: str, suite: str) -> None:
    recorded = dict(record(case)["vbench"]["aggregate"][suite])
    found = vbench.totals(recorded.pop("raw"), "t2v" if suite == "t2v" else "i2v")
    assert found == pytest.approx(recorded, abs=1e-6)


def test_a_total_of_some_dimensions_is_none() -> None:
    with pytest.raises(UsageError, match="16 dimensions; color is missing"):
        vbench.totals({name: 0.5 for name in vbench.T2V if name != "color"}, "t2v")


def test_motion_between_even_steps_is_smooth() -> None:
    frames = np.stack([np.full((4, 6, 3), v, np.uint8) for v in (0, 10, 20, 80, 40)])
    between = np.stack([np.full((4, 6, 3), v, np.uint8) for v in (10, 30)])
    assert vbench.motion_smoothness(frames, between) == pytest.approx((255 - 25) / 255)


def test_a_still_clip_never_moves() -> None:
    assert not vbench.moves([0.0], 64, 64, 2)
    assert vbench.moves([2.0], 64, 64, 2)
