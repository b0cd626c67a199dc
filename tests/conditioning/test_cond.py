from __future__ import annotations

import pytest
import torch

from vtg_cli.conditioning.cond import Cond


def test_interleave_puts_conditions_innermost() -> None:
    a = Cond(image=torch.tensor([1.0, 2.0]).view(2, 1, 1, 1), motion=torch.tensor([[1.0], [2.0]]))
    b = a.map(lambda v: v + 10)
    both = Cond.interleave([a, b])
    assert both.image is not None and both.motion is not None
    assert both.image.flatten().tolist() == [1, 11, 2, 12]
    assert both.motion.flatten().tolist() == [1, 11, 2, 12]
    assert both.text is None
    assert (a.terms, both.terms) == (1, 2)
    second = both.map(lambda v: v + 0).term(1)
    assert second.image is not None and second.terms == 1
    assert second.image.flatten().tolist() == [11, 12]


def test_stack_refuses_different_kinds() -> None:
    with pytest.raises(ValueError, match="same kinds"):
        Cond.stack([Cond(image=torch.zeros(1, 1, 1, 1)), Cond()])


def test_reversed_flips_frames_only() -> None:
    cond = Cond(
        text=torch.arange(3.0).view(1, 3, 1, 1),
        image=torch.arange(2.0).view(1, 1, 2, 1),
        motion=torch.arange(3.0)[None],
    )
    back = cond.reversed()
    assert back.text is not None and back.image is not None and back.motion is not None
    assert back.text.flatten().tolist() == [2, 1, 0]
    assert back.image.flatten().tolist() == [0, 1]
    assert back.motion.flatten().tolist() == [0, 1, 2]
