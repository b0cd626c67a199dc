"""Motion and trust where both are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vtg_cli.flow.correspondence import correspond

noise = np.random.default_rng(2)


def clouds(height: int, width: int, sigma: float) -> np.ndarray:
    field = gaussian_filter(noise.standard_normal((height, width, 3)), (sigma, sigma, 0))
    return np.clip(128 + 50 * field / field.std(), 0, 255).astype(np.uint8)


WIDE, FRONT = clouds(200, 300, 2.5), clouds(60, 60, 2.0)


def scene(shift: int, x: int) -> np.ndarray:
    """A background shifted right by `shift`, in front of it a square with its left edge at x."""
    out = WIDE[20:164, 40 - shift : 232 - shift].copy()
    out[40:100, x : x + 60] = FRONT
    return out


@pytest.fixture(scope="module")
def found():
    return correspond(scene(0, 50), scene(4, 86))


def test_both_layers_move_as_they_do(found) -> None:
    ahead = found.forward[46:94, 56:104]  # the square, six pixels off its rim
    assert np.median(np.abs(ahead - (36, 0)).max(-1)) < 0.2
    behind = found.forward[110:, 10:-10]
    assert np.median(np.abs(behind - (4, 0)).max(-1)) < 0.2
    back = found.backward[46:94, 92:140]
    assert np.median(np.abs(back - (-36, 0)).max(-1)) < 0.2


def test_trust_where_seen_twice_and_not_where_hidden(found) -> None:
    assert np.median(found.trust_first[110:, 10:-10]) > 0.9
    assert np.median(found.trust_first[48:92, 58:102]) > 0.9
    # what the square covers in the last picture: 32 columns right of it, less the rims
    assert found.trust_first[50:90, 118:138].mean() < 0.2
    assert found.trust_last[50:90, 58:78].mean() < 0.2


def test_hidden_background_takes_the_backgrounds_motion(found) -> None:
    hidden = found.forward[50:90, 122:138]
    assert np.median(np.abs(hidden - (4, 0)).max(-1)) < 1.5


def test_unrelated_pictures_have_no_motion() -> None:
    found = correspond(clouds(120, 160, 2), clouds(120, 160, 4))
    assert found.share < 0.01
    assert np.abs(found.forward).max() < 0.5 and np.abs(found.backward).max() < 0.5


def test_working_size() -> None:
    """Tiny pictures are enlarged to 32 on a side, large ones shrunk to 512, by side."""
    assert correspond(clouds(20, 30, 2), clouds(20, 30, 2)).forward.shape == (32, 32, 2)
    assert correspond(clouds(40, 600, 3), clouds(40, 600, 3)).forward.shape == (34, 512, 2)
