"""DynamiCrafter as a Backbone: every method runs on it, and it is told what it should be."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rounding import DEEP, rounding

from vtg_cli.backbones.base import Motion
from vtg_cli.backbones.dynamicrafter.model import DynamiCrafter
from vtg_cli.backbones.dynamicrafter.spec import INTERP, VARIANTS, spec
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import WeightsError
from vtg_cli.ground.hooks import overriding
from vtg_cli.job.sampling import Sampling
from vtg_cli.methods import papers
from vtg_cli.methods.captions import Captions, captioned
from vtg_cli.sampling.fusion import rotate_pairs
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.settings import evaluations, resolved
from vtg_cli.weights import delta

sys.path.insert(0, str(Path(__file__).parent))
from tiny_models import FACTS, FRAMES, HEIGHT, WIDTH, networks, tiny, words

LEVEL = Level(0.6, 0.8, 500.0, 0.7)
EVERY = ("gi", "trf", "i2v", "dynamicrafter")


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def m() -> DynamiCrafter:
    return tiny()


@pytest.fixture(scope="module")
def interp() -> DynamiCrafter:
    return tiny(replace(FACTS, variant=INTERP, both_ends=True, fs=5))


@pytest.fixture(scope="module")
def keys() -> Keyframes:
    first, last = randn(0, 2, 3, HEIGHT, WIDTH).clamp(-1, 1)
    return Keyframes.ends(first, last, FRAMES)


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("both_ends", [False, True])
def test_every_method_runs(method: str, both_ends: bool, keys: Keyframes) -> None:
    m = tiny(replace(FACTS, both_ends=both_ends))
    settings = Sampling(method=method, steps=2, seed=3)
    seen: list[float] = []
    frames = papers.render(m, keys, settings, progress=lambda share, _: seen.append(share))
    assert frames.shape == (FRAMES, HEIGHT, WIDTH, 3) and frames.dtype == np.uint8
    assert np.array_equal(frames, papers.render(m, keys, settings))
    assert not np.array_equal(frames, papers.render(m, keys, replace(settings, seed=4)))
    assert seen[-1] == pytest.approx(1) and frames.std() > 1


def test_its_own_defaults(m: DynamiCrafter) -> None:
    for method in EVERY:
        s = resolved(Sampling(method=method), has_reverse=False, defaults_of=m.spec.defaults)
        assert (s.steps, s.guidance, s.renoise) == (50, (7.5, 7.5), 0)
        assert evaluations(s) == 50 * 2 * (2 if method in ("gi", "trf") else 1)


def test_temporal_attention_is_all_of_it(m: DynamiCrafter) -> None:
    names = {id(module): name for name, module in m.network.named_modules()}
    layers = [names[id(layer)] for layer in m.modules("temporal_attention")]
    assert len(layers) == len(set(layers)) == 2 * 8
    assert layers[:2] == [f"init_attn.0.transformer_blocks.0.attn{i}" for i in (1, 2)]
    first = [names[id(layer)] for layer in m.modules("first_temporal_attention")]
    assert first == layers[::2] and all(name.endswith("attn1") for name in first)
    assert len(m.modules("cross_attention")) == len(m.modules("spatial_attention")) == 7
    assert len(m.modules("block")) == 15


def test_rotation_reaches_the_reversed_half(m: DynamiCrafter, keys: Keyframes) -> None:
    """Keyframes and latents that are the same in both directions: rotation changes that half alone,
    and by the same weights gives its forward half again.
    """
    cond = Cond.stack([m.condition(k.only(0)) for k in (keys, keys.reversed())])
    x = randn(1, 2, FRAMES, 4, HEIGHT // 2, WIDTH // 2)
    with torch.inference_mode():
        plain = m(x, LEVEL, cond)
        with overriding(m.modules("temporal_attention"), rotate_pairs(m.reverse)):
            rotated = m(x, LEVEL, cond)
    assert bool(torch.isfinite(rotated).all())
    assert float((rotated[0] - plain[0]).abs().max()) < rounding(DEEP)
    assert float((rotated[1] - plain[1]).abs().max()) > 1e-4


def test_a_reverse_delta_acts_on_the_reversed_half_alone(keys: Keyframes) -> None:
    name = "init_attn.0.transformer_blocks.0.attn2.to_v.weight"
    changed = tiny(reverse={name: randn(2, 128, 128)})
    assert len(changed.reverse) == 1
    cond = Cond.stack([changed.condition(k.only(0)) for k in (keys, keys.reversed())])
    x = randn(1, 2, FRAMES, 4, HEIGHT // 2, WIDTH // 2)
    outputs = []
    for reverse in ({}, changed.reverse):
        layers = changed.modules("temporal_attention")
        with torch.inference_mode(), overriding(layers, rotate_pairs(reverse)):
            outputs.append(changed(x, LEVEL, cond))
    off = (outputs[0] - outputs[1]).abs().amax((1, 2, 3, 4)).tolist()
    assert off[0] < rounding(DEEP) < 1e-3 < off[1]
    with pytest.raises(WeightsError, match="lacks"):
        tiny(reverse={"input_blocks.1.1.transformer_blocks.0.attn1.to_v.weight": randn(0, 2, 2)})


def test_delta_files_hold_what_reverse_motion_tunes(m: DynamiCrafter, tmp_path: Path) -> None:
    temporal = {id(layer) for layer in m.modules("temporal_attention")}
    tuned = {
        f"{name}.{part}"
        for name, layer in m.network.named_modules()
        for part in ("to_v.weight", "to_out.0.weight", "to_out.0.bias")
        if id(layer) in temporal
    }
    parameters = dict(m.network.named_parameters())
    assert {name for name in parameters if delta.is_tuned(name)} == tuned
    delta.save({name: parameters[name] for name in tuned}, tmp_path / "r.safetensors", {})
    again = tiny(reverse=delta.load(tmp_path / "r.safetensors"))
    assert len(again.reverse) == 16


def test_half_precision(keys: Keyframes) -> None:
    parts = {part: network.to(torch.bfloat16) for part, network in networks().items()}
    m = DynamiCrafter(**parts, facts=FACTS)
    cond, x = m.condition(keys.only(0)), randn(1, 1, FRAMES, 4, HEIGHT // 2, WIDTH // 2)
    with torch.inference_mode():
        half, full = m(x, LEVEL, cond), tiny()(x, LEVEL, tiny().condition(keys.only(0)))
    assert half.dtype == torch.float32 and m.decode(half).dtype == torch.float32
    assert float((half - full).abs().max()) < 0.1 * float(full.abs().max())
    assert papers.render(m, keys, Sampling(method="gi", steps=1)).shape[0] == FRAMES


def test_null_is_of_the_same_kinds(m: DynamiCrafter, keys: Keyframes) -> None:
    per_frame = randn(3, 1, FRAMES, 7, 24)
    for text in (None, randn(3, 1, 7, 24), per_frame):
        cond = m.condition(keys.only(0), text)
        null, image = m.null(cond), m.null(cond, ("text",))
        Cond.interleave([cond, image, null])
        assert cond.text is not None and null.text is not None and cond.image is not None
        assert null.image is not None and image.image is cond.image
        assert null.concat is cond.concat and null.motion is cond.motion
        assert torch.equal(null.text[:, 0], m.empty_text())
        assert not torch.equal(null.image, cond.image)
    assert m.null(cond, drop=()) is cond
    grey = Keyframes(torch.zeros(1, 3, 32, 32), (0,), FRAMES)
    told = m.condition(grey).image
    assert told is not None and float((told - null.image).abs().max()) < rounding(DEEP)


def test_constant_text_per_frame_is_shared_text(m: DynamiCrafter, keys: Keyframes) -> None:
    text = randn(4, 1, 7, 24)
    x = randn(5, 1, FRAMES, 4, HEIGHT // 2, WIDTH // 2)
    with torch.inference_mode():
        shared = m(x, LEVEL, m.condition(keys.only(0), text))
        per_frame = m(x, LEVEL, m.condition(keys.only(0), text.expand(FRAMES, -1, -1)[None]))
        other = text.expand(FRAMES, -1, -1).clone()
        other[2] += 1
        changed = m(x, LEVEL, m.condition(keys.only(0), other[None]))
    assert float((shared - per_frame).abs().max()) < rounding(DEEP)
    assert float((shared - changed).abs().max()) > 1e-4


def test_what_stands_beside_the_latents(interp: DynamiCrafter, keys: Keyframes) -> None:
    ends, still = interp.condition(keys).concat, interp.condition(keys.only(0)).concat
    assert ends is not None and still is not None
    latents = interp.encode(keys.pixels[None])
    assert torch.equal(ends[:, [0, -1]], latents) and not bool(ends[:, 1:-1].any())
    expected = latents[:, :1].expand(-1, FRAMES, -1, -1, -1)
    assert float((still - expected).abs().max()) < rounding(DEEP)  # differs with the batch
    sampled = interp.encode(keys.pixels[None], randn(6, *latents.shape))
    assert sampled.shape == latents.shape and not torch.equal(sampled, latents)
    with pytest.raises(ValueError, match="both ends"):
        interp.condition(Keyframes(keys.pixels, (0, 2), FRAMES))


def test_image_tokens_come_from_the_first_keyframe(interp: DynamiCrafter, keys: Keyframes) -> None:
    image, other = interp.condition(keys).image, interp.condition(keys.reversed()).image
    assert image is not None and other is not None and image.shape == (1, FRAMES, 3, 24)
    assert torch.equal(image, interp.image_tokens(keys.pixels[:1], FRAMES))
    assert not torch.equal(image, other)


def test_another_length_shares_all_tokens(m: DynamiCrafter, keys: Keyframes) -> None:
    longer = Keyframes.ends(keys.pixels[0], keys.pixels[1], FRAMES + 2)
    cond = m.condition(longer.only(0))
    assert cond.image is not None and cond.image.shape == (1, 1, 3 * FRAMES, 24)
    frames = papers.render(m, longer, Sampling(method="trf", steps=1))
    assert len(frames) == FRAMES + 2


def test_fs(m: DynamiCrafter, interp: DynamiCrafter, keys: Keyframes) -> None:
    told = [
        float(cond.motion)
        for cond in (
            m.condition(keys.only(0)),
            interp.condition(keys),
            m.condition(keys.only(0), motion=Motion(fs=9)),
        )
        if cond.motion is not None
    ]
    assert told == [24, 5, 9]


def test_decoding_is_frame_by_frame(m: DynamiCrafter) -> None:
    z, counts = randn(7, 1, 5, 4, 4, 6), []
    with torch.inference_mode():
        whole = m.decode(z, on_frames=lambda done, of: counts.append((done, of)))
        one = m.decode(z[:, 3:4])
    assert counts == [(4, 5), (5, 5)] and whole.shape == (1, 5, 3, 8, 12)
    assert float((whole[:, 3:4] - one).abs().max()) < rounding(DEEP)


def test_the_256_model_predicts_the_noise(keys: Keyframes) -> None:
    of = VARIANTS["256"]
    told = {name: getattr(of, name) for name in ("prediction", "zero_snr", "base_scale", "spacing")}
    m = tiny(replace(FACTS, **told))
    path = m.path(50)
    assert [level.t for level in path[:2]] == [981, 961] and path[0].alpha > 0
    assert {level.gain for level in path} == {1.0}
    x, cond = randn(8, 1, FRAMES, 4, HEIGHT // 2, WIDTH // 2), m.condition(keys.only(0))
    v = tiny(replace(FACTS, base_scale=1.0))
    level = path[20]
    with torch.inference_mode():
        out = level.v_from_x0(x, v(x, level, cond))
        x0 = m(x, level, cond)
    assert float((level.eps(x, x0) - out).abs().max()) < 1e-3
    assert np.ptp(papers.render(m, keys, Sampling(method="trf", steps=2))) > 0


def test_captions(tmp_path: Path) -> None:
    words(tmp_path / "tokenizer")
    m = tiny(folder=tmp_path)
    tokens = m.prompts(["A  cat", "", "cat &amp; cat cat cat cat cat"])
    a, cat, both = ord("a") - 33 + 94, 189, ord("&") - 33 + 94
    assert tokens.tolist() == [
        [298, a, cat, 299, 0, 0, 0],
        [298, 299, 0, 0, 0, 0, 0],
        [298, cat, both, cat, cat, cat, 299],
    ]
    embedding = m.text_embedding(["a cat", ""])
    assert embedding.shape == (2, 7, 24)
    assert float((embedding[1:] - m.empty_text()).abs().max()) < rounding(DEEP)


def test_captions_need_a_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtg_cli.weights.store.snapshots", lambda repo_id: iter(()))
    m = tiny(folder=tmp_path)
    assert torch.equal(m.text_embedding([""]), m.empty_text())
    with pytest.raises(WeightsError, match=r"CLIP's vocabulary") as caught:
        m.text_embedding(["a cat"])
    assert str(tmp_path / "tokenizer") in caught.value.hint
    elsewhere = words(tmp_path / "copy")
    monkeypatch.setattr("vtg_cli.weights.store.snapshots", lambda repo_id: iter([elsewhere]))
    assert m.text_embedding(["a cat"]).shape == (1, 7, 24)


@pytest.mark.parametrize("method", EVERY)
def test_two_captions_change_the_frames(method: str, keys: Keyframes, tmp_path: Path) -> None:
    """Whatever the direction of time, each end is told its own caption."""
    words(tmp_path / "tokenizer")
    m = tiny(folder=tmp_path)
    s = Sampling(method=method, steps=2, guidance=(3, 3))

    def drawn(first: str, last: str, negative: str = "", curve: str = "linear") -> np.ndarray:
        told = Captions(first, last, negative, curve)
        return papers.render(m, keys, s, captions=told).astype(int)

    plain, same, other = drawn("", ""), drawn("a cat", "a cat"), drawn("a cat", "cat cat a")
    assert np.array_equal(plain, papers.render(m, keys, s))
    assert np.abs(same - plain).max() > 0
    assert np.abs(other - same)[1:-1].max() > 0
    assert np.array_equal(other, drawn("a cat", "cat cat a"))
    assert np.abs(drawn("a cat", "a cat", "cat") - same).max() > 0
    assert np.abs(drawn("a cat", "cat cat a", curve="ease-in") - other).max() > 0


def test_each_direction_is_told_its_own_end_first(keys: Keyframes, tmp_path: Path) -> None:
    words(tmp_path / "tokenizer")
    m, told = captioned(tiny(folder=tmp_path), keys, Captions("a cat", "cat cat", "a"))
    embedded = m.text_embedding(["a cat", "cat cat", "a"])  # type: ignore[attr-defined]
    for k, (first, last) in ((told, (0, 1)), (told.reversed(), (1, 0))):
        cond = m.condition(k.only(0))
        assert cond.text is not None and cond.text.shape == (1, FRAMES, 7, 24)
        assert torch.equal(cond.text[0, 0], embedded[first])
        assert torch.equal(cond.text[0, -1], embedded[last])
        alone = m.condition(k.alone(0)).text
        assert alone is not None and torch.equal(alone[0, 0], embedded[first])
        null = m.null(cond).text
        assert null is not None and torch.equal(null[0, 2], embedded[2])
        kept = m.null(cond, ("image",)).text
        assert kept is not None and torch.equal(kept, cond.text)


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("both_ends", [False, True])
def test_noise_between_the_inverted_keyframes(
    method: str, both_ends: bool, keys: Keyframes
) -> None:
    m = tiny(replace(FACTS, both_ends=both_ends))
    s = Sampling(method=method, steps=4, init="slerp", init_until=0.5)
    frames = papers.render(m, keys, s)
    assert np.array_equal(frames, papers.render(m, keys, replace(s, seed=1)))  # nothing is drawn
    for other in (replace(s, init_until=0.0), replace(s, init="random", init_until=None)):
        assert not np.array_equal(frames, papers.render(m, keys, other))


def test_turning_all_attentions_comes_nearest_to_time_reversal() -> None:
    """The reversed half of a batch, with no delta, against the forward half. Self-attention alone
    would be the same in both; temporal convolutions and the other picture are what differs. Maps
    are made as peaked as a trained network's, else nothing tells them apart.
    """
    m, apart = tiny(), {}
    for layer in m.modules("temporal_attention"):
        for part, gain in (("to_q", 15), ("to_k", 15), ("to_v", 6), ("to_out.0", 6)):
            layer.get_parameter(f"{part}.weight").mul_(gain)
    pictures = torch.tanh(randn(5, 2, 3, HEIGHT, WIDTH))
    keys = Keyframes.ends(pictures[0], pictures[1], FRAMES)
    conds = [m.condition(k.only(0)) for k in (keys, keys.reversed())]
    # one token for all frames: a reversed clip's tokens are its own
    conds = [replace(c, image=c.image.mean(1, keepdim=True)) for c in conds if c.image is not None]
    x = randn(1, 1, FRAMES, 4, HEIGHT // 2, WIDTH // 2)
    for kind in ("none", "first_temporal_attention", "temporal_attention"):
        layers = [] if kind == "none" else m.modules(kind)
        with torch.inference_mode(), overriding(layers, rotate_pairs({})):
            x0 = m(torch.cat([x, x.flip(1)]), LEVEL, Cond.stack(conds))
        ahead, back = (LEVEL.v_from_x0(y, z) for y, z in ((x[0], x0[0]), (x[0], x0[1].flip(0))))
        apart[kind] = float((ahead - back).norm() / ahead.norm())
    none, first, every = apart.values()
    assert every < 0.6 * first < 0.6 * 0.6 * none  # 0.7, 1.9 and 7.6 % over eight seeds


def test_fs_is_told(m: DynamiCrafter, keys: Keyframes) -> None:
    """Where nothing is said, what the released scripts tell each variant (its run.sh)."""
    told: list[float] = []

    def look(_: Any, forward: Any, *args: Any) -> Any:
        told.append(float(args[4][0]))
        return forward(*args)

    with overriding([m.network], look):
        for fps in (None, 12):
            s = Sampling(method="dynamicrafter", steps=1, guidance=(1.0, 1.0), motion_fps=fps)
            papers.render(m, keys, s)
    assert told == [24, 12]
    own = {name: spec(name, facts).motion_fps for name, facts in VARIANTS.items()}
    assert own == {"256": 3, "512": 24, "1024": 10, "512_interp": 5, "tooncrafter": 10}
