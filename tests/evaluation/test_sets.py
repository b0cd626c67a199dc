"""Scores of sets against the distances of all features at once."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import Random, clip

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.distances import frechet, mmd, mmd_of_centred
from vtg_cli.evaluation.inception_score import inception_score
from vtg_cli.evaluation.protocols.base import Distance, Pictures
from vtg_cli.evaluation.sets import Sets
from vtg_cli.evaluation.shots import place_of

FID = Distance("fid", "FID", "inception")
PICKS = Distance("picks", "FID", "inception", of="picks", repeats=3, real="inputs")
FVD = Distance("fvd", "FVD", "i3d", of="clips", clip=9, ddof=0)
KVD = Distance("kvd", "KVD", "i3d", "kernel", "clips")
CENTRED = Distance("centred", "KVD", "i3d", "centred kernel", "clips")
IS = Distance("is", "IS", "c3d", "inception", "clips", 16)
COUNT, FRAMES = 12, 17


@pytest.fixture(scope="module")
def sets() -> Sets:
    filled = Sets([FID, PICKS, FVD, KVD, CENTRED, IS], Random, seed=3)
    for i in range(COUNT):
        truth, groups = clip(FRAMES, i), ["", "even" if i % 2 == 0 else "odd"]
        filled.add_real(Pictures(truth[0], truth[-1], truth), f"case {i}", groups)
        filled.add_made("ours", clip(FRAMES, 100 + i), f"case {i}", groups)
    return filled


def clips(first: int) -> list[np.ndarray]:
    return [clip(FRAMES, first + i) for i in range(COUNT)]


def test_frames_stream_to_the_same_distance(sets: Sets) -> None:
    tower = Random("inception")
    made, real = (np.concatenate([tower(c) for c in clips(k)]) for k in (100, 0))
    found = sets.figures("ours", "")["fid"]
    assert found.value == pytest.approx(frechet(made, real), rel=1e-6)
    assert found.n == COUNT * FRAMES
    even = np.concatenate([tower(c) for c in clips(100)[::2]])
    expected = frechet(even, np.concatenate([tower(c) for c in clips(0)[::2]]))
    assert sets.figures("ours", "even")["fid"].value == pytest.approx(expected, rel=1e-6)


def test_clips_are_seen_at_one_place_each(sets: Sets) -> None:
    tower = Random("i3d")
    starts = [place_of(f"case {i}", 3) % (FRAMES - 8) for i in range(COUNT)]
    assert len({*starts}) > 1
    made, real = (
        np.concatenate([tower(c[None, s : s + 9]) for c, s in zip(clips(k), starts, strict=True)])
        for k in (100, 0)
    )
    found = sets.figures("ours", "")
    assert found["fvd"].value == pytest.approx(frechet(made, real, ddof=0), rel=1e-6)
    made, real = (np.concatenate([tower(c[None]) for c in clips(k)]) for k in (100, 0))
    assert found["kvd"].value == pytest.approx(mmd(made, real))
    assert found["centred"].value == pytest.approx(mmd_of_centred(made, real))


def test_the_inception_score_is_of_what_was_made(sets: Sets) -> None:
    tower = Random("c3d")
    starts = [place_of(f"case {i}", 3) % (FRAMES - 15) for i in range(COUNT)]
    labels = np.concatenate(
        [tower(c[None, s : s + 16]) for c, s in zip(clips(100), starts, strict=True)]
    )
    found = sets.figures("ours", "")["is"]
    assert (found.value, found.spread) == pytest.approx(inception_score(labels))
    assert "is" not in sets.figures("ours", "even")  # six clips make no ten splits


def test_picks_are_two_frames_a_clip_against_the_inputs(sets: Sets) -> None:
    tower, rng, values = Random("inception"), np.random.default_rng(3), []
    inputs = np.concatenate([tower(c[[0, -1]]) for c in clips(0)])
    made = [tower(c) for c in clips(100)]
    for _ in range(3):
        picked = np.concatenate([x[rng.choice(FRAMES, 2, replace=False)] for x in made])
        values.append(frechet(picked, inputs))
    found = sets.figures("ours", "")["picks"]
    assert (found.value, found.spread) == pytest.approx((np.mean(values), np.std(values)), rel=1e-6)
    assert found.n == 2 * COUNT


def test_a_clip_that_is_too_short_is_said() -> None:
    short = Sets([FVD], Random, seed=0)
    with pytest.raises(UsageError, match="FVD takes clips of 9 frames, not 5"):
        short.add_made("ours", clip(5, 0), "case", [""])
