"""Pair LoRA on every kind of backbone: what is fitted, how it is mixed, and how it is kept."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rounding import DEEP, rounding
from torch import Tensor, nn

from vtg_cli.backbones import base
from vtg_cli.backbones.base import Backbone
from vtg_cli.backbones.tiny.model import Tiny
from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.conditioning import lora
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.lora import Factors, Pair
from vtg_cli.conditioning.text import keyframe_weights
from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.level import Level, edm_level
from vtg_cli.training import pair as pairs
from vtg_cli.training import pair_cache
from vtg_cli.training.losses import denoising_loss
from vtg_cli.training.pair import fit_pair, still_conds, weight_of
from vtg_cli.training.pair_cache import PairSettings
from vtg_cli.training.pair_layers import applied, layers_of

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE / "backbones" / "dynamicrafter"))
import tiny_models  # type: ignore[import-not-found]  # noqa: E402

FRAMES = 4
QUICK = PairSettings(rank=4, steps=3, rate=5e-3)


def tiny() -> Backbone:
    torch.manual_seed(0)
    network = Network(Shape(width=32, depth=2, head=16, fine=8, middle=16))
    for parameter in network.parameters():
        if not bool(parameter.any()):
            nn.init.normal_(parameter, std=0.2)
    return Tiny(network.requires_grad_(False))  # type: ignore[return-value]  # narrower fields


MODELS: dict[str, Callable[[], Backbone]] = {
    "tiny": tiny,
    "svd": lambda: base.load(HERE / "data/parity/tiny_svd", device="cpu", dtype="fp32"),
    "dynamicrafter": tiny_models.tiny,
}


@pytest.fixture(params=MODELS)
def m(request: pytest.FixtureRequest) -> Backbone:
    return MODELS[request.param]()


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def keys() -> Keyframes:
    """Two smooth pictures."""
    first = torch.sin(torch.linspace(0, 6, 32)).expand(3, 32, 32)
    return Keyframes.ends(first, -0.5 * first.mT, FRAMES)


def fit(m: Backbone, settings: PairSettings = QUICK, **options: Any) -> Pair:
    return fit_pair(m, keys(), still_conds(m, keys(), settings=settings), settings, **options)


def drawn(m: Backbone) -> Pair:
    """Updates that are not small."""
    updates: list[dict[nn.Module, Factors]] = []
    for seed in range(2):
        layers = list(layers_of(m).values())
        updates.append(
            {
                layer: (
                    randn(100 * seed + i, 4, layer.in_features) / 4,
                    randn(500 + 100 * seed + i, layer.out_features, 4) / 4,
                )
                for i, layer in enumerate(layers)
            }
        )
    return Pair(tuple(updates))


def call(m: Backbone, batch: int = 1) -> Tensor:
    """The network's answer about a clip."""
    told = keys() if m.spec.both_ends else keys().only(0)
    cond = Cond.stack([m.condition(told)] * batch)
    x = randn(3, batch, FRAMES, m.spec.channels, *m.latent_size(32, 32))
    with torch.no_grad():
        return m(x, level(m), cond)


def level(m: Backbone) -> Level:
    return Level(0.6, 0.8, 500.0, 0.7) if m.spec.name == "512" else edm_level(0.5)


def weighted(m: Backbone, pair: Pair, weights: Sequence[float | Tensor], batch: int = 1) -> Tensor:
    with applied(m, pair, weights):
        return call(m, batch)


def same(one: Pair, other: Pair) -> bool:
    return all(
        torch.equal(mine, theirs)
        for a, b in zip(one.updates, other.updates, strict=True)
        for layer in one.layers
        for mine, theirs in zip(a[layer], b[layer], strict=True)
    )


def test_the_layers_are_those_of_single_frames(m: Backbone) -> None:
    names = list(layers_of(m))
    assert len(names) == len(set(names)) and len(names) % 4 == 0
    assert not any("temporal" in name for name in names)
    temporal = {id(part) for a in m.modules("temporal_attention") for part in a.modules()}
    assert not temporal & {id(layer) for layer in layers_of(m).values()}


def test_updates_start_as_no_change(m: Backbone) -> None:
    pair = fit(m, PairSettings(rank=4, steps=1, rate=0.0))
    assert all(a.any() and not b.any() for u in pair.updates for a, b in u.values())
    plain = call(m)
    assert torch.equal(plain, weighted(m, pair, [0.5, 0.5]))
    each = weighted(m, pair, keyframe_weights((0, FRAMES - 1), FRAMES).unbind())
    size = float(plain.abs().max())
    assert torch.allclose(plain, each, rtol=0, atol=rounding(DEEP, size))
    # SVD multiplies its tokens by frame, not by clip, then: sums in another order
    assert torch.equal(plain, each) or hasattr(m, "shortcuts")


