"""Tiles of latents against the whole, with decoders whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from vtg_cli.backbones.tiles import in_tiles, starts


def enlarged(z: Tensor) -> Tensor:
    """A decoder that sees one latent at a time: three channels, four times the size."""
    flat = interpolate(z.flatten(0, 1)[:, :3], scale_factor=4)
    return torch.unflatten(flat, 0, z.shape[:2])


@pytest.mark.parametrize(
    ("length", "expected"),
    [(5, [0]), (8, [0]), (9, [0, 1]), (14, [0, 6]), (20, [0, 6, 12]), (21, [0, 6, 12, 13])],
)
def test_tiles_cover_the_length_and_overlap(length: int, expected: list[int]) -> None:
    assert starts(length, 8, 2) == expected


@pytest.mark.parametrize(("tall", "wide"), [(7, 8), (8, 21), (13, 20), (31, 9)])
def test_a_decoder_that_looks_nowhere_else_gives_the_whole(tall: int, wide: int) -> None:
    z = torch.randn(1, 2, 4, tall, wide, generator=torch.Generator().manual_seed(0))
    # a weighted mean of equal numbers in float32
    torch.testing.assert_close(in_tiles(enlarged, z, 8, 2), enlarged(z), atol=1e-6, rtol=0)


def test_tiles_that_disagree_are_blended_without_a_seam() -> None:
    """Each tile answers with its own number; between two the picture is a ramp of the overlap."""
    numbers = iter([0.0, 1.0])

    def own(z: Tensor) -> Tensor:
        return torch.full((1, 1, 3, 4 * z.shape[-2], 4 * z.shape[-1]), next(numbers))

    row = in_tiles(own, torch.zeros(1, 1, 4, 4, 14), 8, 2)[0, 0, 0, 0]
    ramp = (torch.arange(8) + 0.5) / 8  # two latents, eight pixels
    expected = torch.cat([torch.zeros(24), ramp, torch.ones(24)])
    torch.testing.assert_close(row, expected, atol=1e-6, rtol=0)
