"""The keyframe contract on a synthetic model whose colours drift by known amounts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.errors import UsageError
from vtg_cli.media.anchor import GAIN, OFFSET, anchor

Clip = NDArray[np.uint8]
N = 25


def scene() -> NDArray[np.float64]:
    """A texture moving by (2, 1) pixels a frame over a still one, [N, 96, 160, 3], the truth."""
    y, x = np.mgrid[0:96, 0:160].astype(float)
    k = np.arange(3)
    frames = [
        128
        + 45 * np.sin((x - 2 * i)[..., None] / 9 + 0.3 * k) * np.cos((y - i)[..., None] / 7 - k)
        + 20 * np.sin((x + y - 3 * i)[..., None] / 23 + k)
        + 20 * np.sin(x / 40)[..., None]
        for i in range(N)
    ]
    return np.array(frames)


def coded(frames: NDArray[np.float64]) -> Clip:
    return np.clip(np.round(frames), 0, 255).astype(np.uint8)


TRUTH = coded(scene())
ALONG = np.linspace(0, 1, N)[:, None, None, None]
GAINS = 1.08 - 0.12 * ALONG + np.array([0, 0.03, -0.03]) * ALONG  # per frame and channel
OFFSETS = np.array([4.0, -6, 8]) + np.array([-12.0, 2, -3]) * ALONG
DRIFTED = coded(scene() * GAINS + OFFSETS)


def pinned(frames: Clip) -> Clip:
    return np.concatenate([TRUTH[:1], frames[1:-1], TRUTH[-1:]])


def error(frames: NDArray[np.generic], which: slice = slice(1, -1)) -> float:
    """Root mean square against the truth, by default of the frames between the ends."""
    return float(np.sqrt(np.mean(np.square(frames[which].astype(float) - TRUTH[which]))))


def steps(frames: Clip) -> NDArray[np.float64]:
    return np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3))


def test_pinning_alone_pops_and_the_correction_removes_it() -> None:
    alone = steps(pinned(DRIFTED))
    assert alone[0] > 2 * np.median(alone)  # measured 2.3: the pop
    assert alone[-1] > 1.3 * np.median(alone)  # measured 1.5
    held, report = anchor(DRIFTED, TRUTH[0], TRUTH[-1], "exact")
    assert np.array_equal(held[0], TRUTH[0]) and np.array_equal(held[-1], TRUTH[-1])
    assert report.seam_first == pytest.approx(1, abs=0.03)
    assert report.seam_last == pytest.approx(1, abs=0.03)
    # off by 7.5 code values before, 0.75 after; three roundings alone make 0.5
    assert error(DRIFTED) > 7
    assert error(held) < 0.8


def test_a_constant_drift_is_undone_to_rounding() -> None:
    drifted = coded(scene() * 0.9 + 12)
    held, _ = anchor(drifted, TRUTH[0], TRUTH[-1], "exact")
    # three roundings, that of the drifted frame enlarged by 1/0.9: sqrt(3.23 / 12) = 0.52
    assert error(held) < 0.55


def test_noise_and_blur_of_the_model_do_not_mislead() -> None:
    noise = np.random.default_rng(1)
    soft = scene() * GAINS + OFFSETS
    soft = (np.roll(soft, 1, 2) + 2 * soft + np.roll(soft, -1, 2)) / 4  # blur along x
    drifted = coded(soft + noise.normal(0, 2, soft.shape))
    held, _ = anchor(drifted, TRUTH[0], TRUTH[-1], "exact")
    ideal = error(coded((soft + noise.normal(0, 2, soft.shape) - OFFSETS) / GAINS))
    assert error(drifted) > 7 and error(held) < 1.1 * ideal  # measured 2.1 against 2.1


@pytest.mark.parametrize("moved", [3, 8, 40])
def test_content_that_differs_is_no_reason_to_recolour(moved: int) -> None:
    """The right colours in the wrong place: whatever is corrected must not make things worse."""
    frames = np.roll(TRUTH, moved, axis=2)
    held, _ = anchor(frames, TRUTH[0], TRUTH[-1], "exact")
    assert error(held) <= error(frames) + 0.05
    assert np.abs(held[1:-1].mean((1, 2)) - frames[1:-1].mean((1, 2))).max() < 1.5


def test_something_new_in_the_picture_is_no_reason_to_recolour() -> None:
    frames = TRUTH.copy()
    frames[:, 30:80, 60:120] = (230, 40, 30)  # a fifth of the picture
    held, _ = anchor(frames, TRUTH[0], TRUTH[-1], "exact")
    assert np.abs(held[1:-1].astype(int) - frames[1:-1]).max() <= 1


def test_corrections_are_limited() -> None:
    dark = np.full((5, 32, 32, 3), 20, np.uint8)
    key = np.full((32, 32, 3), 200, np.uint8)
    held, _ = anchor(dark, key, key, "exact")
    assert held[2].max() == 20 + OFFSET  # flat: only an offset can be told
    flat = np.full((5, 96, 160, 3), 128.0, np.float32) + (TRUTH[:5] - np.float32(128)) / 4
    held, _ = anchor(flat, TRUTH[0], TRUTH[0], "exact")
    assert held[2].std() < (1 + GAIN) * flat[2].std() + 0.5


@pytest.mark.parametrize("mode", ["exact", "blend", "model"])
def test_a_clip_exact_at_its_ends_is_left_alone(mode: str) -> None:
    frames = TRUTH.copy()
    frames[1:-1] = np.random.default_rng(4).integers(0, 256, frames[1:-1].shape)
    held, report = anchor(frames, frames[0], frames[-1], mode)
    assert np.array_equal(held, frames)
    assert report.endpoint_psnr_first == report.endpoint_psnr_last == float("inf")


def test_an_exact_end_asks_for_nothing_there() -> None:
    """One end right, the other too bright by 10: the correction ramps from none to all of it."""
    frames = coded(scene() + 10 * ALONG)
    held, _ = anchor(frames, TRUTH[0], TRUTH[-1], "exact")
    # three roundings: sqrt(3 / 12) = 0.50
    assert error(held) < 0.53


def test_model_leaves_the_frames_and_reports() -> None:
    held, report = anchor(DRIFTED, TRUTH[0], TRUTH[-1], "model")
    assert np.array_equal(held, DRIFTED)
    gap = np.mean(np.square(DRIFTED[0].astype(float) - TRUTH[0]))
    assert report.endpoint_psnr_first == pytest.approx(10 * np.log10(255**2 / gap), abs=1e-4)
    found = steps(DRIFTED)
    assert report.seam_first == pytest.approx(found[0] / np.median(found), rel=1e-6)
    assert report.seam_last == pytest.approx(found[-1] / np.median(found), rel=1e-6)


def test_figures_of_plain_clips() -> None:
    levels = np.array([100, 110, 112, 114, 134], np.uint8)
    clip = np.broadcast_to(levels[:, None, None, None], (5, 4, 4, 3))
    _, report = anchor(clip, clip[0] + 5, clip[-1], "model")
    assert report.endpoint_psnr_first == pytest.approx(20 * np.log10(255 / 5))
    assert report.endpoint_psnr_last == float("inf")
    assert (report.seam_first, report.seam_last) == (10 / 6, 20 / 6)  # median of 10, 2, 2, 20
    _, report = anchor(clip[[0, 0, 0]], clip[0], clip[0], "exact")
    assert (report.seam_first, report.seam_last) == (1, 1)
    _, report = anchor(clip[[0, 0, 0, 4]], clip[0], clip[4], "exact")
    assert (report.seam_first, report.seam_last) == (1, float("inf"))  # 0 of 0, 20 of 0
    _, report = anchor(clip[:2], clip[0], clip[1], "exact")
    assert (report.seam_first, report.seam_last) == (1, 1)


def test_blend_spreads_what_still_differs_over_three_frames() -> None:
    """Detail the model lost (blur) comes back near the ends; far from them all is as in exact."""
    soft = scene()
    for axis in (1, 2):
        soft = (np.roll(soft, 3, axis) + np.roll(soft, -3, axis)) / 2
    frames = coded(soft * GAINS + OFFSETS)
    exact, hard = anchor(frames, TRUTH[0], TRUTH[-1], "exact")
    blend, gentle = anchor(frames, TRUTH[0], TRUTH[-1], "blend")
    assert np.array_equal(blend[0], TRUTH[0]) and np.array_equal(blend[-1], TRUTH[-1])
    assert np.array_equal(blend[4:-4], exact[4:-4])
    assert gentle.seam_first < hard.seam_first and gentle.seam_last < hard.seam_last
    for near in (slice(1, 4), slice(-4, -1)):
        assert error(blend, near) < 0.85 * error(exact, near)


@pytest.mark.parametrize("mode", ["exact", "blend"])
def test_alpha_is_never_corrected(mode: str) -> None:
    alpha = np.random.default_rng(6).integers(0, 256, (N, 96, 160, 1), dtype=np.uint8)
    frames, truth = np.concatenate([DRIFTED, alpha], -1), np.concatenate([TRUTH, alpha // 2], -1)
    held, _ = anchor(frames, truth[0], truth[-1], mode)
    assert np.array_equal(held[1:-1, ..., 3], alpha[1:-1, ..., 0])
    assert np.array_equal(held[0], truth[0])
    assert error(held[..., :3]) < 1.2


def test_what_is_transparent_has_no_say() -> None:
    alpha = np.zeros((N, 96, 160, 1), np.uint8)
    alpha[:, :, :100] = 255
    frames, truth = np.concatenate([DRIFTED, alpha], -1), np.concatenate([TRUTH, alpha], -1)
    frames[:, :, 100:, :3] = 255  # anything may lie under full transparency
    held, _ = anchor(frames, truth[0], truth[-1], "exact")
    seen = held[1:-1, :, :100, :3].astype(float) - TRUTH[1:-1, :, :100]
    assert np.sqrt(np.mean(np.square(seen))) < 1


def test_one_channel_and_float_code_values() -> None:
    grey = (scene() * 0.9 + 12)[..., :1].astype(np.float32)
    held, _ = anchor(grey, TRUTH[0, ..., :1], TRUTH[-1, ..., :1], "exact")
    assert held.dtype == np.uint8
    left = held[1:-1].astype(float) - TRUTH[1:-1, ..., :1]
    assert np.sqrt(np.mean(np.square(left))) < 0.3  # rounding once of each: near 0
    as_they_are, _ = anchor(grey, TRUTH[0, ..., :1], TRUTH[-1, ..., :1], "model")
    assert np.array_equal(as_they_are, np.round(grey).astype(np.uint8))


def test_the_given_frames_are_not_written_to() -> None:
    frames = DRIFTED.copy()
    frames.setflags(write=False)
    anchor(frames, TRUTH[0], TRUTH[-1], "blend")
    assert np.array_equal(frames, DRIFTED)


@pytest.mark.parametrize(
    ("frames", "mode", "says"),
    [
        (DRIFTED, "soft", "'soft'"),
        (DRIFTED[:1], "exact", r"\(1, 96, 160, 3\)"),
        (DRIFTED[0], "exact", r"\(96, 160, 3\)"),
        (DRIFTED[:, 1:], "exact", r"\(25, 95, 160, 3\)"),
    ],
)
def test_what_cannot_be_anchored(frames: Clip, mode: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        anchor(frames, TRUTH[0], TRUTH[-1], mode)