def test_the_picture_is_learned_and_the_network_stays(m: Backbone) -> None:
    before = {name: p.clone() for name, p in m.network.named_parameters()}
    settings = PairSettings(steps=60 if isinstance(m, Tiny) else 20, rate=5e-3)
    told: list[tuple[int, int, float]] = []
    pair = fit(m, settings, on_step=lambda *numbers: told.append(numbers))
    assert all(torch.equal(before[n], p) for n, p in m.network.named_parameters())
    assert all(p.grad is None for p in m.network.parameters())
    assert [done for done, _, _ in told] == list(range(1, 2 * settings.steps + 1))
    assert {total for _, total, _ in told} == {2 * settings.steps}
    for k, cond in enumerate(still_conds(m, keys(), settings=settings)):
        none, own = (
            loss_on(m, pair, [w * (k == 0), w * (k == 1)], keys().pixels[k], cond) for w in (0, 1)
        )
        assert own < 0.997 * none


def loss_on(m: Backbone, pair: Pair, weights: list[float], picture: Tensor, cond: Cond) -> float:
    """Over levels and noise that training did not see."""
    x0, total = m.encode(picture[None, None]), 0.0
    for n, at in enumerate(m.path(20)[1:16:2]):
        eps = randn(40 + n, *x0.shape)
        with torch.no_grad(), applied(m, pair, weights):
            total += float(denoising_loss(m, x0, eps, at, cond, weight_of(at, "eps")))
    return total


def test_a_weight_of_one_is_that_update_alone(m: Backbone) -> None:
    pair = drawn(m)
    for k, weights in enumerate(([1.0, 0.0], [0.0, 1.0])):
        with overriding(pair.layers, Pair(pair.updates[k : k + 1]).mixed([1.0])):
            alone = call(m)
        assert torch.equal(weighted(m, pair, weights), alone)
        assert not torch.equal(alone, call(m))


def test_halves_are_half_of_both_updates_in_the_weights(m: Backbone) -> None:
    pair = drawn(m)
    mixed = weighted(m, pair, [0.5, 0.5])
    plain = call(m)
    with torch.no_grad():
        for layer in pair.layers:
            for update in pair.updates:
                a, b = update[layer]
                layer.get_parameter("weight").add_(0.5 * b @ a)
    merged = call(m)
    # W h + B (A h) and (W + B A) h round differently: 1e-7 a layer, through some tens of layers
    scale = float((merged - plain).abs().max())
    assert scale > 1e-3
    assert float((mixed - merged).abs().max()) < 1e-4 * max(scale, float(merged.abs().max()))


def frame_local(m: Backbone) -> Any:
    """The network with its ways from frame to frame closed."""
    if isinstance(m, Tiny):
        layers = m.modules("temporal_attention")
        return overriding(layers, lambda module, forward, h: torch.zeros_like(h))
    across = [
        module
        for module in m.network.modules()
        if type(module).__name__.startswith(("Temporal", "InitAttention"))
    ]
    return overriding(across, lambda module, forward, h, *args, **kwargs: h)


@pytest.mark.parametrize("directions", [1, 2])
def test_weights_per_frame_are_single_weights_frame_by_frame(m: Backbone, directions: int) -> None:
    pair, shares = drawn(m), keyframe_weights((0, FRAMES - 1), FRAMES)
    told = shares if directions == 1 else torch.stack([shares, shares.flip(1)], 1)
    batch = 2 * directions  # two conditions innermost
    with frame_local(m):
        got = weighted(m, pair, told.unbind(), batch)
        for b in range(batch):
            for f in range(FRAMES):
                w = told[:, f] if directions == 1 else told[:, b // 2, f]
                one = weighted(m, pair, w.tolist(), batch)
                # another order of sums and, of SVD's cross-attention, no detour around queries
                assert torch.allclose(got[b, f], one[b, f], rtol=1e-4, atol=2e-5)
    assert not torch.allclose(got[0, 0], got[0, 1], rtol=1e-2)


def test_constant_weights_per_frame_are_one_number(m: Backbone) -> None:
    pair = drawn(m)
    got = weighted(m, pair, [torch.full((FRAMES,), 0.3), torch.full((FRAMES,), 0.7)])
    assert torch.allclose(got, weighted(m, pair, [0.3, 0.7]), rtol=1e-4, atol=2e-5)


def test_a_fit_is_the_same_every_time_and_of_its_seed(m: Backbone) -> None:
    torch.manual_seed(1)
    one = fit(m)
    torch.manual_seed(2)
    assert same(one, fit(m))
    assert not same(one, fit(m, PairSettings(rank=4, steps=3, rate=5e-3, seed=1)))


def test_the_steps_are_adamw_with_a_constant_rate() -> None:
    m = tiny()
    cond = still_conds(m, keys())[0]
    update = pairs._Update(list(layers_of(m).values()), QUICK.rank, QUICK.seed)
    optimizer = torch.optim.AdamW(update.parameters(), lr=QUICK.rate, weight_decay=QUICK.decay)
    losses = pairs._losses(m, m.encode(keys().pixels[0][None, None]), cond, "eps")
    for step in range(QUICK.steps):
        generator = torch.Generator().manual_seed(QUICK.seed * 2**32 + step)
        with overriding(layers_of(m).values(), lora.mix_updates([update.factors(False)], [1.0])):
            (loss,) = [part() for part in losses(step, generator)]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    expected = Pair((update.factors(), fit(m).updates[1]))
    assert same(fit(m), expected)


def test_a_kept_fit_is_identical_and_calls_nothing(
    m: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"identity": "x", "captions": ["a", "b"], "cache": tmp_path / "deep" / "cache"}
    conds = still_conds(m, keys())
    first = fit_pair(m, keys(), conds, QUICK, **kept)  # type: ignore[arg-type]
    assert sorted(f.suffix for f in (tmp_path / "deep" / "cache").iterdir()) == [".safetensors"] * 2

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("called")

    monkeypatch.setattr(m, "encode", fail)
    with overriding([m.network], fail):
        second = fit_pair(m, keys(), conds, QUICK, fail, **kept)  # type: ignore[arg-type]
        assert same(first, second) and first.layers == second.layers
        for other in ({"identity": "y"}, {"captions": ["a", "c"]}):
            with pytest.raises(AssertionError, match="called"):
                fit_pair(m, keys(), conds, QUICK, **(kept | other))  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="called"):
            fit_pair(m, keys(), conds, PairSettings(rank=4, steps=2), **kept)  # type: ignore[arg-type]


