from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from vtg_cli.conditioning import lora
from vtg_cli.conditioning.lora import Factors, mix_updates
from vtg_cli.errors import WeightsError
from vtg_cli.ground.hooks import overriding

D, RANK, F = 16, 4, 5

CPU = torch.device("cpu")


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


def test_folded_rows_are_told_apart_by_frame() -> None:
    layer = nn.Linear(D, D).double()
    update: dict[nn.Module, Factors] = {layer: (randn(0, RANK, D), randn(1, D, RANK))}
    ramp = torch.linspace(0, 1, F, dtype=torch.float64)
    h = randn(5, 4, F, 9, D)  # two directions of time with two conditions each
    each = torch.stack([ramp, ramp, ramp.flip(0), ramp.flip(0)])[:, :, None, None]
    expected = layer(h) + each * (h @ update[layer][0].T @ update[layer][1].T)
    both = torch.stack([ramp, ramp.flip(0)])
    with overriding([layer], mix_updates([update], [both])):
        assert torch.allclose(layer(h.flatten(0, 1)).view_as(h), expected, rtol=0, atol=1e-12)
        assert torch.allclose(layer(h), expected, rtol=0, atol=1e-12)
        shared = layer(h[:, :1])  # tokens of all frames become tokens of each
        assert shared.shape == h.shape
        with pytest.raises(ValueError, match="does not tell frames apart"):
            layer(h[:, 0])


def test_a_layer_works_in_its_own_precision() -> None:
    layer = nn.Linear(D, D).bfloat16()
    update: dict[nn.Module, Factors] = {layer: (randn(0, RANK, D), randn(1, D, RANK))}
    h = randn(5, F, 9, D).bfloat16()
    with overriding([layer], mix_updates([update, update], [0.5, torch.rand(F)])):
        assert layer(h).dtype == torch.bfloat16


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(D, D), nn.Linear(D, 2 * D))


def layers(net: nn.Module) -> dict[str, nn.Linear]:
    return {name: layer for name, layer in net.named_modules() if isinstance(layer, nn.Linear)}


def update_of(net: nn.Module) -> dict[nn.Module, Factors]:
    return {
        layer: (randn(0, RANK, layer.in_features), randn(1, layer.out_features, RANK))
        for layer in layers(net).values()
    }


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    net = network()
    update = update_of(net)
    lora.save(update, net, tmp_path / "one.safetensors")
    again = lora.load(tmp_path / "one.safetensors", layers(net), CPU)
    assert again.keys() == update.keys()
    for layer, factors in update.items():
        assert all(torch.equal(a, b) for a, b in zip(factors, again[layer], strict=True))


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    net, file = network(), tmp_path / "one.safetensors"
    with pytest.raises(WeightsError, match="cannot be read"):
        lora.load(file, layers(net), CPU)
    update = update_of(net)
    lora.save(update, net, file)
    with pytest.raises(WeightsError, match=r"other layers.*1\.lora_A"):
        lora.load(file, {"0": layers(net)["0"]}, CPU)
    other = nn.Sequential(nn.Linear(D, D), nn.Linear(D, D))
    with pytest.raises(WeightsError, match="does not fit this model: 1"):
        lora.load(file, layers(other), CPU)
    update[net[0]][0][0, 0] = torch.nan  # type: ignore[index]
    lora.save(update, net, file)
    with pytest.raises(WeightsError, match=r"damaged: 0\.lora_A\.weight holds values that are no"):
        lora.load(file, layers(net), CPU)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(WeightsError, match="cannot be read"):
        lora.load(file, layers(net), CPU)
