"""The rows of the methods, and what the rest of the package reads off them."""

from __future__ import annotations

from typing import get_args

from vtg_cli.job.keywords import OPTIONS
from vtg_cli.job.methods import METHODS, Method, default_method, differing, needing


def test_the_names_are_those_of_the_type() -> None:
    assert get_args(Method) == tuple(METHODS) == OPTIONS["method"].choices
    assert all(row.name == name for name, row in METHODS.items())


def test_help_tells_of_every_method() -> None:
    told = OPTIONS["method"].opt.help
    assert all(f" {name}: {row.help}." in told for name, row in METHODS.items())
    assert told.endswith("Default: gi if it can be, else trf.")
    assert OPTIONS["renoise"].opt.help.endswith("Default: 5 for gi, 1 for trf.")
    assert differing("steps") == (
        "50 for dynamicrafter, 50 for tei, 50 for attention, 50 for di, 10 for tvg"
    )


def test_the_default_is_the_first_that_can_be() -> None:
    assert (default_method(True), default_method(False)) == ("gi", "trf")
    assert (needing("reverse"), needing("captions")) == ("gi", "tei")


def test_any_solver_walks_what_neither_draws_noise_nor_inverts_it() -> None:
    assert {"gi", "trf", "i2v"} <= {name for name, row in METHODS.items() if row.any_solver}
    assert not any(METHODS[name].any_solver for name in ("dynamicrafter", "tvg", "di"))
    assert all(METHODS[name].directions == 1 for name in ("i2v", "dynamicrafter", "attention"))
