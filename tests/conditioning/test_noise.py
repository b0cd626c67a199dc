"""Noise between two ends: on the shell, in equal angles, with both ends kept."""

from __future__ import annotations

import math

import pytest
import torch
from rounding import rounding
from torch import Tensor

from vtg_cli.conditioning.noise import slerped

C, H, W = 4, 40, 64


def ends() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, last = (torch.randn(1, 1, C, H, W, generator=generator) for _ in range(2))
    return first, last


def test_every_frame_lies_on_the_shell() -> None:
    """Radius sqrt(C h w) = 101.2; one draw's norm is off by 0.7, the ends' included."""
    first, last = ends()
    noise = slerped(first, last, 16)
    assert noise.shape == (1, 16, C, H, W)
    norms = noise[0].flatten(1).norm(dim=1) / math.sqrt(C * H * W)
    assert float((norms - 1).abs().max()) < 0.01
    straight = float((first + last).norm()) / 2 / math.sqrt(C * H * W)
    assert straight == pytest.approx(math.sqrt(0.5), abs=0.02)


def test_the_ends_are_kept() -> None:
    first, last = ends()
    noise = slerped(first, last, 5)
    # a sine, a quotient, two products and a sum of values below 5
    assert torch.allclose(noise[:, :1], first, rtol=0, atol=rounding(8, 5))
    assert torch.allclose(noise[:, -1:], last, rtol=0, atol=rounding(8, 5))


def test_frames_are_equal_angles_apart() -> None:
    first, last = (x.double() for x in ends())
    rows = torch.nn.functional.normalize(slerped(first, last, 9)[0].flatten(1), dim=1)
    angles = torch.arccos((rows[1:] * rows[:-1]).sum(1))
    whole = float(torch.arccos(rows[0] @ rows[-1]))
    # the ends' norms differ by up to 1 %, which bends the parametrisation by as much at most
    assert angles.tolist() == pytest.approx([whole / 8] * 8, rel=0.02)


def test_the_same_noise_twice_is_that_noise_throughout() -> None:
    first, _ = ends()
    same = first.expand(1, 4, C, H, W)
    # the straight line from a value below 5 to itself
    assert torch.allclose(slerped(first, first, 4), same, rtol=0, atol=rounding(4, 5))


def test_one_frame_is_the_first() -> None:
    first, last = ends()
    assert torch.allclose(slerped(first, last, 1), first, rtol=0, atol=rounding(8, 5))
