from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp

from vtg_cli.ground.tensor import framewise, slerp


def test_slerp_against_scipy() -> None:
    """Quaternions are unit vectors in 4-D; scipy's Slerp walks the same great circle (for acute
    angles).
    """
    a, b = np.array([0.1, 0.2, 0.3, 0.9]), np.array([0.4, -0.1, 0.2, 0.8])
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    w = np.linspace(0, 1, 7)
    expected = Slerp([0, 1], Rotation.from_quat([a, b]))(w).as_quat()
    expected *= np.sign(expected @ a)[:, None]
    got = slerp(torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(w)).numpy()
    assert np.abs(got - expected).max() < 1e-12


def test_slerp_keeps_norms_of_gaussian_noise_and_falls_back_to_a_line() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(4, 32, 32, generator=generator) for _ in range(2))
    norms = slerp(a, b, torch.linspace(0, 1, 9)).flatten(1).norm(dim=1)
    # two independent draws of 4096 numbers: norms 64 within a few per cent; a lerp's middle would
    # be 45
    assert float((norms - 64).abs().max()) < 2
    line = slerp(a, 2 * a, torch.tensor([0.5]))
    assert torch.allclose(line[0], 1.5 * a)


def test_framewise_broadcasts_over_latents() -> None:
    assert framewise(torch.arange(3.0)).shape == (1, 3, 1, 1, 1)
