"""SSIM by SciPy's filter, HaarPSI by its formula written out with SciPy, and their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d

from vtg_cli.evaluation.pictures import haarpsi, ssim

Picture = NDArray[np.uint8]


def pair(height: int, width: int) -> tuple[Picture, Picture]:
    """A smooth picture, and the same with noise."""
    rng = np.random.default_rng(height)
    smooth = gaussian_filter(rng.normal(0, 1, (height, width, 3)), (3, 3, 0))
    first = 128 + 60 * smooth / np.abs(smooth).max()
    second = first + rng.normal(0, 12, first.shape)
    return first.astype(np.uint8), np.clip(second, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(40, 56), (420, 643)])  # the second is reduced by 2
def test_ssim_is_that_of_wang(size: tuple[int, int]) -> None:
    a, b = (picture.astype(float) for picture in pair(*size))
    expected = []
    for c in range(3):
        x, y = a[..., c], b[..., c]
        if min(size) > 256:
            x, y = (z[: size[0] // 2 * 2, : size[1] // 2 * 2] for z in (x, y))
            x, y = ((z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4 for z in (x, y))

        def mean(z: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(gaussian_filter(z, 1.5, radius=5))[5:-5, 5:-5]

        mx, my = mean(x), mean(y)
        cov, spread = mean(x * y) - mx * my, mean(x * x) - mx**2 + mean(y * y) - my**2
        bright = (2 * mx * my + 6.5025) / (mx**2 + my**2 + 6.5025)
        expected.append((bright * (2 * cov + 58.5225) / (spread + 58.5225)).mean())
    assert ssim(*pair(*size)) == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize("size", [(40, 56), (41, 57)])
def test_haarpsi_is_that_of_reisenhofer(size: tuple[int, int]) -> None:
    a, b = (picture.astype(float) for picture in pair(*size))

    def channels(rgb: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        r, g, b = np.moveaxis(rgb, -1, 0)
        luma = 0.299 * r + 0.587 * g + 0.114 * b
        i, q = 0.5959 * r - 0.2746 * g - 0.3213 * b, 0.2115 * r - 0.5227 * g + 0.3112 * b
        mean = np.full((2, 2), 0.25)
        # MATLAB's conv2(.., 'same') keeps the later middle of an even kernel
        full = [convolve2d(z, mean)[1:, 1:] for z in (luma, i, q)]
        return [z[: rgb.shape[0], : rgb.shape[1]][::2, ::2] for z in full]

    def same(x: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
        n = len(kernel) // 2
        return np.asarray(convolve2d(x, kernel)[n:, n:][: x.shape[0], : x.shape[1]])

    def similar(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((2 * x * y + 30) / (x**2 + y**2 + 30))

    (x, xi, xq), (y, yi, yq) = channels(a), channels(b)
    maps, weights = [], []
    for turn in (False, True):
        kernels = []
        for scale in (2, 4, 8):
            kernel = np.ones((scale, scale)) / scale
            kernel[scale // 2 :] *= -1
            kernels.append(kernel.T if turn else kernel)
        hx, hy = ([np.abs(same(z, k)) for k in kernels] for z in (x, y))
        maps.append((similar(hx[0], hy[0]) + similar(hx[1], hy[1])) / 2)
        weights.append(np.maximum(hx[2], hy[2]))
    mean = np.full((2, 2), 0.25)
    chroma = [similar(*(np.abs(same(z, mean)) for z in each)) for each in ((xi, yi), (xq, yq))]
    maps.append(sum(chroma) / 2)
    weights.append((weights[0] + weights[1]) / 2)
    s, w = np.array(maps), np.array(weights)
    inner = (w / (1 + np.exp(-4.2 * s))).sum() / w.sum()
    expected = (np.log(inner / (1 - inner)) / 4.2) ** 2
    assert haarpsi(*pair(*size)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("score", [ssim, haarpsi])
def test_equal_pictures_score_one_and_noise_costs(score: object) -> None:
    assert callable(score)
    first, second = pair(40, 56)
    flat = np.full((32, 32, 3), 90, np.uint8)
    assert score(first, first) == pytest.approx(1)
    assert score(flat, flat) == pytest.approx(1)
    assert 0 < score(first, second) < 0.9
    assert score(first, second) == pytest.approx(score(second, first))
