"""What two pictures have in common, on pictures of known shift, light and kinship."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from vtg_cli.flow.correspondence import correspond
from vtg_cli.quality.pair import Pair, inspect, moved, suggestion
from vtg_cli.training.textures import power_noise

Picture = NDArray[np.uint8]


def wide(seed: int = 0) -> Picture:
    """A cloudy texture [512, 512, 3] to take windows from."""
    clouds = power_noise(np.random.default_rng(seed), 512, 1.2, 3)
    return np.clip(128 + 45 * clouds, 0, 255).astype(np.uint8)


def window(x: int, y: int, seed: int = 0) -> Picture:
    return wide(seed)[100 + y : 196 + y, 100 + x : 260 + x]


@pytest.mark.parametrize(("x", "y"), [(4, 0), (-9, 5), (0, -15)])
def test_a_shift_is_found_in_the_pictures_own_pixels(x: int, y: int) -> None:
    """The window moves by (x, y), so what it shows moves by (-x, -y). Not
    reduced; half a pixel is what DIS flow leaves.
    """
    found = inspect(window(0, 0), window(x, y))
    assert found.shift == pytest.approx((-x, -y), abs=0.5)
    assert found.motion == pytest.approx(np.hypot(x, y), abs=0.5)
    assert found.farthest == pytest.approx(np.hypot(x, y), abs=1.5)
    assert found.shared > 0.75
    assert found.moved > 0.6
    assert found.kind == ("near" if np.hypot(x, y) + 1 < 0.08 * 160 else "far")


def test_the_same_picture() -> None:
    found = inspect(window(0, 0), window(0, 0))
    assert (found.difference, found.colour_gap, found.moved, found.kind) == (0, 0, 0, "same")
    assert found.ssim == pytest.approx(1)
    assert found.shift == pytest.approx((0, 0), abs=0.05)


def test_strangers_share_nothing() -> None:
    found = inspect(window(0, 0), window(0, 0, seed=1))
    assert (found.shared, found.moved, found.motion, found.kind) == (0, 0, 0, "unrelated")
    assert found.ssim < 0.3


def lightness(grey: int) -> float:
    """L* of an sRGB grey, by the standards' formulas; for greys above 10."""
    linear = ((grey / 255 + 0.055) / 1.055) ** 2.4
    return float(116 * linear ** (1 / 3) - 16)


def test_light_changes_without_motion() -> None:
    grey = np.full((64, 96, 3), 100, np.uint8)
    grey[16:48, 24:72] = 180
    found = inspect(grey, grey + 40)
    assert found.kind == "recoloured"
    gap = 0.75 * (lightness(140) - lightness(100)) + 0.25 * (lightness(220) - lightness(180))
    assert found.colour_gap == pytest.approx(gap, abs=0.15)  # OpenCV reads the curve off a table
    assert found.difference == 40
    assert found.moved == 0


def test_ssim_is_that_of_wang() -> None:
    """By SciPy's filter: 11 taps of a Gaussian of 1.5 pixels, windows inside the picture."""
    pictures = window(0, 0), window(3, 0)
    a, b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(float) for x in pictures)

    def mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(gaussian_filter(x, 1.5, mode="mirror", radius=5))

    ma, mb = mean(a), mean(b)
    covariance = mean((a - 100) * (b - 100)) - (ma - 100) * (mb - 100)
    spread = mean(a**2) - ma**2 + mean(b**2) - mb**2
    brightness = (2 * ma * mb + 6.5025) / (ma**2 + mb**2 + 6.5025)
    likeness = brightness * (2 * covariance + 58.5225) / (spread + 58.5225)
    inside = float(likeness[5:-5, 5:-5].mean())
    assert inspect(*pictures).ssim == pytest.approx(inside, abs=1e-6)


def test_moved_is_the_share_that_the_true_motion_explains() -> None:
    a, b = window(0, 0), window(8, 0)
    # all but 8 columns can be explained; where nothing moves there is nothing to explain
    assert moved(a, b, correspond(a, b)) == pytest.approx(1 - 8 / 160, abs=0.12)
    assert moved(a, a, correspond(a, a)) == 0


NEAR = Pair(
    difference=20,
    ssim=0.5,
    shared=0.8,
    shift=(10, 0),
    motion=10,
    farthest=40,
    moved=0.8,
    colour_gap=1,
    side=1000,
)


@pytest.mark.parametrize(
    ("pair", "kind", "model", "method", "frames"),
    [
        (replace(NEAR, difference=0.5), "same", "flow", None, 12),
        (replace(NEAR, farthest=11), "recoloured", "flow", None, 24),
        (replace(NEAR, moved=0.2), "changed", "tiny", "gi", 24),
        (NEAR, "near", "tiny", "gi", 12),  # 40 pixels in steps of 6 are fewer
        (replace(NEAR, farthest=79), "near", "tiny", "gi", 15),  # 13.2 steps
        (replace(NEAR, farthest=120), "far", "tiny", "gi", 21),
        (replace(NEAR, farthest=300), "far", "tiny", "gi", 33),
        (replace(NEAR, shared=0.2), "far", "tiny", "gi", 12),
        (replace(NEAR, shared=0.05), "unrelated", "tiny", "gi", 24),
    ],
)
def test_what_is_suggested(
    pair: Pair, kind: str, model: str, method: str | None, frames: int
) -> None:
    advice = suggestion(pair)
    assert (pair.kind, advice.model, advice.method, advice.frames) == (kind, model, method, frames)


def test_a_large_model_that_is_here_is_suggested_for_far_motion_only() -> None:
    assert suggestion(replace(NEAR, farthest=120), ["svd", "svd-xt"]).model == "svd-xt"
    assert suggestion(NEAR, ["svd", "svd-xt"]).model == "tiny"
