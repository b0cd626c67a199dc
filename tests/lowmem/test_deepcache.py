"""Deep features used again: what is computed, what is not, and that nothing stays behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rounding import DEEP, rounding
from torch import Tensor, nn

from vtg_cli.backbones import base
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.hooks import overriding, recording
from vtg_cli.job.sampling import Sampling
from vtg_cli.lowmem.deepcache import reusing
from vtg_cli.lowmem.ladder import Ladder
from vtg_cli.machine.rungs import RUNGS, Rung
from vtg_cli.methods import papers, walk
from vtg_cli.sampling.settings import Work, resolved, work

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones" / "dynamicrafter"))
import tiny_models

FOLDER = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
FRAMES = 4


@pytest.fixture(scope="module")
def models() -> dict[str, base.Backbone]:
    return {"svd": base.load(FOLDER, device="cpu", dtype="fp32"), "crafter": tiny_models.tiny()}


@pytest.fixture(scope="module")
def keys() -> Keyframes:
    pictures = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Keyframes.ends(pictures[0], pictures[1], FRAMES)


def task(m: base.Backbone, keys: Keyframes) -> tuple[Tensor, Cond]:
    told = keys if m.spec.both_ends else keys.only(0)
    size = m.latent_size(*keys.pixels.shape[-2:])
    shape = (1, FRAMES, m.spec.channels, *size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)), m.condition(told)


@contextmanager
def counted(module: nn.Module) -> Iterator[list[int]]:
    """Frames in every call of a module."""
    calls: list[int] = []

    def count(_: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else kwargs["hidden_states"]
        calls.append(x.shape[0] * x.shape[1] if x.ndim == 5 else len(x))
        return forward(*args, **kwargs)

    with overriding([module], count):
        yield calls


@pytest.mark.parametrize("which", ["svd", "crafter"])
@torch.inference_mode()
def test_between_whole_evaluations_the_last_deep_answer_is_taken(
    models: dict[str, base.Backbone], keys: Keyframes, which: str
) -> None:
    """Against the whole network with nothing but that answer put in its place."""
    m = models[which]
    x, cond = task(m, keys)
    high, low = m.path(8)[2], m.path(8)[3]
    last = m.modules("deep")[-1]
    with recording([last]) as kept:
        plain = m(x, high, cond)
    with overriding([last], lambda *_, **__: kept[0]):
        expected = m(x, low, cond)
    with counted(m.modules("deep")[0]) as calls, reusing(m, 2) as quick:
        assert torch.equal(quick(x, high, cond), plain)
        assert torch.equal(quick(x, low, cond), expected)
    assert calls == [FRAMES]
    assert not torch.equal(expected, m(x, low, cond))  # and that is another answer


@pytest.mark.parametrize("which", ["svd", "crafter"])
@torch.inference_mode()
def test_conditions_never_share_answers(
    models: dict[str, base.Backbone], keys: Keyframes, which: str
) -> None:
    m = models[which]
    x, cond = task(m, keys)
    null, (high, low) = m.null(cond), m.path(8)[2:4]
    with reusing(m, 2) as quick:
        alone = [quick(x, level, null) for level in (high, low)]
    with reusing(m, 2) as quick:
        mixed = [quick(x, level, each) for level in (high, low) for each in (cond, null)]
    assert torch.equal(mixed[1], alone[0]) and torch.equal(mixed[3], alone[1])


@pytest.mark.parametrize("rung", ["full", "chunked", "windows"])
@pytest.mark.parametrize("which", ["svd", "crafter"])
@torch.inference_mode()
def test_on_a_ladder_every_piece_has_its_own_answer(
    models: dict[str, base.Backbone], keys: Keyframes, which: str, rung: str
) -> None:
    """Guidance terms in one batch, taken apart below full; against each term asked for by itself,
    and by windows against each window.
    """
    m: Any = models[which]
    x, cond = task(m, keys)
    x = torch.cat([x, x.flip(-1)], -1)
    cond = replace(cond, concat=torch.cat([cond.concat, cond.concat.flip(-1)], -1))
    levels, terms = m.path(8)[2:4], (cond, m.null(cond))
    window = min(x.shape[-2:]) if rung == "windows" else None
    step = Rung(name=rung, one_by_one=rung != "full", window=window)
    ladder: Any = Ladder(m, (step,), torch.device("cpu"))
    together = Cond.interleave(terms)
    with reusing(ladder, 2) as quick:
        found = [quick(x.repeat_interleave(2, 0), level, together) for level in levels]
    for k, term in enumerate(terms):
        alone: Any = Ladder(m, (replace(step, one_by_one=False),), torch.device("cpu"))
        with reusing(alone, 2) as quick:
            expected = [quick(x, level, term) for level in levels]
        for a, b in zip(found, expected, strict=True):
            # full adds up in another order, on latents of some units
            torch.testing.assert_close(a[k : k + 1], b, atol=rounding(DEEP, 4), rtol=0)
    plain = alone(x, levels[1], terms[1])
    assert (found[1][1:] - plain).abs().max() > 1e-3


@torch.inference_mode()
def test_a_rung_lower_nothing_of_the_one_before_is_taken(
    models: dict[str, base.Backbone], keys: Keyframes
) -> None:
    """Memory runs out where the deep part would have been remembered: that step is whole."""
    m: Any = models["svd"]
    x, cond = task(m, keys)
    high, low = m.path(8)[2:4]
    together, both = Cond.interleave((cond, m.null(cond))), x.repeat_interleave(2, 0)
    ladder: Any = Ladder(m, RUNGS[:2], torch.device("cpu"))
    failing = iter([True, False, False])

    def fails(_: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
        if next(failing):
            raise torch.OutOfMemoryError
        return forward(*args, **kwargs)

    with reusing(ladder, 2) as quick:
        quick(both, high, together)
        with overriding([m.network], fails), counted(m.modules("deep")[0]) as deep:
            found = quick(both, low, together)
    assert ladder.tried == ("full", "chunked") and deep == [FRAMES, FRAMES]
    expected = torch.cat([m(x, low, each) for each in (cond, m.null(cond))])
    torch.testing.assert_close(found, expected, atol=rounding(DEEP, 4), rtol=0)


@pytest.mark.parametrize("which", ["svd", "crafter"])
def test_nothing_is_remembered_after_a_segment(
    models: dict[str, base.Backbone], keys: Keyframes, which: str
) -> None:
    m = models[which]
    s = Sampling(method="trf", steps=4, renoise=0, guidance=(1.0, 3.0), reuse=2)
    other = Keyframes.ends(-keys.pixels[0], keys.pixels[1], FRAMES)
    first = papers.render(m, keys, s)
    papers.render(m, other, s)
    assert np.array_equal(papers.render(m, keys, s), first)
    assert all("forward" not in module.__dict__ for module in m.modules("deep"))
    plain = papers.render(m, keys, replace(s, reuse=1))
    assert not np.array_equal(plain, first)
    with reusing(m, 1) as same:
        assert same is m


@pytest.mark.parametrize("which", ["svd", "crafter"])
@pytest.mark.parametrize("reuse", [1, 2, 3])
@pytest.mark.parametrize(
    "asked",
    [
        Sampling(method="gi", guidance=(1.0, 3.0), renoise=2, renoise_until=0.5),
        Sampling(method="trf", guidance=(1.0, 1.0), renoise=1, renoise_until=1.0),
        Sampling(method="trf", guidance=(2.0, 2.0), renoise=0, guidance_span=(0.25, 0.7)),
        Sampling(method="i2v", guidance=(2.0, 2.0), solver="dpmpp_2m", guidance_span=(0.0, 0.5)),
        Sampling(method="tvg", guidance=(7.5, 7.5), guidance_span=(0.3, 0.6)),
        Sampling(method="di", guidance=(1.0, 3.0), guidance_span=(0.5, 1.0)),
    ],
    ids=lambda s: f"{s.method}-{s.solver}",
)
def test_planned_work_is_what_happens(
    models: dict[str, base.Backbone], keys: Keyframes, which: str, asked: Sampling, reuse: int
) -> None:
    m = models[which]
    s = resolved(replace(asked, steps=7, reuse=reuse), has_reverse=False)
    with counted(m.network) as calls, counted(m.modules("deep")[0]) as deep:
        papers.render(m, keys, s)
    planned, single = m.spec.work(s), m.spec.inversions(s)  # of frames, always whole
    assert sum(calls) - single == planned.evaluations * FRAMES
    assert sum(deep) - single == planned.whole * FRAMES


def test_batched_guidance_is_counted_like_guidance_term_by_term(
    models: dict[str, base.Backbone], keys: Keyframes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "term_by_term", lambda m: False)
    m = models["svd"]
    s = Sampling(method="trf", steps=6, guidance=(2.0, 2.0), guidance_span=(0.2, 0.7), reuse=2)
    s = resolved(s, has_reverse=False)
    with counted(m.modules("deep")[0]) as deep:
        papers.render(m, keys, s)
    assert sum(deep) == m.spec.work(s).whole * FRAMES


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Sampling(steps=10), Work(10, 10)),
        (Sampling(steps=10, reuse=3), Work(10, 4)),  # at steps 0, 3, 6, 9
        # a detour after each of 4 steps: 1 + 1 whole, then 3 x (again, whole), then 6 steps of
        # which each second is whole
        (Sampling(steps=10, reuse=2, renoise=1, renoise_until=0.4), Work(14, 8)),
        (Sampling(steps=10, guidance=(3.0, 3.0)), Work(20, 20)),
        (Sampling(steps=10, guidance=(3.0, 3.0), guidance_span=(0.2, 0.5)), Work(13, 13)),
        # without 0 1 2 3 4, with 5 6, without 7 8 9: whole at 0 2 4, at 5 in both terms, at 7,
        # before which there was guidance, and at 9
        (
            Sampling(steps=10, guidance=(3.0, 3.0), guidance_span=(0.5, 0.7), reuse=2),
            Work(12, 7),
        ),
        (Sampling(steps=10, solver="heun"), Work(19, 19)),
        (Sampling(steps=10, solver="heun", guidance=(3, 3), guidance_span=(0, 0.5)), Work(28, 28)),
    ],
)
def test_work_by_hand(asked: Sampling, expected: Work) -> None:
    told = {"method": "i2v", "guidance": asked.guidance or (1.0, 1.0)}
    s = resolved(replace(asked, **told), has_reverse=False)  # type: ignore[arg-type]
    assert work(s) == expected
