"""Filters against dense linear algebra and plain means."""

from __future__ import annotations

import numpy as np
import pytest

from vtg_cli.flow.filters import EDGE, guided, links, ramp, resize, spread, warp

noise = np.random.default_rng(3)


def test_spread_is_rows_and_columns_of_a_linear_system() -> None:
    """Against numpy's dense solver: the smoother's three passes with strengths 16 : 4 : 1."""
    lab = noise.random((6, 5, 3), dtype=np.float32) * np.float32(4 * EDGE)
    x = noise.random((6, 5, 2), dtype=np.float32)
    down, right = links(lab)
    assert down[2, 3] == pytest.approx(
        np.exp(-np.abs(lab[3, 3] - lab[2, 3]).max() / EDGE), rel=1e-5
    )

    def system(link: np.ndarray, strength: float) -> np.ndarray:
        chain = np.diag(link, 1) + np.diag(link, -1)
        return np.eye(len(chain)) + strength * (np.diag(chain.sum(1)) - chain)

    expected = x.astype(float)
    for k in (2, 1, 0):
        strength = 1.5 * 4**k / 63 * 10
        for j in range(5):
            expected[:, j] = np.linalg.solve(system(down[:, j], strength), expected[:, j])
        for i in range(6):
            expected[i] = np.linalg.solve(system(right[i], strength), expected[i])
    assert np.abs(spread(x, (down, right), 10) - expected).max() < 1e-5  # float32


def test_spread_keeps_the_mean_and_halts_at_an_edge() -> None:
    lab = np.zeros((24, 24, 3), np.float32)
    lab[:, 12:] = 1  # e^-40: no link across
    x = np.zeros((24, 24, 1), np.float32)
    x[12, 3] = 1
    out = spread(x, links(lab), 2000)
    assert out.sum() == pytest.approx(1, abs=1e-4)  # the Laplacian has no net flow
    assert out[:, 12:].max() < 1e-12
    assert out[:, :12].max() < 2 * out[:, :12].mean() < 3 / 288


def test_guided_by_nothing_is_the_mean_of_means() -> None:
    x = noise.random((20, 30), dtype=np.float32)
    smooth = guided(np.full((20, 30), 0.5, np.float32), 2)(x)
    inner = [x[i - 2 : i + 3, j - 2 : j + 3].mean() for i in range(8, 13) for j in range(8, 13)]
    assert smooth[10, 10] == pytest.approx(np.mean(inner), abs=1e-5)


def test_guided_by_itself_keeps_a_step() -> None:
    step = np.zeros((20, 20), np.float32)
    step[:, 10:] = 1
    smooth = guided(step, 4)(step)
    assert np.abs(smooth - step).max() < 0.01  # 1e-3 / (variance of a step, up to 1/4 + 1e-3)


def test_warp_looks_up_ahead() -> None:
    ramped = np.arange(12, dtype=np.float32)[None].repeat(6, 0)
    flow = np.zeros((6, 12, 2), np.float32)
    flow[..., 0] = 2.5
    assert np.allclose(warp(ramped, flow)[:, :9], ramped[:, :9] + 2.5)
    assert warp(ramped[..., None], flow).shape == (6, 12, 1)
    assert np.all(warp(ramped, flow)[:, 10:] == 11)  # the rim continues


def test_ramp_and_resize() -> None:
    assert ramp(np.array([0.0, 1, 2, 3, 9]), 1, 3).tolist() == [0, 0, 0.5, 1, 1]
    x = noise.random((8, 8, 3), dtype=np.float32)
    assert resize(x, 8, 8) is x
    assert np.allclose(resize(x, 4, 2)[0, 0], x[:4, :2].mean((0, 1)), atol=1e-6)
