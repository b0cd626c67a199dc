"""Attention between both ends against attention as papers draw it, in numpy, and scipy's Beta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import beta
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.attention import beta_shares, between_captions, between_ends

B, F, N, D, HEADS = 2, 5, 7, 12, 3
SHARES = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0])
Array = NDArray[np.float64]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = HEADS
        self.to_q, self.to_k, self.to_v = (nn.Linear(D, D, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(D, D)])

    def forward(self, h: Tensor) -> Tensor:
        return self.look(h, h)

    def look(self, h: Tensor, context: Tensor) -> Tensor:
        q, k, v = (
            torch.unflatten(x, -1, (HEADS, -1)).transpose(1, 2)
            for x in (self.to_q(h), self.to_k(context), self.to_v(context))
        )
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)
        out: Tensor = self.to_out[0](mixed)
        return out


@dataclass(frozen=True)
class Told:
    text: Tensor


class Reading(Attention):
    """As DynamiCrafter's attention to captions: frames' tokens, folded as rows are."""

    def forward(self, h: Tensor, told: Told | None = None) -> Tensor:
        assert told is not None
        return self.look(h, told.text.expand(-1, F, -1, -1).flatten(0, 1))


def made(kind: type[Attention]) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind().double().requires_grad_(False)


@pytest.fixture
def layer() -> Any:
    return made(Attention)


@pytest.fixture
def h() -> Tensor:
    return torch.randn(B * F, N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def attend(q: Array, k: Array, v: Array) -> Array:
    """One head: [N, d], [M, d], [M, d] -> [N, d]."""
    scores = q @ k.T / np.sqrt(q.shape[1])
    weights = np.exp(scores - scores.max(1, keepdims=True))
    return (weights / weights.sum(1, keepdims=True)) @ v


def expected(layer: Any, h: Tensor, inner: bool, fused: bool) -> Tensor:
    q, k, v = (
        to(h).reshape(B, F, N, HEADS, -1).permute(0, 1, 3, 2, 4).numpy()
        for to in (layer.to_q, layer.to_k, layer.to_v)
    )
    out = np.zeros_like(q)
    for b, f, head in np.ndindex(B, F, HEADS):
        w = float(SHARES[f])
        (k0, v0), (k1, v1), (mine, mine_v) = ((k[b, n, head], v[b, n, head]) for n in (0, F - 1, f))

        def look(key: Array, value: Array, own: Array = mine, own_v: Array = mine_v) -> Array:
            if fused:
                key, value = np.concatenate([key, own]), np.concatenate([value, own_v])
            return attend(q[b, f, head], key, value)  # noqa: B023

        if inner:
            out[b, f, head] = look((1 - w) * k0 + w * k1, (1 - w) * v0 + w * v1)
        else:
            out[b, f, head] = (1 - w) * look(k0, v0) + w * look(k1, v1)
    joined = torch.from_numpy(out).permute(0, 1, 3, 2, 4).reshape(B * F, N, D)
    answer: Tensor = layer.to_out[0](joined)
    return answer


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_every_frame_looks_between_both_ends(
    layer: Any, h: Tensor, inner: bool, fused: bool
) -> None:
    with overriding([layer], between_ends(SHARES.double(), inner=inner, fused=fused)):
        got = layer(h)
    # double precision on numbers of about one
    assert torch.allclose(got, expected(layer, h, inner, fused), rtol=0, atol=1e-12)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_the_ends_attend_as_ever(layer: Any, h: Tensor, inner: bool, fused: bool) -> None:
    """At the shares 0 and 1; fused keys that stand there twice weigh as if once."""
    with overriding([layer], between_ends(SHARES.double(), inner=inner, fused=fused)):
        got = torch.unflatten(layer(h), 0, (B, F))
    plain = torch.unflatten(layer(h), 0, (B, F))
    for end in (0, -1):
        assert torch.allclose(got[:, end], plain[:, end], rtol=0, atol=1e-12)
    assert float((got - plain)[:, 1:-1].abs().max()) > 0.01


@pytest.mark.parametrize("inner", [False, True])
def test_a_clip_that_stands_still_attends_as_ever(layer: Any, h: Tensor, inner: bool) -> None:
    still = torch.unflatten(h, 0, (B, F))[:, :1].expand(-1, F, -1, -1).flatten(0, 1)
    with overriding([layer], between_ends(SHARES.double(), inner=inner)):
        got = layer(still)
    assert torch.allclose(got, layer(still), rtol=0, atol=1e-12)


def test_rows_that_are_no_whole_clips_are_refused(layer: Any, h: Tensor) -> None:
    with (
        overriding([layer], between_ends(SHARES)),
        pytest.raises(ValueError, match="9 rows are no whole number of clips of 5 frames"),
    ):
        layer(h[:9])


@pytest.mark.parametrize("fused", [False, True])
def test_captions_are_looked_at_from_both_ends(h: Tensor, fused: bool) -> None:
    layer = made(Reading)
    text = torch.randn(B, F, 4, D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    shares = SHARES.double()
    with overriding([layer], between_captions(shares, fused=fused)):
        got = torch.unflatten(layer(h, Told(text)), 0, (B, F))
    plain = torch.unflatten(layer(h, Told(text)), 0, (B, F))
    rows = torch.unflatten(h, 0, (B, F))
    for b in range(B):
        for f in range(F):
            parts = []
            for end in (0, F - 1):
                seen = [text[b, end], text[b, f]] if fused else [text[b, end]]
                parts.append(layer.look(rows[b, f][None], torch.cat(seen)[None])[0])
            w = shares[f]
            assert torch.allclose(got[b, f], (1 - w) * parts[0] + w * parts[1], rtol=0, atol=1e-12)
    for end in (0, -1):
        assert torch.allclose(got[:, end], plain[:, end], rtol=0, atol=1e-12)


def test_one_caption_for_all_frames_changes_nothing(h: Tensor) -> None:
    layer, told = made(Reading), Told(torch.ones(B, 1, 4, D, dtype=torch.float64))
    with overriding([layer], between_captions(SHARES)):
        assert torch.equal(layer(h, told), layer.forward(h, told))


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.0, 2.0), (25.0, 25.0), (3.0, 8.0)])
def test_shares_are_quantiles_of_a_beta_distribution(a: float, b: float) -> None:
    shares = beta_shares(16, a, b)
    assert shares[0] == 0 and shares[-1] == 1
    # midpoint sums over 2^14 cells
    assert shares.tolist() == pytest.approx(beta(a, b).ppf(np.linspace(0, 1, 16)), abs=2e-4)
    assert beta_shares(1, a, b).tolist() == [0.0]
