"""Which kernels `make test-numerics` chooses; what it runs are the tests beside this one."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return run_path(str(ROOT / "scripts" / "check_numerics.py"))


@pytest.mark.parametrize(
    ("capability", "runs", "lacks"),
    [
        ("AVX512", ["default", "avx2", "avx512"], []),
        ("AVX2", ["default", "avx2"], ["avx512"]),
        ("DEFAULT", ["default"], ["avx2", "avx512"]),
        ("SVE256", ["default"], ["avx2", "avx512"]),  # another make of processor
    ],
)
def test_levels_that_a_processor_lacks_are_left_out(
    script: dict[str, Any], capability: str, runs: list[str], lacks: list[str]
) -> None:
    assert script["split"](capability) == (runs, lacks)


def test_what_torch_finds_is_not_what_the_environment_caps(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = script["best_capability"]()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert script["best_capability"]() == free


def test_the_numeric_tests_are_there(script: dict[str, Any]) -> None:
    assert all((ROOT / path).exists() for path in script["TESTS"])


def test_every_level_is_run_and_what_is_lacking_is_told(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of two runs that fails is named, and fails it all."""
    seen: list[tuple[str, ...]] = []

    def run(command: list[str], env: dict[str, str]) -> Any:
        names = ("ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        seen.append(tuple(env[name] for name in names))
        return type("Done", (), {"returncode": int(seen[-1] == ("default", "2", "2"))})

    scope = script["main"].__globals__
    monkeypatch.setitem(scope, "best_capability", lambda: "AVX2")
    monkeypatch.setattr(scope["subprocess"], "run", run)
    assert script["main"]([]) == 1
    assert seen == [(level, n, n) for level in ("default", "avx2") for n in ("1", "2")]
    told = capsys.readouterr().out.splitlines()
    assert told[-2:] == [
        "-- left out: avx512, which this processor (AVX2) lacks",
        "-- failed: ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=2",
    ]
