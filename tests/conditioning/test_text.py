"""Captions per frame: the great circle, its ends, and more than two of them."""

from __future__ import annotations

import math

import pytest
import torch
from rounding import rounding

from vtg_cli.conditioning.text import (
    between,
    held_text,
    keyframe_weights,
    per_frame_text,
    straight_text,
    text_curve,
)
from vtg_cli.errors import UsageError
from vtg_cli.job.easing import easing

L, D = 5, 8


def embedding(seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(1, L, D, generator=torch.Generator().manual_seed(seed)).to(dtype)


def test_linear_is_n_over_the_last() -> None:
    assert text_curve("linear", 5).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert text_curve("linear", 1).tolist() == [0.0]


def test_hold_is_that_of_tvg() -> None:
    curve = text_curve("hold", 16)
    expected = [0.1 + 0.8 * n / 15 for n in range(16)]
    assert curve.tolist() == pytest.approx(expected, abs=rounding(2))


@pytest.mark.parametrize("name", ["ease-in-out", "ease", "cubic-bezier(0.3,0,0.7,1)"])
def test_css_curves_are_those_of_time(name: str) -> None:
    curve = text_curve(name, 9)
    assert curve.tolist() == pytest.approx([easing(name)(n / 8) for n in range(9)], abs=rounding(2))
    assert curve[0] == 0 and curve[-1] == 1 and bool((curve.diff() > 0).all())


def test_values_of_ones_own() -> None:
    assert text_curve([0.0, 0.2, 1.0], 3).tolist() == pytest.approx([0.0, 0.2, 1.0])
    with pytest.raises(ValueError, match="3 frames"):
        text_curve([0.0, 1.0], 3)
    for wrong in (1.5, -0.1, math.nan):
        with pytest.raises(ValueError, match="lie in"):
            text_curve([0.0, wrong, 1.0], 3)


def test_a_wrong_name_is_told_under_its_option() -> None:
    with pytest.raises(UsageError, match="--text-curve wobbly") as failure:
        text_curve("wobbly", 3)
    assert "hold" in failure.value.hint


def test_two_orthogonal_captions_turn_into_each_other_on_a_circle() -> None:
    first, last = torch.zeros(1, L, D), torch.zeros(1, L, D)
    first[0, 0, 0] = last[0, 3, 4] = 2.0
    told = per_frame_text(first, last, text_curve("linear", 7))
    assert told.shape == (1, 7, L, D)
    for n in range(7):
        angle = n / 6 * math.pi / 2  # of a share, a product, a sine of it, a quotient
        assert float(told[0, n, 0, 0]) == pytest.approx(2 * math.cos(angle), abs=rounding(8, 2))
        assert float(told[0, n, 3, 4]) == pytest.approx(2 * math.sin(angle), abs=rounding(8, 2))


def test_equal_norms_stay_and_angles_are_even() -> None:
    first, last = embedding(0), embedding(1)
    last = last * (first.norm() / last.norm())
    told = per_frame_text(first, last, text_curve("linear", 9))[0].flatten(1).double()
    norms = told.norm(dim=1)
    assert float((norms / norms[0] - 1).abs().max()) < rounding(16)  # both factors, eight each
    steps = torch.arccos((told[1:] * told[:-1]).sum(1) / norms[0] ** 2)
    # an angle of pi / 16 from its cosine, which is off as the norms are, over its sine
    assert float((steps - steps.mean()).abs().max()) < rounding(32) / math.sin(math.pi / 16)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_ends_are_bit_for_bit(dtype: torch.dtype) -> None:
    first, last = embedding(0, dtype), embedding(1, dtype)
    told = per_frame_text(first, last, text_curve("linear", 4))
    assert told.dtype == dtype
    assert torch.equal(told[:, 0], first) and torch.equal(told[:, -1], last)


def test_one_caption_for_both_ends_stays_the_same() -> None:
    first = embedding(0)
    told = per_frame_text(first, first.clone(), text_curve("linear", 4))
    assert torch.equal(told[0], first.expand(4, L, D))


def test_three_captions_are_two_stretches_exact_at_keyframes() -> None:
    captions = torch.cat([embedding(seed) for seed in range(3)])
    told = between(captions, (0, 2, 6), 7)
    for k, position in enumerate((0, 2, 6)):
        assert torch.equal(told[0, position], captions[k])
    one = per_frame_text(captions[:1], captions[1:2], text_curve("linear", 3))
    two = per_frame_text(captions[1:2], captions[2:], text_curve("linear", 5))
    assert torch.equal(told, torch.cat([one, two[:, 1:]], 1))


def test_outside_the_keyframes_the_nearest_caption_holds() -> None:
    captions = torch.cat([embedding(seed) for seed in range(2)])
    told = between(captions, (2, 4), 7)
    assert torch.equal(told[0, :3], captions[:1].expand(3, L, D))
    assert torch.equal(told[0, 4:], captions[1:].expand(3, L, D))
    assert torch.equal(between(captions[:1], (3,), 5), captions[:1].expand(1, 5, L, D))


def test_hold_keeps_its_ends_but_not_in_the_middle() -> None:
    captions = torch.cat([embedding(seed) for seed in range(3)])
    told = between(captions, (0, 3, 6), 7, "hold")
    assert torch.equal(told[0, 3], captions[1])
    expected = per_frame_text(captions[:1], captions[1:2], text_curve("hold", 4))
    assert torch.equal(told[:, :3], expected[:, :3])
    assert torch.equal(
        between(captions[:2], (0, 3), 4, "hold"), expected
    )  # two captions: as TVG has it


def test_keyframe_weights_are_the_shares_of_the_captions() -> None:
    weights = keyframe_weights((0, 2, 6), 7)
    assert torch.equal(weights.sum(0), torch.ones(7))
    assert weights[0].tolist() == [1.0, 0.5, 0, 0, 0, 0, 0]
    assert weights[1].tolist() == [0, 0.5, 1.0, 0.75, 0.5, 0.25, 0]
    assert torch.equal(keyframe_weights((3,), 5), torch.ones(1, 5))
    values = torch.tensor([0.0, 0.3, 0.9, 1.0])
    assert torch.equal(keyframe_weights((0, 3), 4, values)[1], values)


def test_what_does_not_fit_together_is_refused() -> None:
    captions = torch.cat([embedding(0), embedding(1)])
    with pytest.raises(ValueError, match="3 keyframes"):
        between(captions, (0, 1, 2), 3)
    with pytest.raises(ValueError, match="increase"):
        between(captions, (2, 0), 3)
    with pytest.raises(ValueError, match=r"0\.\.2"):
        between(captions, (0, 3), 3)


def test_the_straight_line_between_two_captions() -> None:
    first, last, shares = embedding(0), embedding(1), text_curve("ease-in", 6)
    told = straight_text(first, last, shares)
    assert told.shape == (1, 6, L, D)
    for n, w in enumerate(shares.tolist()):
        # w times a number below 5, added to another, in float32
        wanted = (1 - w) * first[0] + w * last[0]
        assert torch.allclose(told[0, n], wanted, rtol=0, atol=rounding(8, 5))
    assert torch.equal(told[0, 0], first[0]) and torch.equal(told[0, -1], last[0])


def test_held_text_never_tells_a_caption_alone() -> None:
    first, last = embedding(0), embedding(1)
    told = held_text(first, last, text_curve("linear", 16))
    expected = per_frame_text(first, last, text_curve("hold", 16))
    # the same shares by two ways of counting, in float32
    assert torch.allclose(told, expected, rtol=0, atol=rounding(32, 5))
