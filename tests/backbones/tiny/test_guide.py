"""Keyframes carried along the motion: exact ends, a known shift, the flow engine's own blend."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.backbones.tiny.guide import UNSEEN, Carried, carry, enlarged
from vtg_cli.flow.engine import in_between
from vtg_cli.flow.filters import Field
from vtg_cli.training.textures import noise

TIMES = [0.0, 0.5, 1.0]


@pytest.fixture(scope="module")
def ends() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A window that moves 6 pixels to the right over a texture."""
    texture = np.uint8(noise(np.random.default_rng(2), 72) * 255)
    texture = np.asarray(cv2.GaussianBlur(texture, (0, 0), 1.0), np.uint8)
    return texture[8:56, 6:54].copy(), texture[8:56, 12:60].copy()


@pytest.fixture(scope="module")
def carried(ends: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> list[Carried]:
    at = carry(*ends)
    return [at(t) for t in TIMES]


def test_each_is_itself_at_its_own_time(
    carried: list[Carried], ends: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    assert np.array_equal(carried[0].ahead, ends[0] / np.float32(255))
    assert np.array_equal(carried[2].back, ends[1] / np.float32(255))
    assert (carried[0].trust_ahead == 1).all() and (carried[2].trust_back == 1).all()
    for trust in (trust for c in carried for trust in (c.trust_ahead, c.trust_back)):
        assert trust.min() >= np.float32(UNSEEN) and trust.max() <= 1


def test_both_meet_half_way(
    carried: list[Carried], ends: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    """Away from the sides, the picture in the middle is the texture 3 pixels on."""
    truth = ends[0][:, 3:].astype(float) / 255
    for picture in (carried[1].ahead, carried[1].back):
        error = (picture[:, :-3] - truth)[10:-10, 10:-10]
        assert 10 * np.log10(1 / np.square(error).mean()) > 30  # dB; a cross-fade has 19
    assert carried[1].trust_ahead[10:-10, 10:-10].mean() > 0.4


def test_their_blend_is_the_flow_engines_result(
    carried: list[Carried], ends: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    flow = in_between(*ends, TIMES)[1].astype(float)
    ahead, back = (enlarged(t, *flow.shape[:2])[..., None] for t in _trusts(carried[1]))
    blend = (ahead * carried[1].ahead + back * carried[1].back) / (ahead + back) * 255
    assert np.abs(blend - flow).mean() < 1  # the weights are enlarged apart instead of their ratio


def _trusts(carried: Carried) -> tuple[Field, Field]:
    return carried.trust_ahead, carried.trust_back
