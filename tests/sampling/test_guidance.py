"""Guidance as affine combinations, against the formulas of the papers in v-space."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vtg_cli.conditioning.cond import Cond
from vtg_cli.sampling.frames import replace_frames
from vtg_cli.sampling.guidance import bind, cfg, combine
from vtg_cli.sampling.level import Level

F, C = 6, 4
LEVEL = Level(0.6, 0.8, 300.0)


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net(x: Tensor) -> Tensor:
    return torch.tanh(1.3 * x) + 0.2 * x.roll(1, 1)


def shift(cond: Cond) -> Tensor:
    assert cond.image is not None
    return cond.image[:, :, 0, :, None, None]


def v_of(x: Tensor, cond: Cond) -> Tensor:
    return net(x + shift(cond))


def denoise(x: Tensor, level: Level, cond: Cond) -> Tensor:
    return level.x0_from_v(x, v_of(x, cond))


FULL, IMAGE, NULL = (Cond(image=randn(i, 1, 1, 1, C)) for i in range(3))
X = randn(9, 1, F, C, 5, 7)


@pytest.mark.parametrize("sequential", [False, True])
def test_per_frame_cfg_in_x0_space_is_cfg_in_v_space(sequential: bool) -> None:
    scale = torch.linspace(1, 3, F, dtype=torch.float64)[None, :, None, None, None]
    v = v_of(X, NULL) + scale * (v_of(X, FULL) - v_of(X, NULL))
    got = cfg(denoise, FULL, NULL, scale, sequential=sequential)(X, LEVEL)
    assert torch.allclose(got, LEVEL.alpha * X - LEVEL.sigma * v, rtol=0, atol=1e-12)


def test_three_way_guidance_is_a_choice_of_terms() -> None:
    """DynamiCrafter's multi-condition guidance: null + s_i (image - null) + s_t (full - image)."""
    st, si = 7.5, 4.0
    terms = [(FULL, st), (IMAGE, si - st), (NULL, 1 - si)]
    v = (
        v_of(X, NULL)
        + si * (v_of(X, IMAGE) - v_of(X, NULL))
        + st * (v_of(X, FULL) - v_of(X, IMAGE))
    )
    got = combine(denoise, terms)(X, LEVEL)
    assert torch.allclose(got, LEVEL.alpha * X - LEVEL.sigma * v, rtol=0, atol=1e-12)


def test_weights_may_depend_on_the_level() -> None:
    got = combine(
        denoise, [(FULL, lambda level: level.sigma), (NULL, lambda level: 1 - level.sigma)]
    )
    expected = 0.8 * denoise(X, LEVEL, FULL) + 0.2 * denoise(X, LEVEL, NULL)
    assert torch.allclose(got(X, LEVEL), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sequential", [False, True])
def test_rescale_matches_the_standard_deviation_in_v_space(sequential: bool) -> None:
    got = cfg(denoise, FULL, NULL, 7.5, rescale=1.0, sequential=sequential)(X, LEVEL)
    assert float(LEVEL.v_from_x0(X, got).std()) == pytest.approx(
        float(v_of(X, FULL).std()), rel=1e-12
    )


def test_terms_lie_innermost_in_the_batch() -> None:
    """Rows (b0 c0) (b0 c1) (b1 c0) (b1 c1): a batch of two with two terms."""
    seen: list[Tensor] = []

    def spy(x: Tensor, level: Level, cond: Cond) -> Tensor:
        assert cond.image is not None
        seen.append(torch.cat([x.flatten(1)[:, :1], cond.image.flatten(1)[:, :1]], 1))
        return x

    pair = Cond(image=torch.tensor([10.0, 20.0]).view(2, 1, 1, 1))
    null = Cond(image=torch.tensor([1.0, 2.0]).view(2, 1, 1, 1))
    x = torch.tensor([5.0, 6.0]).view(2, 1, 1, 1, 1)
    cfg(spy, pair, null, 2.0)(x, LEVEL)
    assert seen[0].tolist() == [[5, 10], [5, 1], [6, 20], [6, 2]]


def test_jit_cfg_with_frame_replacement() -> None:
    """One null that knows neither text nor frames: the known frame enters only the conditioned
    branch.
    """
    known, mask = randn(5, 1, F, C, 5, 7), torch.zeros(1, F, 1, 1, 1, dtype=torch.float64)
    mask[:, 0] = 1
    full = Cond(image=FULL.image, known=known, mask=mask)
    null = Cond(image=NULL.image, known=known, mask=torch.zeros_like(mask))
    got = cfg(replace_frames(denoise), full, null, 5.0)(X, LEVEL)
    entered = torch.where(mask.bool(), known, X)
    conditioned = torch.where(mask.bool(), known, denoise(entered, LEVEL, FULL))
    free = denoise(X, LEVEL, NULL)
    assert torch.allclose(got, free + 5 * (conditioned - free), rtol=0, atol=1e-12)


def test_bind_fixes_the_condition() -> None:
    assert torch.equal(bind(denoise, FULL)(X, LEVEL), denoise(X, LEVEL, FULL))
