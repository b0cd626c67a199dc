"""Keyframes carried along the motion: exact ends, a known shift, the flow engine's own blend."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.backbones.flow import in_between
from vtg_cli.backbones.tiny.guide import UNSEEN, Carried, carry
from vtg_cli.training.textures import noise

TIMES = [0.0, 0.5, 1.0]


@pytest.fixture(scope="module")
def ends() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A window that moves 6 pixels to the right over a texture."""
    texture = np.uint8(noise(np.random.default_rng(2), 72) * 255)
    texture = np.asarray(cv2.GaussianBlur(texture, (0, 0), 1.0), np.uint8)
    return texture[8:56, 6:54].copy(), texture[8:56, 12:60].copy()


@pytest.fixture(scope="module")
def carried(ends: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> Carried:
    return carry(*ends, TIMES)


def test_each_is_itself_at_its_own_time(
    carried: Carried, ends: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    assert np.array_equal(carried.ahead[0], ends[0])
    assert np.array_equal(carried.back[-1], ends[1])
    assert (carried.trust_ahead[0] == 1).all() and (carried.trust_back[-1] == 1).all()
    for trust in (carried.trust_ahead, carried.trust_back):
        assert trust.min() >= UNSEEN and trust.max() <= 1


def test_both_meet_half_way(
    carried: Carried, ends: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    """Away from the sides, the picture in the middle is the texture 3 pixels on."""
    truth = ends[0][:, 3:].astype(float)
    for picture in (carried.ahead[1], carried.back[1]):
        error = (picture[:, :-3] - truth)[10:-10, 10:-10]
        assert 10 * np.log10(255**2 / np.square(error).mean()) > 30  # dB; a cross-fade has 19
    assert carried.trust_ahead[1][10:-10, 10:-10].mean() > 0.4


def test_their_blend_is_the_flow_engines_result(
    carried: Carried, ends: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    flow = in_between(*ends, TIMES)[1].astype(float)
    ahead, back = carried.trust_ahead[1][..., None], carried.trust_back[1][..., None]
    blend = (ahead * carried.ahead[1] + back * carried.back[1]) / (ahead + back)
    # whole numbers twice, and the weights enlarged apart instead of their ratio
    assert np.abs(blend - flow).mean() < 1
