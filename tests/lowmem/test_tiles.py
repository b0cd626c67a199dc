"""Tiles of latents against the whole, with decoders whose answer is known."""

from __future__ import annotations

import pytest
import torch
from rounding import rounding
from torch import Tensor
from torch.nn.functional import interpolate

from vtg_cli.conditioning.cond import Cond
from vtg_cli.ground.windows import spans, starts
from vtg_cli.lowmem.tiles import in_tiles, in_windows


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


@pytest.mark.parametrize("length", [1, 8, 9, 14, 15, 31])
def test_weights_sum_to_one_at_every_place(length: int) -> None:
    total = torch.zeros(length)
    for place, weight in spans(length, 8):
        assert bool((weight > 0).all())
        total[place] += weight
    torch.testing.assert_close(total, torch.ones(length), atol=rounding(4), rtol=0)


def test_the_weights_of_two_parts_are_ramps() -> None:
    """Eight places each, two of them shared, at a quarter and three quarters of the way."""
    (first, falling), (second, rising) = spans(14, 8)
    assert (first, second) == (slice(0, 8), slice(6, 14))
    assert falling.tolist() == [1, 1, 1, 1, 1, 1, 0.75, 0.25]
    assert rising.tolist() == [0.25, 0.75, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(("tall", "wide"), [(7, 8), (8, 21), (13, 20)])
def test_windows_of_what_looks_nowhere_else_give_the_whole(tall: int, wide: int) -> None:
    """All that lies beside the latents in space is cut with them, and nothing else is."""
    generator = torch.Generator().manual_seed(0)
    x, concat, known = torch.randn(3, 2, 3, 4, tall, wide, generator=generator).unbind()
    mask = torch.rand(2, 3, 1, 1, 1, generator=generator)
    cond = Cond(concat=concat, known=known, mask=mask, image=torch.randn(2, 3, 5, 8))
    calls = []

    def denoise(x: Tensor, told: Cond) -> Tensor:
        assert told.concat is not None and told.known is not None and told.mask is not None
        assert told.image is cond.image
        calls.append(tuple(x.shape[-2:]))
        return torch.tanh(x + told.concat.flip(1)) * told.mask + told.known

    expected = denoise(x, cond)
    # a weighted mean of up to four equal numbers below 6, tanh among what they are made of
    atol = rounding(16, 6)
    torch.testing.assert_close(in_windows(denoise, x, cond, 8), expected, atol=atol, rtol=0)
    assert set(calls[1:]) == {(min(tall, 8), min(wide, 8))}
    assert len(calls) - 1 == len(spans(tall, 8)) * len(spans(wide, 8))


def test_one_window_is_the_whole_itself() -> None:
    x, cond = torch.randn(1, 2, 4, 8, 8), Cond()
    seen = []
    in_windows(lambda x, told: seen.append((x, told)) or x, x, cond, 8)
    assert seen == [(x, cond)]


@pytest.mark.parametrize(("tall", "wide"), [(7, 8), (8, 21), (13, 20), (31, 9)])
def test_a_decoder_that_looks_nowhere_else_gives_the_whole(tall: int, wide: int) -> None:
    z = torch.randn(1, 2, 4, tall, wide, generator=torch.Generator().manual_seed(0))
    # a weighted mean of up to four equal numbers below 5 in float32
    atol = rounding(12, 5)
    torch.testing.assert_close(in_tiles(enlarged, z, 8), enlarged(z), atol=atol, rtol=0)


def test_tiles_that_disagree_are_blended_without_a_seam() -> None:
    """Each tile answers with its own number; between two the picture is a ramp of the overlap."""
    numbers = iter([0.0, 1.0])

    def own(z: Tensor) -> Tensor:
        return torch.full((1, 1, 3, 4 * z.shape[-2], 4 * z.shape[-1]), next(numbers))

    row = in_tiles(own, torch.zeros(1, 1, 4, 4, 14), 8)[0, 0, 0, 0]
    ramp = (torch.arange(8) + 0.5) / 8  # two latents, eight pixels
    expected = torch.cat([torch.zeros(24), ramp, torch.ones(24)])
    torch.testing.assert_close(row, expected, atol=rounding(8), rtol=0)
