"""Compiled blocks draw the frames that plain ones draw, under every override."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from vtg_cli.backbones import base
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import VtgError
from vtg_cli.job.sampling import Sampling
from vtg_cli.lowmem.compile import compiling
from vtg_cli.machine.hardware import lacks_compiler
from vtg_cli.methods import papers

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones" / "dynamicrafter"))
import tiny_models

FOLDER = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
GI = Sampling(method="gi", steps=2, renoise=0, guidance=(1.0, 3.0))


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    yield
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def svd() -> base.Backbone:
    return base.load(FOLDER, device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def keys() -> Keyframes:
    pictures = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Keyframes.ends(pictures[0], pictures[1], 4)


def graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def test_blocks_are_traced_with_the_overrides_of_the_method(
    svd: base.Backbone, keys: Keyframes
) -> None:
    """Without code generation, so to the bit: a trace that missed the rotation would draw trf."""
    plain, begun = papers.render(svd, keys, GI), graphs()
    with compiling(svd, backend="eager"):
        assert np.array_equal(papers.render(svd, keys, GI), plain)
    traced = graphs() - begun
    # each block once: both guidance terms and both steps run the same code
    assert traced == len(svd.modules("block"))
    assert all("forward" not in block.__dict__ for block in svd.modules("block"))


def test_reuse_and_compilation_go_together(svd: base.Backbone, keys: Keyframes) -> None:
    s = Sampling(method="trf", steps=3, renoise=0, guidance=(1.0, 1.0), reuse=2)
    plain = papers.render(svd, keys, s)
    with compiling(svd, backend="eager"):
        assert np.array_equal(papers.render(svd, keys, s), plain)


def test_a_compiler_that_breaks_is_said_in_one_line(svd: base.Backbone, keys: Keyframes) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler\nat all")

    with pytest.raises(VtgError) as refusal, compiling(svd, backend=broken):  # type: ignore[arg-type]
        papers.render(svd, keys, GI)
    assert refusal.value.message.startswith("torch.compile failed: ")
    assert "\n" not in refusal.value.message and refusal.value.hint == "leave --compile out"


@pytest.mark.parametrize(
    ("device", "system", "compiler", "expected"),
    [
        ("cpu", "linux", "", "a C++ compiler (g++)"),
        ("cpu", "darwin", "", "a C++ compiler (clang++)"),
        ("cpu", "win32", "", "a C++ compiler (cl)"),
        ("cpu", "linux", "nonesuch", "a C++ compiler (nonesuch)"),
        ("cpu", "linux", sys.executable, ""),
    ],
)
def test_what_is_lacking(
    device: str, system: str, compiler: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setenv("CXX", compiler)
    assert lacks_compiler(device, system) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, in its code generator
@pytest.mark.parametrize("which", ["svd", "crafter"])
def test_compiled_code_draws_the_same_frames(
    svd: base.Backbone, keys: Keyframes, which: str
) -> None:
    if lacks_compiler("cpu"):
        pytest.skip("no C++ compiler")
    m = {"svd": svd, "crafter": tiny_models.tiny()}[which]
    plain = papers.render(m, keys, GI).astype(int)
    compiled = papers.render(m, keys, GI, compiled=True).astype(int)
    # sums in another order: a value next to a half may round the other way
    assert np.abs(compiled - plain).max() <= 1
