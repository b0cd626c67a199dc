from __future__ import annotations

import pytest
import torch
from torch import nn

from vtg_cli.ground.hooks import overriding, recording


def test_overrides_nest_and_leave_nothing_behind() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 3.0)
    layer.requires_grad_(False)
    x = torch.ones(1, 1)
    with overriding([layer], lambda m, f, h: f(h) + 10):
        with overriding([layer], lambda m, f, h: f(h) * 2):
            assert (
                float(layer(x)) == 26
            )  # (3 + 10) * 2: the last opened runs first and calls the others
        assert float(layer(x)) == 13
    assert float(layer(x)) == 3
    assert "forward" not in layer.__dict__


def test_an_exception_removes_the_override() -> None:
    layer = nn.Identity()
    with pytest.raises(RuntimeError), overriding([layer], lambda m, f, h: -f(h)):
        assert float(layer(torch.ones(()))) == -1
        raise RuntimeError
    assert float(layer(torch.ones(()))) == 1


def test_recording_keeps_the_order_of_calls() -> None:
    layers = nn.Sequential(nn.Identity(), nn.ReLU())
    with recording(layers) as outputs:
        layers(torch.tensor(-2.0))
    assert [float(o) for o in outputs] == [-2.0, 0.0]
