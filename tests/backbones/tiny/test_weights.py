"""The embedded model's file: what is saved is what is loaded, at half precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.weights import load, save
from vtg_cli.errors import WeightsError

SMALL = Shape(width=32, depth=1, head=16, fine=8)


def test_saved_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network(SMALL)
    save(dict(network.named_parameters()), SMALL, tmp_path / "tiny.safetensors")
    m = load(tmp_path / "tiny.safetensors", device="cpu", frames=9)
    assert m.network.shape == SMALL and m.spec.frames == 9
    for (name, mine), theirs in zip(
        network.named_parameters(), m.network.parameters(), strict=True
    ):
        assert torch.equal(mine.half().float(), theirs), name
    numbers = sum(p.numel() for p in network.parameters())
    assert (tmp_path / "tiny.safetensors").stat().st_size < 2 * numbers + 10_000


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    with pytest.raises(WeightsError, match="cannot be read"):
        load(file)
    file.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        load(file)
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match="holds no embedded model"):
        load(file)
    save({"x": torch.zeros(1)}, SMALL, file)
    with pytest.raises(WeightsError, match=r"stem\.weight"):
        load(file, device="cpu")
