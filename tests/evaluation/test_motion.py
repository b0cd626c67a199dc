"""Ends, seams and the two directions, on clips of known values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.motion import disagreement, ends


def clip(*values: int) -> NDArray[np.uint8]:
    return np.stack([np.full((4, 6, 3), value, np.uint8) for value in values])


def test_ends_and_seams() -> None:
    frames = clip(10, 14, 16, 18, 30)
    found = ends(frames, clip(9)[0], clip(30)[0])
    assert (found.error_first, found.error_last) == (1, 0)
    assert found.psnr_first == pytest.approx(20 * np.log10(255))
    assert found.psnr_last == float("inf")
    assert (found.seam_first, found.seam_last) == (4 / 3, 4)  # of steps 4, 2, 2, 12


def test_directions_that_agree() -> None:
    frames = clip(0, 10, 20)
    assert disagreement(frames, frames[::-1]) == 0
    assert disagreement(frames, clip(20, 16, 0)) == 2


def test_sizes_must_agree() -> None:
    with pytest.raises(UsageError, match="do not fit"):
        ends(clip(1, 2), np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(UsageError, match="do not compare"):
        disagreement(clip(1, 2), clip(1, 2, 3))
