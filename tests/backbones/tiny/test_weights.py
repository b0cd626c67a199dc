"""The embedded model's file: what is saved is what is loaded, at half precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vtg_cli.backbones import base
from vtg_cli.backbones.tiny.model import Tiny
from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.weights import load, save
from vtg_cli.errors import WeightsError
from vtg_cli.weights.layout import NETWORK

SMALL = Shape(width=32, depth=1, head=16, fine=8, middle=16)


def test_saved_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network(SMALL)
    save(dict(network.named_parameters()), SMALL, tmp_path)
    m = base.load(tmp_path, device="cpu")
    assert isinstance(m, Tiny) and m.network.shape == SMALL and base.spec_of(tmp_path) is m.spec
    for (name, mine), theirs in zip(
        network.named_parameters(), m.network.parameters(), strict=True
    ):
        assert torch.equal(mine.half().float(), theirs), name
    numbers = sum(p.numel() for p in network.parameters())
    assert (tmp_path / NETWORK).stat().st_size < 2 * numbers + 10_000


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / NETWORK
    with pytest.raises(WeightsError, match="cannot be read"):
        load(tmp_path)
    file.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        load(tmp_path)
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match="no network of the embedded kind"):
        load(tmp_path)
    save({"x": torch.zeros(1)}, SMALL, tmp_path)
    with pytest.raises(WeightsError, match=r"stem\.weight"):
        load(tmp_path, device="cpu")
