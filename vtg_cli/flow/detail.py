"""Keyframe detail for a clip drawn smaller than its keyframes.

Every pixel of a frame is looked up in both keyframes (correspondence.py); these, carried into place
at full size, give the detail wherever the frame supports it (anchored.py), so the motion is
the model's and the texture the pictures' own.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vtg_cli.flow.anchored import anchored
from vtg_cli.flow.correspondence import correspond
from vtg_cli.flow.filters import Field, resize, warp
from vtg_cli.ground.tensor import to_pixels, to_uint8

OnFrame = Callable[[int, int], None]
"""Callback on_frame(frames finished, frames in all)."""


def detailed(
    frames: NDArray[np.uint8],
    first: NDArray[np.uint8],
    last: NDArray[np.uint8],
    *,
    on_frame: OnFrame | None = None,
) -> NDArray[np.uint8]:
    """Carry keyframe detail into the frames of a clip drawn smaller.

    frames: uint8 [N, h, w, 3]
    first, last: uint8 [H, W, 3] of about the same aspect, as large or larger

    Returns uint8 [N, H, W, 3].
    """
    height, width = frames.shape[1:3]
    small = [resize(key, width, height) for key in (first, last)]
    out = np.empty((len(frames), *first.shape), np.uint8)
    for i, frame in enumerate(frames):
        ahead, back = (
            torch.from_numpy(_carried(key, _lookup(frame, key_small))).movedim(-1, 0)[None] * 2 - 1
            for key, key_small in zip((first, last), small, strict=True)
        )
        out[i] = to_uint8(anchored(to_pixels(frame)[None], ahead, back))[0]
        if on_frame is not None:
            on_frame(i + 1, len(frames))
    return out


def _lookup(frame: NDArray[np.uint8], key: NDArray[np.uint8]) -> Field:
    """Return where a frame's pixels lie in a keyframe of its size, as shares of the sides."""
    motion = correspond(frame, key).forward
    return np.asarray(motion / np.array(motion.shape[1::-1], np.float32), np.float32)


def _carried(key: NDArray[np.uint8], motion: Field) -> Field:
    """Move a keyframe [H, W, 3], 0 to 1, into the frame's place."""
    height, width = key.shape[:2]
    wide = cv2.resize(motion, (width, height), interpolation=cv2.INTER_LINEAR)
    moved = warp(
        key.astype(np.float32) / 255, wide * np.array([width, height], np.float32), cv2.INTER_CUBIC
    )
    return np.asarray(np.clip(moved, 0, 1), np.float32)
