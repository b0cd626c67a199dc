"""What is measured of a clip, and that it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import Random, clip

from vtg_cli.evaluation import vbench
from vtg_cli.evaluation.protocols.base import Pictures
from vtg_cli.evaluation.readings import Readings, fingerprint, reading


def test_the_curves_are_differences() -> None:
    truth = np.zeros((4, 16, 24, 3), np.uint8)
    made = truth.copy()
    made[1], made[2] = 10, 30
    found = reading(made, Pictures(truth[0], truth[-1], truth))
    assert found.steps == [10, 20, 30]
    assert found.errors == [0, 10, 30, 0]
    assert found.scores["psnr"] == pytest.approx(10 * np.log10(255**2 / 500))
    assert found.scores["psnr_first"] == 100  # equal: no infinity in a mean
    assert found.lpips == ()


def test_scores_of_features_are_vbenchs() -> None:
    made, towers = clip(4, 0), {name: Random(name) for name in ("dino", "dino-i2v")}
    found = reading(made, Pictures(made[2], None), towers=towers)
    vectors = towers["dino"](made)
    assert found.scores["subject consistency"] == pytest.approx(vbench.consistency(vectors))
    vectors = towers["dino-i2v"](made)
    assert found.scores["i2v subject"] == pytest.approx(vbench.fidelity(vectors, vectors[2]))
    assert "background consistency" not in found.scores
    assert "error_last" not in found.scores  # the last frame was not given


def test_a_reading_is_kept_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    place, made = tmp_path / "readings.jsonl", reading(clip(3, 0))
    Readings(place).keep("one", made)
    with place.open("ab") as file:
        file.write(b'{"key": "two", "scores')  # its writer was killed
    again = Readings(place)
    assert again.of("two") is None
    kept = again.of("one")
    assert kept is not None
    assert (dict(kept.scores), list(kept.steps)) == (dict(made.scores), list(made.steps))
    again.keep("three", made)
    assert Readings(place).of("three") is not None


def test_a_fingerprint_is_of_pixels_and_shape() -> None:
    flat = np.zeros((2, 4, 3), np.uint8)
    assert fingerprint(flat) == fingerprint(flat.copy())
    assert fingerprint(flat) != fingerprint(flat.reshape(4, 2, 3))
    assert fingerprint(flat, None) != fingerprint(flat)
