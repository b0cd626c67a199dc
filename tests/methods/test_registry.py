"""Functions and rows of methods: neither without the other."""

from __future__ import annotations

import pytest

from vtg_cli.job.methods import METHODS
from vtg_cli.methods import aid, dynamicrafter, registry, svd, tvg
from vtg_cli.methods.registry import method, methods, overridden


def test_every_row_has_its_function() -> None:
    functions = {name: each.draw for name, each in methods().items()}
    assert set(functions) == set(METHODS)
    expected = [svd.gi, svd.trf, svd.i2v, dynamicrafter.dynamicrafter, tvg.tvg]
    expected += [aid.tei, aid.attention, aid.di]
    assert set(expected) <= set(functions.values())
    assert all(function.__name__ == name for name, function in functions.items())


def test_a_function_without_a_row_or_a_second_one_is_refused() -> None:
    with pytest.raises(LookupError, match=r"method unknown has no row in job/methods\.py"):
        method("unknown")(svd.i2v)
    with pytest.raises(LookupError, match="method gi has two functions"):
        method("gi")(svd.i2v)


def test_a_row_without_a_function_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {**METHODS, "unknown": METHODS["gi"], "other": METHODS["gi"]}
    monkeypatch.setattr(registry, "METHODS", rows)
    with pytest.raises(LookupError, match="no function is bound to method unknown, other"):
        methods.__wrapped__()


def test_what_some_method_overrides_is_undone_for_stills() -> None:
    kinds = ["block", "cross_attention", "spatial_attention", "temporal_attention"]
    assert overridden() == kinds
