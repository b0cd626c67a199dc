"""The ladder under memory that runs out where a test says: the same frames as at the rung it ends.

The harness is an override that counts the calls of a module and raises what a device would.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from vtg_cli.backbones import base
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import Interrupted, QualityError
from vtg_cli.ground.hooks import overriding
from vtg_cli.job.sampling import Sampling
from vtg_cli.lowmem.ladder import Ladder
from vtg_cli.machine.device import seeded_noise
from vtg_cli.machine.rungs import NAMED, RUNGS, OutOfRungsError, Rung
from vtg_cli.methods import papers, walk
from vtg_cli.methods.registry import methods
from vtg_cli.sampling.settings import resolved

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones" / "dynamicrafter"))
from tiny_models import FRAMES, HEIGHT, WIDTH, tiny

CPU = torch.device("cpu")
SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
NAMES = tuple(rung.name for rung in RUNGS)
STEPS = 2
SAME = 1
"""Of 255, between rungs with weights of full precision: their latents differ by 1.3e-6 (SVD's
network of the recordings) and 4e-7 (DynamiCrafter's), which turns a rounding here and there."""
CHUNK = 2
"""Frames decoded at once at all rungs: of SVD that number shows in the frames."""
EIGHT_BITS = {"svd": 31, "dynamicrafter": 5}
"""Of 255, between weights in 8 bits and in full: the worst of five seeds (docs/memory.md)."""
NARROW = EIGHT_BITS["dynamicrafter"]


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
    monkeypatch.setattr(walk, "term_by_term", lambda m: False)
    # with all the libraries loaded it takes a third of a second, and there is nothing to find
    monkeypatch.setattr("vtg_cli.lowmem.ladder.gc.collect", lambda: 0)


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
    """What is called first there; "look" is what sees a keyframe, for the image tokens."""
    parts = m.parts()
    codec = parts.get("vae", parts.get("autoencoder"))
    found: dict[str, nn.Module] = {
        "step": m.network,
        "decode": codec.decoder,
        "encode": codec.encoder,
        "look": parts.get("image_encoder", parts.get("image_tower")),
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
    m, weights, own = kept(make)
    rungs = RUNGS[NAMES.index(first) :][: 1 if only else None]
    ladder: Any = Ladder(m, rungs, CPU, **options)
    try:
        with running_out(place(m, fails[0]), fails[1]) as rows:
            asked = Sampling(method="trf", steps=STEPS, renoise=0, seed=1)
            frames = papers.render(ladder, keys_of(m), asked)
    finally:
        ladder._stack.close()
        m.decode_chunk = own
        m.network.load_state_dict(weights)  # those that were in 8 bits have lost something
    return frames, ladder, rows


@cache
def kept(make: Callable[..., Any]) -> tuple[Any, dict[str, Tensor], int]:
    """A model for many draws, what its network's weights are, and its own decode chunk."""
    m = make()
    return m, deepcopy(m.network.state_dict()), m.decode_chunk


@cache
def undisturbed(make: Callable[..., Any], rung: str) -> NDArray[np.int64]:
    """With one decode chunk for all, as everything that is held against it."""
    return drawn(make, rung, only=True, decode_chunk=CHUNK)[0].astype(np.int64)


def differ(a: NDArray[np.uint8], b: NDArray[np.int64]) -> int:
    return int(np.abs(a.astype(np.int64) - b).max())


PLACES = [(svd, where) for where in ("look", "encode", "step", "decode")]
PLACES += [(dynamicrafter, where) for where in ("look", "step")]


@pytest.mark.parametrize(("make", "where"), PLACES)
@pytest.mark.parametrize("last", NAMES[1:])
def test_it_goes_on_a_rung_lower_with_the_frames_of_full(
    make: Callable[..., Any], last: str, where: str
) -> None:
    """One rung down from each, wherever memory is asked for first; the step that runs out is the
    first, so that all are the lower's. Weights in 8 bits are the network's alone.
    """
    first = NAMES[NAMES.index(last) - 1]
    frames, ladder, _ = drawn(make, first, (where, (1,)), decode_chunk=CHUNK)
    assert ladder.tried == (first, last)
    narrowed = not NAMED[first if where == "decode" else last].same_frames
    if narrowed:
        assert differ(frames, undisturbed(make, "tiny-vram")) <= SAME
    full = differ(frames, undisturbed(make, "full"))
    assert full <= (EIGHT_BITS[make.__name__] if narrowed else SAME)


@pytest.mark.parametrize("last", NAMES[1:])
def test_in_the_middle_of_the_walk_too(last: str) -> None:
    down = NAMES.index(last)
    frames, ladder, rows = drawn(dynamicrafter, "full", ("step", tuple(range(2, 2 + down))))
    assert ladder.tried == NAMES[: down + 1]
    assert differ(frames, undisturbed(dynamicrafter, last)) <= (
        SAME if NAMED[last].same_frames else NARROW
    )
    # two directions and two terms at once; then the terms of each direction's pair one by one
    calls = [4, 4, *[2] * (down - 1), *[2] * (2 * (STEPS - 1))]
    assert rows == calls


@contextmanager
def with_room(m: Any, latents: int, frames: int) -> Iterator[None]:
    """A device that has room for so many latents in a step and for so many frames of 32x48 pixels
    in the decoder.
    """

    def fits(needed: int, room: int) -> None:
        if needed > room:
            raise torch.OutOfMemoryError(f"{needed} are more than {room}")

    def step(_: nn.Module, forward: Callable[..., Any], x: Tensor, *args: Any, **kw: Any) -> Any:
        fits(x[:, :, :1].numel(), latents)
        return forward(x, *args, **kw)

    def decode(_: nn.Module, forward: Callable[..., Any], z: Tensor, *args: Any, **kw: Any) -> Any:
        fits(len(z), frames)
        return forward(z, *args, **kw)

    with overriding([m.network], step), overriding([m.vae.decoder], decode):
        yield


CLIP = 6 * 8 * 12
"""Latents of a clip; a step of both directions and both terms has four."""


@pytest.mark.parametrize(
    ("latents", "frames", "last"),
    [
        (4 * CLIP, 6, "full"),
        (2 * CLIP, 6, "chunked"),
        (4 * CLIP, 1, "sequential"),
        (2 * CLIP, 1, "sequential"),
        (2 * CLIP - 1, 6, "tiled"),
        (2 * 6 * 8 * 8, 1, "tiled"),
    ],
)
def test_a_device_with_little_room_ends_at_the_first_rung_that_fits(
    latents: int, frames: int, last: str
) -> None:
    m = svd()
    rungs = [*RUNGS[:-1], replace(RUNGS[-1], window=8, narrow=False)]
    ladder: Any = Ladder(m, rungs, CPU)
    with with_room(m, latents, frames):
        papers.render(ladder, keys_of(m), Sampling(method="trf", steps=1, renoise=0))
    assert ladder.rung.name == last
    assert ladder.tried == NAMES[: NAMES.index(last) + 1]


def test_all_the_way_down_in_one_step() -> None:
    frames, ladder, _ = drawn(dynamicrafter, "full", ("step", (1, 2, 3, 4, 5)))
    assert ladder.tried == NAMES
    assert differ(frames, undisturbed(dynamicrafter, "tiled")) <= SAME


def test_eight_bits_are_near() -> None:
    assert (
        0
        < differ(drawn(dynamicrafter, "tiny-vram")[0], undisturbed(dynamicrafter, "full"))
        <= NARROW
    )


@pytest.mark.parametrize("make", [svd, dynamicrafter])
def test_latents_no_larger_than_a_window_are_denoised_as_they_are(
    make: Callable[..., Any],
) -> None:
    found = drawn(make, "tiled", decode_chunk=CHUNK)[0]
    assert np.array_equal(found, undisturbed(make, "tiny-vram"))


WINDOWED = Rung(name="tiled", window=8)


def latents(ladder: Any, method: str) -> Tensor:
    m, keys = ladder, keys_of(ladder)
    settings = resolved(
        Sampling(method=method, steps=STEPS, renoise=0),
        has_reverse=False,
        defaults_of=m.spec.defaults,
    )
    with torch.inference_mode():
        return methods()[method].draw(m, keys, settings, seeded_noise(1), None)


@pytest.mark.parametrize(("method", "calls"), [("trf", 4), ("gi", 4), ("tvg", 2)])
def test_windows_of_a_network_without_space_are_the_whole(method: str, calls: int) -> None:
    """The real backbone, its condition beside the latents and both directions in the batch, about
    a network that mixes time and channels at every place by itself.
    """

    def pointwise(_: nn.Module, forward: object, seen: Tensor, *__: object, **___: object) -> Any:
        ahead, beside = seen[:, :, :4], seen[:, :, 4:]
        return (torch.tanh(ahead + 0.3 * beside.flip(2)) + 0.1 * seen[:, :, :4].cumsum(1),)

    plain, windowed = svd(), Ladder(svd(), [WINDOWED], CPU)
    with overriding([plain.network, windowed.network], pointwise):
        expected, found = latents(plain, method), latents(windowed, method)
    assert expected.shape[-2:] == (8, 12) and windowed.piece == ("tiled", calls - 1)
    # sums of two weighted halves in float32, over a few steps of latents of some units
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("method", ["trf", "gi"])
@pytest.mark.parametrize("make", [svd, dynamicrafter])
def test_windows_of_a_real_network_are_near(make: Callable[..., Any], method: str) -> None:
    """Of the latents' norm; docs/memory.md has these figures."""
    plain, windowed = make(), Ladder(make(), [WINDOWED], CPU)
    expected = latents(plain, method)
    off = float((latents(windowed, method) - expected).norm() / expected.norm())
    assert 0.005 < off < {"svd": 0.45, "dynamicrafter": 0.017}[make.__name__]


@pytest.mark.parametrize("make", [svd, dynamicrafter])
def test_keyframes_are_encoded_in_tiles(make: Callable[..., Any]) -> None:
    """With an encoder that sees nothing beyond a latent's own pixels it is the whole's answer."""
    seen: list[tuple[int, ...]] = []

    def alone(_: nn.Module, forward: object, pixels: Tensor) -> Tensor:
        seen.append(tuple(pixels.shape[-2:]))
        factor = keys.pixels.shape[-1] // 12
        return avg_pool2d(pixels, factor).repeat(1, 3, 1, 1)[:, :8]  # means and deviations

    plain, m = make(), make()
    keys = keys_of(plain)
    with overriding([plain.encoder(), m.encoder()], alone), torch.inference_mode():
        tiled = Ladder(m, [Rung(name="tiled", tile=8)], CPU)
        found, expected = (x.condition(keys.only(0)).concat for x in (tiled, plain))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)  # some units, in float32
    side = keys.pixels.shape[-1] // 12 * 8
    assert seen == [(side, side), (side, side), tuple(keys.pixels.shape[-2:])]


def test_a_given_decode_chunk_is_kept_at_every_rung() -> None:
    m, z = svd(), torch.zeros(1, 6, 4, 8, 12)
    usual = m.decode_chunk
    for rung, own in zip(RUNGS, (6, 6, 6, 1, 1, 1), strict=True):
        for given in (None, 4):
            m.decode_chunk = usual
            ladder: Any = Ladder(m, (rung,), CPU, decode_chunk=given)
            with torch.inference_mode(), running_out(m.vae.decoder, ()) as rows:
                ladder.decode(z)
            ladder._stack.close()
            assert rows[0] == (given or own)


def test_progress_does_not_go_back_and_cancel_works() -> None:
    m = svd()
    ladder: Any = Ladder(m, RUNGS[1:], CPU, decode_chunk=2)
    shares: list[float] = []
    settings = Sampling(method="trf", steps=2, seed=1)
    with running_out(m.network, (2,)), running_out(m.vae.decoder, (3,)):
        papers.render(ladder, keys_of(m), settings, progress=lambda share, _: shares.append(share))
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
        papers.render(below, keys_of(m), settings, cancel=cancel)
    assert asked == 3 and rows == [4, 2, 2, 2]  # the second move re-noises
    assert below.rung.name == "offload"


def test_the_last_rung_says_which_were_tried() -> None:
    with pytest.raises(OutOfRungsError) as refusal:
        drawn(dynamicrafter, "offload", ("step", tuple(range(1, 9))))
    assert refusal.value.tried == NAMES[2:]
    assert isinstance(refusal.value.__cause__, torch.OutOfMemoryError)
    assert str(refusal.value.__cause__) == "injected at call 4"


def test_other_failures_pass_through() -> None:
    m = dynamicrafter()
    ladder: Any = Ladder(m, RUNGS, CPU)

    def broken(*_: object, **__: object) -> Tensor:
        raise RuntimeError("a shape is wrong")

    with overriding([m.network], broken), pytest.raises(RuntimeError, match="a shape is wrong"):
        papers.render(ladder, keys_of(m), Sampling(method="trf", steps=1))
    assert ladder.tried == ("full",)


@contextmanager
def spoiling(module: nn.Module, t: float | None) -> Iterator[None]:
    """One value of what the module gives is no number. t: at the level of this number alone."""

    def spoiled(_: nn.Module, forward: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        out = forward(*args, **kw)
        if t is None or float(args[1]) == pytest.approx(t):
            (out[0] if isinstance(out, tuple) else out)[..., -1, -1] = torch.nan
        return out

    with overriding([module], spoiled):
        yield


SPOILED = [(svd, RUNGS[0])] + [(dynamicrafter, r) for r in RUNGS]


@pytest.mark.parametrize(("make", "rung"), SPOILED)
@pytest.mark.parametrize("where", ["step", "decode"])
def test_what_is_no_number_ends_the_drawing_at_every_rung(
    make: Callable[..., Any], rung: Rung, where: str
) -> None:
    small = replace(rung, tile=rung.tile and 8, window=rung.window and 8)  # more than one of each
    m, weights, own = kept(make)
    ladder: Any = Ladder(m, [small], CPU)
    second = m.path(STEPS)[1].t
    try:
        with spoiling(place(m, where), second if where == "step" else None):
            asked = Sampling(method="trf", steps=STEPS, renoise=0, seed=1)
            with pytest.raises(QualityError) as caught:
                papers.render(ladder, keys_of(m), asked)
    finally:
        ladder._stack.close()
        m.decode_chunk = own
        m.network.load_state_dict(weights)
    said = {
        "step": f"step 2 of {STEPS} gave latents that are not numbers",
        "decode": "the decoded pictures are not numbers",
    }
    assert (caught.value.exit_code, caught.value.message) == (6, said[where])
