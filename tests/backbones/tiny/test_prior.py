"""The prior: the blend by closed forms, the spread by what it must grow with and by truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rounding import rounding
from torch import Tensor

from vtg_cli.backbones.tiny.guide import carry
from vtg_cli.backbones.tiny.prior import BELIEF, KNOWN, PARTS, UNKNOWN, believed, guide, spread
from vtg_cli.training.scenes import render_clip


def told(frames: int = 5) -> Tensor:
    concat = torch.rand(1, frames, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    concat[:, :, [3, 7]] = concat[:, :, [3, 7]].clamp(min=0.01)
    return concat


def test_the_guide_weighs_nearness_and_confidence() -> None:
    concat = told()
    g = guide(concat)
    ahead, a, back, b = torch.split(concat, PARTS, 2)
    assert float((g[:, 0] - ahead[:, 0]).abs().max()) < 1e-3  # a floor of 1e-6 over trust >= 0.01
    assert float((g[:, 4] - back[:, 4]).abs().max()) < 1e-3
    expected = (0.75 * a * ahead + 0.25 * b * back) / (0.75 * a + 0.25 * b)
    assert float((g[:, 1] - expected[:, 1]).abs().max()) < 1e-4


def test_less_is_believed_where_confidences_decide() -> None:
    concat, t = told(), torch.linspace(0, 1, 5)[:, None, None, None]
    change = torch.full((1, 5, 3, 6, 6), 0.1)
    for ratio, share in ((1.0, BELIEF[0]), (100.0, BELIEF[1]), (0.01, BELIEF[1])):
        concat[:, :, 3], concat[:, :, 7] = 0.1 * ratio**0.5, 0.1 * ratio**-0.5
        g = guide(concat, t)
        taken = believed(g + change, concat, t) - g
        # a difference of numbers of up to two, some ten roundings each
        assert float((taken - share * change).abs().max()) < rounding(20, 2)
    concat[:, :, 3], concat[:, :, 7] = 0.1 * float(np.exp(1.25)), 0.1  # in the middle of DECISIVE
    taken = believed(guide(concat) + change, concat, t) - guide(concat)
    assert float((taken - sum(BELIEF) / 2 * change).abs().max()) < rounding(20, 2)


def test_one_keyframe_alone_is_the_guide_at_every_time() -> None:
    concat = told()
    concat[:, :, 4:] = 0
    assert float((guide(concat) - concat[:, :, :3]).abs().max()) < 1e-5


def test_keyframes_are_known_and_nothing_is_not() -> None:
    r = spread(told())
    assert r.shape == (1, 5, 1, 6, 6)
    assert float((r[:, [0, 4]] - KNOWN).abs().max()) < rounding(8)
    assert float((spread(torch.zeros(1, 3, 8, 6, 6)) - UNKNOWN).abs().max()) == 0


def test_disagreement_and_doubt_spread() -> None:
    agree, differ = told(), told()
    agree[:, :, 4:7] = agree[:, :, :3]
    assert bool((spread(differ)[:, 1:-1] > spread(agree)[:, 1:-1]).all())
    assert float(spread(agree)[0, 2].max()) == pytest.approx(0.045, abs=1e-6)
    sure, unsure = told(), told()
    sure[:, :, 4:], unsure[:, :, 4:] = 0, 0
    sure[:, :, 3], unsure[:, :, 3] = 0.5, 0.1
    assert bool((spread(unsure)[:, 1:] > spread(sure)[:, 1:]).all())


def test_spread_is_the_error_of_the_guide_on_rendered_clips() -> None:
    """Mean square of error over spread is 1 where both are right; a few clips vary about that."""
    ratios = []
    for seed in range(3):
        clip = render_clip(seed, 4, (32, 32))
        at = carry(clip[0], clip[-1])
        every = [at(t) for t in (0, 1 / 3, 2 / 3, 1)]
        told = [
            np.dstack([c.ahead * 2 - 1, c.trust_ahead, c.back * 2 - 1, c.trust_back]) for c in every
        ]
        concat = torch.from_numpy(np.stack(told)).movedim(-1, 1)[None].float()
        truth = torch.from_numpy(clip).movedim(-1, 1)[None].float() / 127.5 - 1
        unit = (truth - guide(concat))[:, 1:-1] / spread(concat)[:, 1:-1]
        ratios.append(float(unit.square().mean()))
    assert 0.3 < np.mean(ratios) < 3


def test_nothing_is_believed_of_a_subject_that_was_replaced() -> None:
    """A scene that is found again everywhere but in one area: a wide one holds another subject, a
    narrow one is repaired as ever.
    """
    t = torch.linspace(0, 1, 3)[:, None, None, None]
    for side, share in ((30, 0.0), (6, BELIEF[0])):
        concat = torch.rand(1, 3, sum(PARTS), 40, 60, generator=torch.Generator().manual_seed(1))
        trusts = torch.ones(40, 60)
        trusts[5 : 5 + side, 15 : 15 + side] = 0.1
        concat[:, :, 3] = concat[:, :, 7] = trusts
        change = torch.full((1, 3, 3, 40, 60), 0.1)
        g = guide(concat, t)
        taken = (believed(g + change, concat, t) - g) / change
        lost = trusts < 0.2
        torch.testing.assert_close(taken[..., lost], torch.full_like(taken[..., lost], share))
        kept = torch.full_like(taken[..., ~lost], BELIEF[0])
        torch.testing.assert_close(taken[..., ~lost], kept)
