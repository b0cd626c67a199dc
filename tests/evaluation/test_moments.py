"""Moments of streams: however they are cut, the covariance of all at once."""

from __future__ import annotations

import numpy as np
import pytest

from vtg_cli.evaluation.moments import Moments


@pytest.mark.parametrize("cut", [1, 7, 64, 1000])
def test_batches_join_to_the_whole(cut: int) -> None:
    # far from 0: sums of squares would lose 8 of 16 digits
    features = 1e4 + np.random.default_rng(0).normal(0, 1, (300, 12)).astype(np.float32)
    moments = Moments.empty(12)
    for start in range(0, 300, cut):
        moments.update(features[start : start + cut])
    wide = features.astype(np.float64)
    assert moments.count == 300
    np.testing.assert_allclose(moments.mean, wide.mean(0), rtol=1e-14)
    for ddof in (0, 1):
        expected = np.cov(wide, rowvar=False, ddof=ddof)
        # 300 sums of values near 1 whose inputs carry eps of 1e4
        np.testing.assert_allclose(moments.covariance(ddof), expected, atol=300 * 1e4 * 2.3e-16)


def test_processes_merge() -> None:
    features = np.random.default_rng(1).normal(0, 1, (40, 5))
    whole, first, second = Moments.of(features), Moments.of(features[:13]), Moments.empty(5)
    second.update(features[13:])
    first.merge(second)
    first.merge(Moments.empty(5))
    np.testing.assert_allclose(first.scatter, whole.scatter, atol=1e-12)
    assert first.count == whole.count


def test_nothing_is_added_by_nothing() -> None:
    moments = Moments.empty(3)
    moments.update(np.zeros((0, 3)))
    assert moments.count == 0