def test_what_was_stopped_goes_on_bit_for_bit(
    m: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "KEEP", 2)
    settings = PairSettings(rank=4, steps=5, rate=5e-3)
    seen: list[int] = []

    def stop(done: int, total: int, loss: float) -> None:
        seen.append(done)
        if done == 8:  # of the second picture the third, one step after its state was kept
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(m, settings, on_step=stop, identity="x", cache=tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors", ".partial"}
    again = fit(
        m,
        settings,
        on_step=lambda done, total, loss: seen.append(done),
        identity="x",
        cache=tmp_path,
    )
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10]
    assert same(again, fit(m, settings))
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors"}


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    m = tiny()
    first = fit(m, identity="x", cache=tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:-100])
    assert same(first, fit(m, identity="x", cache=tmp_path))
    file = next(tmp_path.iterdir())
    assert lora.load(file, layers_of(m), m.device).keys() == first.updates[0].keys()


def test_an_unfinished_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m = tiny()

    def half(update: Any, network: nn.Module, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("no space")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(lora, "save", half)
        fit(m, identity="x", cache=tmp_path)
    assert [file.suffix for file in tmp_path.iterdir()] == [".partial"]
    assert same(fit(m, identity="x", cache=tmp_path), fit(m))


def test_it_fits_where_nothing_else_may_have_gradients(m: Backbone) -> None:
    with torch.inference_mode():
        inside = fit(m)
    with torch.no_grad():
        assert same(inside, fit(m))


def test_the_weights_make_the_loss_that_of_the_noise_or_of_v() -> None:
    at = Level(0.6, 0.8, 500.0, 0.7)
    x0, guess, eps = (randn(seed, 9).double() for seed in range(3))
    x = at.noise(x0, eps)
    error = (guess - x0).square().mean()
    for space, to in (("eps", at.eps), ("v", at.v_from_x0)):
        expected = (to(x, guess) - to(x, x0)).square().mean()
        weight = weight_of(at, space)  # type: ignore[arg-type]
        assert float(weight * error) == pytest.approx(float(expected), rel=1e-12)


def test_a_fit_in_v_goes_to_the_noisiest_level() -> None:
    m = MODELS["dynamicrafter"]()
    assert m.path(3)[0].alpha == 0
    one, other = fit(m), fit(m, PairSettings(rank=4, steps=3, rate=5e-3, space="v"))
    assert not same(one, other)
    assert all(bool(b.isfinite().all()) for u in other.updates for _, b in u.values())


def test_default_folder_is_that_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert pair_cache.cache_folder() == Path("/somewhere/vtg/lora")
    for not_absolute in ("", "here"):
        monkeypatch.setenv("XDG_CACHE_HOME", not_absolute)
        assert pair_cache.cache_folder() == Path.home() / ".cache" / "vtg" / "lora"


def test_what_does_not_fit_together_is_refused() -> None:
    m = tiny()
    conds = still_conds(m, keys())
    for wrong in ({"conds": conds[:1]}, {"conds": conds, "captions": ["one"]}):
        with pytest.raises(ValueError, match="2 keyframes"):
            fit_pair(m, keys(), settings=QUICK, **wrong)
    with pytest.raises(ValueError, match="3 weights for 2"):
        drawn(m).mixed([1.0, 0.0, 0.0])
    assert math.isfinite(weight_of(edm_level(700.0), "eps"))
