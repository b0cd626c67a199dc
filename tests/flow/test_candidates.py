"""Candidate motions of pictures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from vtg_cli.flow.candidates import bodies, camera, propose, search, sides
from vtg_cli.flow.correspondence import correspond
from vtg_cli.flow.filters import grid
from vtg_cli.training.textures import leaves

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


def turned(angle: float, dx: float, dy: float) -> NDArray[np.uint8]:
    """A textured disc on another texture, turned about its centre and moved, 144 x 192."""
    scene, disc = (np.uint8(leaves(np.random.default_rng(s), 200) * 255) for s in (1, 2))
    mask = np.zeros((200, 200), np.float32)
    cv2.circle(mask, (80, 80), 40, 1.0, -1)
    motion = cv2.getRotationMatrix2D((80, 80), angle, 1.0)
    motion[:, 2] += dx, dy
    disc, mask = (cv2.warpAffine(x, motion, (200, 200)) for x in (disc, mask))
    return np.asarray(np.where(mask[..., None] > 0.5, disc, scene), np.uint8)[:144, :192]


def test_landmarks_tell_the_motion_of_a_body_that_turned() -> None:
    gray = [cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (turned(0, 0, 0), turned(40, 50, 10))]
    found = bodies(*gray)
    still = np.array([[1, 0, 0], [0, 1, 0]])
    assert np.abs(found[0] - still).max() < 0.1 or np.abs(found[1] - still).max() < 0.1
    true = cv2.getRotationMatrix2D((80, 80), 40, 1.0)
    true[:, 2] += 50, 10
    place = np.array([80, 80, 1.0])
    nearest = min(found, key=lambda motion: float(np.abs(motion - true).max()))
    assert np.abs(nearest @ place - (130, 90)).max() < 1  # pixels
    assert np.abs(nearest[:, :2] - true[:, :2]).max() < 0.02


def test_looking_far_finds_what_turned() -> None:
    first, last = turned(0, 0, 0), turned(40, 50, 10)
    near, far = (
        float(np.hypot(*(correspond(first, last, far=how).forward[80, 80] - (50, 10))))
        for how in (False, True)
    )
    assert far < min(1, near)  # pixels


def test_pictures_without_landmarks_have_no_bodies() -> None:
    assert bodies(np.zeros((40, 60), np.uint8), np.full((40, 60), 9, np.uint8)) == []
