"""Textures: their spectrum, their range, and that benchmarks see none of training's."""

from __future__ import annotations

import numpy as np
import pytest

from vtg_cli.training import textures


@pytest.mark.parametrize("beta", [0.8, 1.5])
def test_noise_has_the_spectrum_it_is_named_for(beta: float) -> None:
    field = textures.power_noise(np.random.default_rng(0), 256, beta)[..., 0]
    amplitude = np.abs(np.fft.fft2(field))
    f = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    band = (f > 0.02) & (f < 0.4)
    slope = np.polyfit(np.log(f[band]), np.log(amplitude[band]), 1)[0]
    # 30 thousand Rayleigh amplitudes: the fit's own deviation is below 0.01
    assert slope == pytest.approx(-beta, abs=0.03)
    assert abs(field.mean()) < 1e-5 and field.std() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("name", [*textures.TRAINING, *textures.HELD_OUT])
def test_textures_are_pictures_that_follow_their_seed(name: str) -> None:
    make = (textures.TRAINING | textures.HELD_OUT)[name]
    one, two, other = (make(np.random.default_rng(seed), 40) for seed in (1, 1, 2))
    assert one.shape == (40, 40, 3) and one.dtype == np.float32
    assert one.min() >= 0 and one.max() <= 1 and one.std() > 0.01
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_training_and_benchmarks_share_no_texture() -> None:
    shared = set(textures.TRAINING.values()) & set(textures.HELD_OUT.values())
    assert not shared and not set(textures.TRAINING) & set(textures.HELD_OUT)
