"""Scores of one clip by name: what there is to compute them from decides which are there."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.pictures import haarpsi, ssim
from vtg_cli.evaluation.scores import OF_A_CLIP, against_truth, of_a_clip, verdict
from vtg_cli.training.textures import power_noise


def clip(frames: int = 9) -> NDArray[np.uint8]:
    """A texture that moves two pixels a frame."""
    wide = 128 + 45 * power_noise(np.random.default_rng(0), 96, 1.2, 3)
    wide = np.clip(wide, 0, 255).astype(np.uint8)
    return np.stack([wide[:48, 2 * i : 64 + 2 * i] for i in range(frames)])


def steps(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.linspace(0.1, 0.2, len(frames) - 1)


def test_all_there_is() -> None:
    frames = clip()
    found = of_a_clip(frames, truth=frames, keyframes=(frames[0], frames[-1]), distances=steps)
    assert found.keys() == OF_A_CLIP.keys()
    assert found["psnr"] == float("inf")
    assert found["ssim"] == pytest.approx(1)
    assert found["ppl"] == pytest.approx(0.15 * 8)
    assert found["ppl_scaled"] == pytest.approx(0.15 * 64)
    assert (found["error_first"], found["error_last"]) == (0, 0)
    assert verdict(frames) == ()


def test_without_a_network_or_a_truth_their_scores_are_absent() -> None:
    assert of_a_clip(clip()).keys() == {"flicker", "badness"}


def test_frames_in_between_are_compared() -> None:
    frames = clip(5)
    other = frames.copy()
    other[0] = other[-1] = 0
    assert against_truth(other, frames)["psnr"] == float("inf")
    other[1:-1] = np.clip(frames[1:-1].astype(int) + 5, 0, 255)
    found = against_truth(other, frames)
    error = np.mean((other[1:-1].astype(float) - frames[1:-1]) ** 2)
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / error), rel=1e-6)
    for name, score in (("ssim", ssim), ("haarpsi", haarpsi)):
        expected = np.mean([score(a, b) for a, b in zip(other[1:-1], frames[1:-1], strict=True)])
        assert found[name] == pytest.approx(expected)


def test_shapes_must_agree() -> None:
    with pytest.raises(UsageError, match="do not compare"):
        against_truth(clip(5), clip(6))
    with pytest.raises(UsageError, match="do not compare"):
        against_truth(clip(2), clip(2))


def test_a_slideshow_is_found() -> None:
    values = [20, 22, 24, 26, 28, 190, 192, 194, 196, 198]
    frames = np.stack([np.full((48, 64, 3), value, np.uint8) for value in values])
    assert verdict(frames) == ("slideshow",)
