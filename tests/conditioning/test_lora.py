from __future__ import annotations

import torch
from torch import nn

from vtg_cli.conditioning.lora import mix_updates
from vtg_cli.hooks import overriding

D, RANK, F = 16, 4, 5


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_mixing_acts_on_updates_and_may_differ_per_frame() -> None:
    layer = nn.Linear(D, D).double()
    factors = [(randn(i, RANK, D), randn(10 + i, D, RANK)) for i in range(2)]
    ramp = torch.linspace(0, 1, F, dtype=torch.float64)
    weights = [(1 - ramp)[None, :, None, None], ramp[None, :, None, None]]
    h = randn(5, 2, F, 9, D)
    with torch.no_grad():
        with overriding([layer], mix_updates([{layer: f} for f in factors], weights)):
            got = layer(h)
        for frame in range(F):
            merged = layer.weight + sum(
                float(w[0, frame]) * b @ a for w, (a, b) in zip(weights, factors, strict=True)
            )
            expected = h[:, frame] @ merged.T + layer.bias
            assert torch.allclose(got[:, frame], expected, rtol=0, atol=1e-12)


def test_mixing_factors_would_be_another_matrix() -> None:
    (a1, b1), (a2, b2) = ((randn(i, RANK, D), randn(10 + i, D, RANK)) for i in range(2))
    updates = (b1 @ a1 + b2 @ a2) / 2
    factors = (b1 + b2) / 2 @ ((a1 + a2) / 2)
    assert float((factors - updates).norm() / updates.norm()) > 0.3
