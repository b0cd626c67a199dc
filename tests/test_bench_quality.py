"""A small part of benchmarks/bench_quality.py: the confusion table of two scenes and flow."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from vtg_cli.quality.segment import THRESHOLDS

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
bench = import_module("bench_quality")


@pytest.fixture(scope="module")
def results() -> list[tuple[object, object]]:
    """Two scenes the thresholds were not chosen on, 54 cases, and what flow draws of them."""
    sources = [*bench.scenes(4, (96, 160))][2:]
    found = []
    for i, (name, clip) in enumerate(sources):
        other = sources[1 - i][1]
        cases = [*bench.made(name, clip, other, i), *bench.drawn(name, clip, other, [])]
        found += [(case, bench.judge(case.frames, case.times)) for case in cases]
    return found


def test_every_case_is_told(results: list[tuple[object, object]]) -> None:
    assert bench.table(results) == {
        "clean": {"clean": 20},
        "slideshow": {"slideshow": 8},
        "frozen": {"frozen": 8},
        "flicker": {"flicker": 8},
        "hard-cut": {"hard-cut": 8},
        "cross-fade": {"cross-fade": 6},
    }


def test_what_dissolves_or_rests_for_a_reason_is_noted(
    results: list[tuple[object, object]],
) -> None:
    notes = {(c.name, v.notes) for c, v in results if v.notes}  # type: ignore[attr-defined]
    assert notes == {
        ("dissolve of two scenes", ("dissolve",)),
        ("flow, unrelated", ("dissolve",)),
        ("one picture held", ("still",)),
    }


def test_thresholds_lie_between_the_clean_and_the_flawed(
    results: list[tuple[object, object]],
) -> None:
    for label, used in THRESHOLDS.items():
        clean, flawed, best = bench.separation(results, label)
        assert clean < used < flawed
        assert clean < best < flawed
