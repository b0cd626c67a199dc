"""TVG's parts against closed forms in numpy and scipy's distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.coupling import (
    couple_pairs,
    coupled,
    posterior_mean,
    regressed,
    select_frames,
    smoothed,
)

F, N, D = 6, 5, 3


def randn(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("length", "noise"), [(1.0, 1e-4), (2.5, 0.1)])
def test_the_posterior_mean_is_its_closed_form(length: float, noise: float) -> None:
    x, y, at = randn(0, N, D), randn(1, N, 2), randn(2, 4, D)
    kernel = np.exp(-(cdist(x, x) ** 2) / (2 * length**2)) + noise * np.eye(N)
    across = np.exp(-(cdist(at, x) ** 2) / (2 * length**2))
    expected = across @ np.linalg.solve(kernel, y.numpy())
    got = posterior_mean(x, y, at, length=length, noise=noise)
    # |x|^2 - 2xy + |y|^2 in double, through a kernel of condition up to 1e4
    assert np.allclose(got.numpy(), expected, rtol=0, atol=1e-9)


def test_the_posterior_mean_knows_what_it_saw_and_nothing_far_away() -> None:
    x, y = 3 * randn(0, N, D), randn(1, N, 2)
    assert torch.allclose(posterior_mean(x, y, x, noise=1e-9), y, atol=1e-6)
    assert float(posterior_mean(x, y, x + 100).abs().max()) == 0
    alike = x[:1].expand(N, D)  # a singular kernel but for its noise: the mean of what was seen
    found = posterior_mean(alike.float(), y.float(), alike.float())
    assert torch.allclose(found, y.float().mean(0).expand(N, 2), atol=1e-4)


def test_regression_keeps_the_ends_and_maps_first_to_last() -> None:
    h = randn(3, F, N, D)
    h[2] = h[0]
    got = regressed(h)
    assert torch.equal(got[0], h[0]) and torch.equal(got[-1], h[-1])
    # the tokens of frame 2 are those of frame 0, which became the last; noise 1e-4
    assert torch.allclose(got[2], h[-1], atol=1e-2)


def test_smoothing_is_pools_of_three_frames_every_other_one() -> None:
    h = randn(4, 2, 7, N, D)
    pools = np.stack(
        [0.9 * c.mean(1) + 0.1 * c.max(1) for c in (h.numpy()[:, i : i + 3] for i in (0, 2, 4))], 1
    )
    nearest = [0, 0, 0, 1, 1, 2, 2]  # floor(i * 3 / 7)
    assert np.allclose(smoothed(h).numpy(), pools[:, nearest], rtol=0, atol=1e-12)
    still = h[:, :1].expand_as(h)
    assert torch.allclose(smoothed(still), still, rtol=0, atol=1e-12)


def test_coupling_treats_both_directions_alike() -> None:
    h = randn(5, 2, F, N, D)
    assert torch.allclose(coupled(h.flip(0)), coupled(h).flip(0), rtol=0, atol=1e-12)
    own = torch.linspace(0.9, 0.1, F, dtype=torch.float64)[:, None, None]
    back = smoothed(regressed(h[1]).flip(0)[None])[0]
    expected = own * regressed(h[0]) + own.flip(0) * back
    assert torch.allclose(coupled(h)[0], expected, rtol=0, atol=1e-12)


class Twice(nn.Module):
    def forward(self, h: Tensor, add: float = 0.0) -> Tensor:
        return 2 * h + add


@pytest.mark.parametrize("layout", ["frames", "grid", "places"])
def test_blocks_are_told_the_share_whatever_their_layout(layout: str) -> None:
    tokens, block = randn(6, 2, F, 4, D), Twice()
    told = 0.9 * tokens + 0.1 * coupled(tokens)
    fold: Any = {
        "frames": lambda t: t.flatten(0, 1),
        "grid": lambda t: torch.unflatten(t, 2, (2, 2)),
        "places": lambda t: t.transpose(1, 2).flatten(0, 1),
    }[layout]
    with overriding([block], couple_pairs(F, along=layout == "places")):
        got = block(fold(tokens), add=1.0)
    assert torch.allclose(got, 2 * fold(told) + 1, rtol=0, atol=1e-12)
    with overriding([block], couple_pairs(F, along=layout == "places", share=0.0)):
        assert torch.equal(block(fold(tokens)), 2 * fold(tokens))


def test_frames_come_from_the_direction_that_continues_the_clip() -> None:
    ahead = torch.tensor([0.0, 1.0, 5.0, 3.0, 9.0])[None, :, None]
    back = torch.tensor([7.0, 4.0, 2.0, 2.5, 4.0])[None, :, None]
    assert select_frames(ahead, back).flatten().tolist() == [0.0, 1.0, 2.0, 2.5, 4.0]
    assert torch.equal(select_frames(ahead, ahead), ahead)
    # distances to the frame before and to the first: of -1.5 they are 2.5 and 1.5, of 2.9 they are
    # 1.9 and 2.9; 0.8 * 2.5 + 0.2 * 1.5 = 2.3, 0.8 * 1.9 + 0.2 * 2.9 = 2.1
    one = torch.tensor([0.0, 1.0, -1.5, 0.0])[None, :, None]
    two = torch.tensor([0.0, 1.0, 2.9, 0.0])[None, :, None]

    def straight(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean()

    assert select_frames(one, two, straight)[0, 2, 0] == pytest.approx(2.9)
