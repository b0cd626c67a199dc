"""The anchored codec: what it copies, what it leaves alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from rounding import rounding

from vtg_cli.flow.anchored import anchored, enlarge, shrink


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def quarter(x: torch.Tensor) -> tuple[int, int]:
    return x.shape[-2] // 4, x.shape[-1] // 4


def test_shrinking_is_the_mean_of_squares() -> None:
    x = pictures(2, 3, 4, 8, 12)
    expected = x.numpy().reshape(2, 3, 4, 2, 4, 3, 4).mean((4, 6))
    # means of 16 numbers of up to one
    assert np.abs(shrink(x, (2, 3)).numpy() - expected).max() < rounding(2 * 16)
    assert torch.allclose(shrink(x[0], (2, 3)), shrink(x, (2, 3))[0])


def test_shrinking_cuts_through_pixels() -> None:
    """5 pixels to 2 means: 2 whole ones and half of the third each, as OpenCV's area resampling."""
    line = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]])
    assert shrink(line, (1, 2))[0].tolist() == pytest.approx([5 / 2.5, 26 / 2.5])
    x = pictures(3, 45, 70)
    theirs = cv2.resize(x.movedim(0, -1).numpy(), (31, 13), interpolation=cv2.INTER_AREA)
    assert np.abs(shrink(x, (13, 31)).movedim(0, -1).numpy() - theirs).max() < rounding(
        2 * 20
    )  # of up to 16 or 20


def test_a_keyframe_that_fits_is_copied_whole() -> None:
    ahead, back = pictures(1, 3, 16, 24), pictures(1, 3, 16, 24, seed=1) / 4 + 0.7
    out = anchored(shrink(ahead, quarter(ahead)), ahead, back)
    # of two that differ by d the average keeps LIKE / d^2 of a say, d about 0.7
    assert float((out - ahead).abs().max()) < 3e-3


def test_two_that_fit_alike_are_averaged() -> None:
    ahead = pictures(1, 3, 16, 16)
    assert float((anchored(shrink(ahead, quarter(ahead)), ahead, ahead) - ahead).abs().max()) < 1e-5


def test_what_neither_shows_is_the_latents_enlarged() -> None:
    z = pictures(2, 3, 4, 6) / 4 - 0.7
    ahead, back = torch.full((2, 3, 16, 24), 0.9), torch.full((2, 3, 16, 24), 0.8)
    assert float((anchored(z, ahead, back) - enlarge(z, (16, 24))).abs().max()) < 1e-4


def test_a_dissolve_keeps_the_detail_of_both() -> None:
    ahead, back = pictures(1, 3, 32, 48), pictures(1, 3, 32, 48, seed=1)
    mix = 0.7 * ahead + 0.3 * back
    assert float((anchored(shrink(mix, (8, 12)), ahead, back) - mix).abs().max()) < 0.05


def test_each_place_comes_from_the_one_that_fits_there() -> None:
    ahead = pictures(1, 3, 32, 64) / 4 + 0.6
    back = pictures(1, 3, 32, 64, seed=1) / 4 - 0.6
    truth = torch.cat([ahead[..., :32], back[..., 32:]], -1)
    out = anchored(shrink(truth, quarter(truth)), ahead, back)
    apart = (out - truth).abs().amax((0, 1, 2))
    far = torch.tensor([i for i in range(64) if abs(i - 31.5) > 14])
    # 3 latents off the seam the wrong one differs by 1.2, far beyond the tolerance
    assert float(apart[far].max()) < 1e-3
