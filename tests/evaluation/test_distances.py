"""Distances of sets against the recordings, closed forms and SciPy's root of a matrix."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from published import CASES, sets
from scipy.linalg import sqrtm

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.distances import (
    frechet,
    frechet_of_moments,
    kid,
    mmd,
    mmd_of_centred,
)
from vtg_cli.evaluation.moments import Moments

SETS = [pytest.param(*each[1:], id=f"{case}-{each[0]}") for case in CASES for each in sets(case)]
Features = NDArray[np.float32]


def test_there_are_recordings() -> None:
    assert SETS


@pytest.mark.parity
@pytest.mark.parametrize(("recorded", "fake", "real"), SETS)
def test_frechet_is_that_of_each_published_code(
    recorded: dict[str, dict[str, float]], fake: Features, real: Features
) -> None:
    moments = Moments.of(fake), Moments.of(real)
    for key, ddof in (("frechet_unbiased_cov", 1), ("frechet_biased_cov", 0)):
        found = frechet(fake, real, ddof)
        assert frechet_of_moments(*moments, ddof) == pytest.approx(found, rel=1e-7)
        for code, value in recorded[key].items():
            # covariances in float32 lose half their digits
            gate = 1e-4 if "seer_float32" in code else 1e-6
            assert found == pytest.approx(value, rel=gate), code


@pytest.mark.parity
@pytest.mark.parametrize(("recorded", "fake", "real"), SETS)
def test_kernel_distance_is_that_of_each_published_code(
    recorded: dict[str, dict[str, float]], fake: Features, real: Features
) -> None:
    kvd = recorded["kvd"]
    assert mmd(fake, real) == pytest.approx(kvd["unbiased_poly_fresh_features"], rel=1e-5)
    centred = kvd["as_seer_eval_runs_it_after_frechet_features_centred_in_place"]
    assert mmd_of_centred(fake, real) == pytest.approx(centred, rel=1e-5)
    of_first = recorded["kid_all_of_first_min_samples"]
    n = int(of_first["n"])
    found = mmd(fake[:n], real[:n])
    assert 1000 * found == pytest.approx(of_first["stylegan_v_times_1000"], rel=1e-5)
    assert found == pytest.approx(of_first["torchmetrics_unbiased"], rel=1e-5)


def samples(seed: int, n: int, d: int, shift: float = 0.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, (n, d)) @ rng.normal(0, 1, (d, d))


@pytest.mark.parametrize("n", [9, 200])  # without and with full rank
def test_frechet_agrees_with_the_root_of_the_product(n: int) -> None:
    a, b = samples(0, 220, 16), samples(1, n, 16, shift=0.5)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(s @ t).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-7)
    assert frechet_of_moments(Moments.of(a), Moments.of(b)) == pytest.approx(expected, rel=1e-7)


def test_frechet_of_one_dimension_is_the_closed_form() -> None:
    a, b = np.array([[0.0], [2.0], [4.0]]), np.array([[10.0], [11.0]])
    expected = (10.5 - 2) ** 2 + (np.std(a) - np.std(b)) ** 2
    assert frechet(a, b, ddof=0) == pytest.approx(expected, rel=1e-12)


def test_a_set_has_no_distance_to_itself_and_a_shift_is_its_square() -> None:
    a = samples(2, 50, 8)
    scale = float(np.trace(np.cov(a, rowvar=False)))
    assert abs(frechet(a, a)) < 1e-12 * scale
    assert frechet(a, a + 3) == pytest.approx(8 * 9, abs=1e-12 * scale)
    assert mmd_of_centred(a, a + 3) == pytest.approx(mmd_of_centred(a, a))


def test_kernel_distance_is_the_double_sum() -> None:
    a, b = samples(3, 6, 4), samples(4, 5, 4, shift=1)

    def k(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float((x @ y / 4 + 1) ** 3)

    aa = [k(a[i], a[j]) for i in range(6) for j in range(6) if i != j]
    bb = [k(b[i], b[j]) for i in range(5) for j in range(5) if i != j]
    ab = [k(x, y) for x in a for y in b]
    assert mmd(a, b) == pytest.approx(np.mean(aa) + np.mean(bb) - 2 * np.mean(ab), rel=1e-12)


def test_kid_of_whole_sets_is_the_kernel_distance() -> None:
    a, b = samples(3, 12, 4), samples(4, 12, 4, shift=1)
    mean, deviation = kid(a, b, np.random.default_rng(0), subsets=3)
    assert mean == pytest.approx(mmd(a, b), rel=1e-12)
    assert deviation == pytest.approx(0, abs=1e-12 * abs(mean))
    first = kid(a, b, np.random.default_rng(0), subsets=5, size=6)
    assert first == kid(a, b, np.random.default_rng(0), subsets=5, size=6)
    assert first[1] > 0


@pytest.mark.parametrize("distance", [frechet, mmd])
def test_one_feature_is_not_enough(distance: object) -> None:
    assert callable(distance)
    with pytest.raises(UsageError, match="means nothing"):
        distance(np.zeros((1, 4)), np.zeros((5, 4)))


def test_widths_must_agree() -> None:
    with pytest.raises(UsageError, match="4 and 5"):
        frechet_of_moments(Moments.of(np.zeros((3, 4))), Moments.of(np.zeros((3, 5))))
