"""Keyframe detail: a moving texture drawn at half its size gets its detail back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.flow.detail import detailed
from vtg_cli.media.anchor import psnr
from vtg_cli.training.textures import leaves

SIZE = (96, 144)


def clip(shifts: tuple[int, ...]) -> NDArray[np.uint8]:
    """A window that moves over a texture by so many pixels, [N, 96, 144, 3]."""
    texture = np.uint8(leaves(np.random.default_rng(5), 192) * 255)
    return np.stack([texture[20 : 20 + SIZE[0], s : s + SIZE[1]] for s in shifts])


def halved(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    half = (SIZE[1] // 2, SIZE[0] // 2)
    return np.stack([cv2.resize(f, half, interpolation=cv2.INTER_AREA) for f in frames])


def test_detail_comes_from_the_keyframes() -> None:
    truth = clip((0, 7, 13, 20))
    small = halved(truth)
    done: list[tuple[int, int]] = []
    out = detailed(small, truth[0], truth[3], on_frame=lambda *step: done.append(step))
    assert out.shape == truth.shape and done == [(i, 4) for i in range(1, 5)]
    plain = np.stack([cv2.resize(f, SIZE[::-1], interpolation=cv2.INTER_CUBIC) for f in small])
    for i in (1, 2):  # between the keyframes, away from where the texture leaves or enters
        inner = np.s_[8:-8, 24:-24]
        gained = psnr(out[i][inner], truth[i][inner]) - psnr(plain[i][inner], truth[i][inner])
        assert gained > 3  # dB
    for i in (0, 3):
        assert psnr(out[i], truth[i]) > psnr(plain[i], truth[i]) + 10


def test_what_the_keyframes_do_not_show_is_left_as_it_was_drawn() -> None:
    key = clip((0, 20))
    drawn = np.full((1, 48, 72, 3), (250, 10, 200), np.uint8)  # a colour neither keyframe has
    out = detailed(drawn, key[0], key[1])
    assert np.abs(out.astype(int) - (250, 10, 200)).mean() < 2
