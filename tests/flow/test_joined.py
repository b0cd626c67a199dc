"""Two motions as one: whose motion is seen where."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.flow.filters import Field
from vtg_cli.flow.joined import joined
from vtg_cli.flow.splatting import Carried, Moved, carrier

HEIGHT, WIDTH, SHIFT = 96, 160, 8
INNER = np.s_[24:-24, 32:-32]
Picture = NDArray[np.uint8]


def texture(seed: int) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH + 2 * SHIFT, 3))
    return np.clip(128 + 300 * cv2.GaussianBlur(noise, (0, 0), 2.0), 0, 255)


def ends(strange: bool = False) -> tuple[Picture, Picture]:
    """A texture that moves SHIFT pixels to the left, or becomes another one."""
    first, last = texture(1), texture(2 if strange else 1)
    return first[:, :WIDTH].astype(np.uint8), last[:, SHIFT : SHIFT + WIDTH].astype(np.uint8)


def told(dx: float, part: float = 0.5) -> Callable[[float], Moved]:
    """A motion of dx pixels everywhere: from a pixel at t to the first keyframe -t dx."""

    def at(t: float) -> Moved:
        way = np.zeros((HEIGHT, WIDTH, 2), np.float32)
        whole = np.full((HEIGHT, WIDTH), part, np.float32)
        x = np.array([dx, 0], np.float32)
        return Moved(way - t * x, way + (1 - t) * x, whole, 1 - whole, whole * 0 + 1)

    return at


def drawn(carried: Carried) -> Field:
    share = carried.part_ahead / (carried.part_ahead + carried.part_back)
    share = cv2.resize(share, (WIDTH, HEIGHT))[..., None]
    return np.asarray(carried.back + share * (carried.ahead - carried.back))


def test_each_keyframe_is_itself_at_its_own_time() -> None:
    first, last = ends()
    at = joined(first, last, told(40))
    assert np.array_equal(at(0).ahead, first / np.float32(255))
    assert np.array_equal(at(1).back, last / np.float32(255))
    assert not at(0).part_back.any() and not at(1).part_ahead.any()


@pytest.mark.parametrize("t", [0.25, 0.5])
def test_what_is_found_again_moves_as_the_search_says(t: float) -> None:
    """Though the learned motion says something else by more than SAME."""
    first, last = ends()
    alone = drawn(carrier(first, last, far=True)(t))[INNER]
    assert np.abs(drawn(joined(first, last, told(40))(t))[INNER] - alone).max() < 1e-6


def test_where_nothing_is_found_again_the_learned_motion_is_seen() -> None:
    first, last = ends(strange=True)
    seen = drawn(joined(first, last, told(-2 * SHIFT, part=1.0))(0.5))[INNER]
    wanted = np.roll(first, -SHIFT, axis=1)[INNER] / 255  # whole pixels: nothing is interpolated
    assert np.abs(seen - wanted).max() < 1e-5


def test_where_both_agree_their_mean_is_the_same_picture() -> None:
    first, last = ends()
    seen = drawn(joined(first, last, told(-SHIFT))(0.5))[INNER]
    wanted = first[:, SHIFT // 2 :][:, : WIDTH - SHIFT][24:-24, 32 : WIDTH - 32] / 255
    assert np.sqrt(np.mean((seen - wanted) ** 2)) < 2 / 255


def test_what_only_the_learned_motion_keeps_is_not_painted_over() -> None:
    """A disc that stands in the picture and changes all over, before ground that moves."""
    first, last = (each.copy() for each in ends())
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = np.hypot(x - 80, y - 48) < 20
    grain = np.random.default_rng(5).integers(0, 256, (2, HEIGHT, WIDTH, 3))
    first[disc], last[disc] = (each[disc] for each in grain)
    inner = np.hypot(x - 80, y - 48) < 12
    both, alone = joined(first, last, told(0, part=1.0)), carrier(first, last, far=True)
    lost = [np.abs(drawn(at(0.5))[inner] - first[inner] / 255).mean() for at in (both, alone)]
    assert lost[0] < 0.02 < 0.1 < lost[1]


def test_a_time_is_asked_for_once_there_and_back() -> None:
    asked: list[float] = []
    at = joined(*ends(), lambda t: (asked.append(t), told(0)(t))[1])
    for t in (0.1, 0.4, 1 - 0.4, 1 - 0.6, 1 - (1 - 0.1)):
        at(t)
    assert asked == [0.1, 0.4, 0.6]
