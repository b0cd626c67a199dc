"""Intervals against scipy's, and against what the normal distribution says of many values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vtg_cli.evaluation.intervals import bootstrap, wilson


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (3, 10), (150, 200), (1, 1)])
def test_wilson_is_scipys(successes: int, trials: int) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    found = wilson(successes, trials)
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)


def test_nothing_is_known_without_a_trial() -> None:
    assert wilson(0, 0) == (0, 1)


def test_the_bootstrap_of_many_values_is_the_normal_interval() -> None:
    """Of 400 values; the quantile of 2,000 draws varies by 3 % of the standard error (4 sigma)."""
    values = np.random.default_rng(1).normal(5, 2, 400)
    error = values.std() / 20
    low, high = bootstrap(values, seed=0)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.25 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.25 * error)


def test_the_bootstrap_is_its_seeds() -> None:
    values = [1.0, 4.0, 2.0]
    assert bootstrap(values, 3) == bootstrap(values, 3)
    assert bootstrap([2.5], 0) == (2.5, 2.5)
