"""What two carried keyframes count: who is in front, and who is seen where neither is trusted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.flow.filters import Field
from vtg_cli.flow.splatting import Carried, Picture, carrier

HEIGHT, WIDTH, SHIFT = 144, 208, (10, 4)
DARK, BRIGHT, RADIUS = (40.0, 40.0, 60.0), (225.0, 230.0, 210.0), 24
PLACES = ((70, 72), (140, 72))


def ground(dx: float, dy: float) -> NDArray[np.float64]:
    """Colour noise [H, W, 3] of some pixels' grain, moved; known at any place."""
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.standard_normal((HEIGHT + 40, WIDTH + 40, 3)), (0, 0), 2.5)
    move = np.array([[1, 0, dx - 20], [0, 1, dy - 20]], np.float64)
    moved = cv2.warpAffine(150 + 280 * noise, move, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    return np.asarray(moved, np.float64)


def disc(at: tuple[float, float], radius: float = RADIUS) -> NDArray[np.bool_]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray(np.hypot(x - at[0], y - at[1]) < radius)


def picture(
    behind: NDArray[np.float64],
    at: tuple[float, float],
    colour: tuple[float, float, float],
    radius: float = RADIUS,
) -> Picture:
    seen = np.where(disc(at, radius)[..., None], colour, behind)
    return np.clip(seen, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def strange() -> tuple[Picture, Picture]:
    """Ground that moves by SHIFT; a disc in the first, quite another one in the last."""
    here, there = PLACES
    return picture(ground(0, 0), here, DARK), picture(ground(*SHIFT), there, BRIGHT)


def mixed(carried: Carried) -> tuple[Field, Field]:
    """The picture, and the first keyframe's share of it [H, W]."""
    share = carried.part_ahead / (carried.part_ahead + carried.part_back)
    wide = cv2.resize(share, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    out = carried.back + wide[..., None] * (carried.ahead - carried.back)
    return np.asarray(out * 255), np.asarray(wide)


def dark(x: Field) -> int:
    """Pixels darker than half way from the disc to the darkest of the ground."""
    return int((x.mean(-1) < 75).sum())


@pytest.mark.parametrize("t", [0.25, 0.4, 0.5, 0.6, 0.75])
def test_what_is_not_found_again_is_never_half_transparent(
    strange: tuple[Picture, Picture], t: float
) -> None:
    carried = carrier(*strange)(t)
    _, share = mixed(carried)
    apart = np.abs(carried.ahead - carried.back).mean(-1) > 0.25  # a disc against ground
    middles = disc(PLACES[0]) | disc(PLACES[1])
    between = (share > 0.15) & (share < 0.85) & apart & middles
    # a dissolve has all of them in between
    assert (apart & middles).sum() > np.pi * RADIUS**2
    assert between.sum() < 0.15 * (apart & middles).sum()


def test_the_changeover_is_the_same_backwards(strange: tuple[Picture, Picture]) -> None:
    ahead, back = carrier(*strange), carrier(*reversed(strange))
    for t in (0.46, 0.5, 0.54):
        # the search looks at the pictures in another order: rounding, and little else
        assert np.abs(mixed(ahead(t))[0] - mixed(back(1 - t))[0]).mean() < 1


def test_a_subject_in_the_place_of_another_dissolves() -> None:
    middle = (104, 72)
    at = carrier(
        picture(ground(0, 0), middle, DARK, 56), picture(ground(*SHIFT), middle, BRIGHT, 56)
    )
    for t in (0.3, 0.5, 0.7):
        share = mixed(at(t))[1][disc(middle, 30)]
        # linear in time: nothing is trusted, so both presences are alike
        np.testing.assert_allclose(np.median(share), 1 - t, atol=0.02)


def test_pictures_that_have_nothing_in_common_dissolve() -> None:
    rng = np.random.default_rng(0)
    first, last = (
        np.clip(128 + 300 * cv2.GaussianBlur(rng.standard_normal((96, 96, 3)), (0, 0), s), 0, 255)
        for s in (2, 5)
    )
    at = carrier(first.astype(np.uint8), last.astype(np.uint8))
    for t in (0.3, 0.5, 0.7):
        carried = at(t)
        share = carried.part_ahead / (carried.part_ahead + carried.part_back)
        np.testing.assert_allclose(np.median(share), 1 - t, atol=0.02)


def test_what_moves_unlike_the_camera_passes_in_front() -> None:
    first, last = (
        picture(ground(*(t * np.array(SHIFT))), (80 + t * 40, 72), DARK) for t in (0.0, 1.0)
    )
    out, _ = mixed(carrier(first, last)(0.5))
    truth = picture(ground(5, 2), (100, 72), DARK).astype(float)
    inside = cv2.erode(disc((100, 72)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert np.abs(out - truth)[inside].mean() < 6
    assert dark(out) > 0.9 * np.pi * RADIUS**2
