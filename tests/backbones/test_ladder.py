"""The ladder under memory that runs out where a test says: the same frames as at the rung it ends.

The harness is an override that counts the calls of a module and raises what a device would.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vtg_cli import methods
from vtg_cli.backbones import base
from vtg_cli.backbones.ladder import Ladder
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import Interrupted
from vtg_cli.hooks import overriding
from vtg_cli.rungs import RUNGS, OutOfRungsError
from vtg_cli.sampling.settings import Sampling

sys.path.insert(0, str(Path(__file__).parent / "dynamicrafter"))
from tiny_models import FRAMES, HEIGHT, WIDTH, tiny

CPU = torch.device("cpu")
SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
NAMES = tuple(rung.name for rung in RUNGS)
STEPS = 2
SAME = 1
"""Of 255, between rungs with weights of full precision: their latents differ by 1.3e-6 (SVD's
network of the recordings) and 4e-7 (DynamiCrafter's), which turns a rounding here and there."""
NARROW = 8
"""Of 255, between weights in 8 bits and the same in full, under DynamiCrafter's decoder, after some
of the steps were made with either: 3 of 255 were seen for all of the steps."""


@cache
def loaded(kind: str) -> Any:
    return base.load(SVD, device="cpu", dtype="fp32") if kind == "svd" else tiny()


def svd() -> Any:
    return deepcopy(loaded("svd"))


def dynamicrafter() -> Any:
    return deepcopy(loaded("dynamicrafter"))


def keys_of(m: Any) -> Keyframes:
    height, width = (HEIGHT, WIDTH) if m.spec.frames == FRAMES else (32, 48)
    generator = torch.Generator().manual_seed(5)
    first, last = torch.rand(2, 3, height, width, generator=generator) * 2 - 1
    return Keyframes.ends(first, last, m.spec.frames)


@pytest.fixture(autouse=True)
def batched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: guidance terms reach the backbone in one batch."""
    monkeypatch.setattr(methods, "term_by_term", lambda m: False)
    # with all the libraries loaded it takes a third of a second, and there is nothing to find
    monkeypatch.setattr("vtg_cli.backbones.ladder.gc.collect", lambda: 0)


@contextmanager
def running_out(module: nn.Module, calls: Sequence[int]) -> Iterator[list[int]]:
    """Memory runs out at the calls of these numbers, from 1 on. The list grows by the rows of every
    call.
    """
    rows: list[int] = []

    def counted(_: nn.Module, forward: Callable[..., Any], x: Tensor, *args: Any, **kw: Any) -> Any:
        rows.append(len(x))
        if len(rows) in calls:
            raise torch.OutOfMemoryError(f"injected at call {len(rows)}")
        return forward(x, *args, **kw)

    with overriding([module], counted):
        yield rows


def place(m: Any, name: str) -> nn.Module:
    parts = m.parts()
    codec = parts.get("vae", parts.get("autoencoder"))
    found: dict[str, nn.Module] = {
        "step": m.network,
        "decode": codec.decoder,
        "encode": codec.encoder,
    }
    return found[name]


def drawn(
    make: Callable[..., Any],
    first: str,
    fails: tuple[str, tuple[int, ...]] = ("step", ()),
    only: bool = False,
    **options: Any,
) -> tuple[NDArray[np.uint8], Ladder, list[int]]:
    """Frames, the ladder that drew them and the rows of the calls that were watched."""
    m = make()
    rungs = RUNGS[NAMES.index(first) :][: 1 if only else None]
    ladder: Any = Ladder(m, rungs, CPU, **options)
    ladder.directions = 2
    with running_out(place(m, fails[0]), fails[1]) as rows:
        asked = Sampling(method="trf", steps=STEPS, renoise=0, seed=1)
        frames = methods.render(ladder, keys_of(m), asked)
    return frames, ladder, rows


@cache
def undisturbed(make: Callable[..., Any], rung: str) -> NDArray[np.int64]:
    return drawn(make, rung, only=True)[0].astype(np.int64)


def differ(a: NDArray[np.uint8], b: NDArray[np.int64]) -> int:
    return int(np.abs(a.astype(np.int64) - b).max())


CASES = [(dynamicrafter, last, at) for last in NAMES[1:] for at in ("step", "decode", "encode")]
CASES += [(svd, last, at) for last in ("chunked", "sequential") for at in ("step", "decode")]


@pytest.mark.parametrize(("make", "last", "where"), CASES)
def test_it_goes_on_a_rung_lower_with_the_frames_of_that_rung(
    make: Callable[..., Any], last: str, where: str
) -> None:
    """One rung down from each; the step that runs out is the first, so that all are the lower's."""
    first = NAMES[NAMES.index(last) - 1]
    frames, ladder, _ = drawn(make, first, (where, (1,)))
    assert ladder.tried == (first, last)
    # decoded with weights in 8 bits, drawn without: nothing undisturbed does that
    expected = undisturbed(make, last)
    if (where, last) == ("decode", "tiny-vram"):
        expected = undisturbed(make, first)
    assert differ(frames, expected) <= SAME


@pytest.mark.parametrize("last", NAMES[1:])
def test_in_the_middle_of_the_walk_too(last: str) -> None:
    down = NAMES.index(last)
    frames, ladder, rows = drawn(dynamicrafter, "full", ("step", tuple(range(2, 2 + down))))
    assert ladder.tried == NAMES[: down + 1]
    assert differ(frames, undisturbed(dynamicrafter, last)) <= (
        NARROW if last == "tiny-vram" else SAME
    )
    # two directions and two terms at once; then the terms of each direction's pair one by one
    calls = [4, 4, *[2] * (down - 1), *[2] * (2 * (STEPS - 1))]
    assert rows == calls


def test_all_the_way_down_in_one_step() -> None:
    frames, ladder, _ = drawn(dynamicrafter, "full", ("step", (1, 2, 3, 4)))
    assert ladder.tried == NAMES
    assert differ(frames, undisturbed(dynamicrafter, "tiny-vram")) <= SAME


@pytest.mark.parametrize("make", [svd, dynamicrafter])
def test_rungs_with_full_weights_draw_the_same_latents(make: Callable[..., Any]) -> None:
    """With one decode chunk for all, so do their frames."""
    everywhere = [drawn(make, rung, only=True, decode_chunk=2)[0] for rung in NAMES[:4]]
    assert max(differ(frames, everywhere[0].astype(np.int64)) for frames in everywhere) <= SAME


def test_eight_bits_are_near() -> None:
    assert (
        0
        < differ(drawn(dynamicrafter, "tiny-vram")[0], undisturbed(dynamicrafter, "full"))
        <= NARROW
    )


def test_a_given_decode_chunk_is_kept_at_every_rung() -> None:
    for rung, own in zip(RUNGS, (6, 6, 6, 1, 1), strict=True):
        for given in (None, 4):
            m = svd()
            ladder: Any = Ladder(m, (rung,), CPU, decode_chunk=given)
            z = torch.zeros(1, 6, 4, 8, 12)
            with torch.inference_mode(), running_out(m.vae.decoder, ()) as rows:
                ladder.decode(z)
            assert rows[0] == (given or own)


def test_progress_does_not_go_back_and_cancel_works() -> None:
    m = svd()
    ladder: Any = Ladder(m, RUNGS[1:], CPU, decode_chunk=2)
    ladder.directions = 2
    shares: list[float] = []
    settings = Sampling(method="trf", steps=2, seed=1)
    with running_out(m.network, (2,)), running_out(m.vae.decoder, (3,)):
        methods.render(ladder, keys_of(m), settings, progress=lambda share, _: shares.append(share))
    assert ladder.tried == ("chunked", "offload", "sequential")
    assert shares == sorted(shares) and shares[-1] == 1
    assert len(shares) > len(set(shares))  # chunks done again are told again, no further back

    asked = 0

    def cancel() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    m = svd()
    below: Any = Ladder(m, RUNGS, CPU)
    with running_out(m.network, (1, 2)) as rows, pytest.raises(Interrupted):
        methods.render(below, keys_of(m), settings, cancel=cancel)
    assert asked == 3 and rows == [4, 2, 2, 2]  # the second move re-noises
    assert below.rung.name == "offload"


def test_the_last_rung_says_which_were_tried() -> None:
    with pytest.raises(OutOfRungsError) as refusal:
        drawn(dynamicrafter, "offload", ("step", tuple(range(1, 9))))
    assert refusal.value.tried == ("offload", "sequential", "tiny-vram")
    assert isinstance(refusal.value.__cause__, torch.OutOfMemoryError)
    assert str(refusal.value.__cause__) == "injected at call 3"


def test_other_failures_pass_through() -> None:
    m = dynamicrafter()
    ladder: Any = Ladder(m, RUNGS, CPU)

    def broken(*_: object, **__: object) -> Tensor:
        raise RuntimeError("a shape is wrong")

    with overriding([m.network], broken), pytest.raises(RuntimeError, match="a shape is wrong"):
        methods.render(ladder, keys_of(m), Sampling(method="trf", steps=1))
    assert ladder.tried == ("full",)
