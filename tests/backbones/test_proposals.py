"""Candidate motions of pictures whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vtg_cli.backbones.filters import grid
from vtg_cli.backbones.proposals import camera, propose, search, sides

noise = np.random.default_rng(11)
WIDE = np.clip(
    128 + 900 * gaussian_filter(noise.standard_normal((260, 400, 3)), (3, 3, 0)), 0, 255
).astype(np.uint8)


def view(x: int, y: int) -> np.ndarray:
    return WIDE[y : y + 144, x : x + 192]


def test_search_finds_a_shift_of_a_third() -> None:
    # the window moves right by 64, so what it shows moves left by 64: 32 cells of 2 pixels
    ahead, back, mutual_a, mutual_b = search(*sides(view(20, 40), view(84, 48)))
    assert ahead.shape == (72, 96, 2)
    assert mutual_a.mean() > 0.4 and mutual_b.mean() > 0.4  # 63 % of the picture is still there
    assert np.all(np.median(ahead[mutual_a], axis=0) == (-32, -4))
    assert np.all(np.median(back[mutual_b], axis=0) == (32, 4))
    assert np.mean(np.abs(ahead[mutual_a] - (-32, -4)).max(-1) <= 1) > 0.95


def test_a_candidate_is_right_wherever_the_motion_is_seen() -> None:
    ahead, back = propose(*sides(view(20, 40), view(84, 48)))
    seen = np.s_[16:-16, 80:-16]  # left of 64 it has left the picture
    error = min(float(np.median(np.abs(flow[seen] - (-64, -8)))) for flow in ahead)
    assert error < 0.1
    assert len(ahead) == len(back)


def test_camera_is_read_through_outliers() -> None:
    x, y = np.moveaxis(grid(60, 90).astype(float), -1, 0)
    truth = np.stack([3 + 0.02 * (x - 45), -2 + 0.02 * (y - 30)], axis=-1)
    flow = truth + 0.2 * noise.standard_normal(truth.shape)
    flow[:, :30] = (-20, 9)  # a third moves otherwise
    found, share = camera(flow.astype(np.float32), np.ones((60, 90), np.float32), 1.0)
    assert np.abs(found - truth).max() < 0.25
    assert share == pytest.approx(2 / 3, abs=0.01)


def test_camera_of_nothing_stands_still() -> None:
    found, share = camera(np.ones((8, 8, 2), np.float32), np.zeros((8, 8), np.float32), 1.0)
    assert not found.any() and share == 0


def test_exposure_is_shared_by_both() -> None:
    a, b = sides(view(20, 40), (view(20, 40) * 0.8 + 20).astype(np.uint8))
    assert np.abs(a.lab.mean((0, 1)) - b.lab.mean((0, 1))).max() < 1e-3
    assert np.abs(a.lab.std((0, 1)) - b.lab.std((0, 1))).max() < 1e-3
