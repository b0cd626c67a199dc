"""Attention between both ends of a clip (AID, He et al. 2024, arXiv 2403.17924).

Every frame n, at a share w_n from the first frame to the last, keeps its own queries and looks at
both ends' keys and values:

    inner   A(Q, (1 - w) K_1 + w K_N, (1 - w) V_1 + w V_N)
    outer   (1 - w) A(Q, K_1, V_1) + w A(Q, K_N, V_N)

Fused, it looks at its own as well: [K_1 .., K_n] and [V_1 .., V_n], laid one behind the other. A
softmax over a set of keys laid down twice is the softmax over it once, so the ends themselves
attend as they always do.

Rows are frames, batch outermost, as networks fold them: [(B F), N, D].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

_TOKENS = 2  # of queries, keys and values [rows, heads, N, D]


def beta_shares(frames: int, a: float, b: float) -> Tensor:
    """Return how far each frame is from the first to the last, [F] from 0 to 1: quantiles of a
    Beta(a, b) distribution at even distances (AID, section on the Beta prior).

    The larger a and b, the nearer the frames between are to the middle; a = b = 1 is even.
    """
    grid = np.linspace(0, 1, 2**14 + 1)
    middle = (grid[1:] + grid[:-1]) / 2
    log = (a - 1) * np.log(middle) + (b - 1) * np.log1p(-middle)
    mass = np.exp(log - np.max(log))
    cumulated = np.concatenate([[0.0], np.cumsum(mass)]) / mass.sum()
    shares = np.interp(np.linspace(0, 1, frames), cumulated, grid)
    if frames > 1:  # far from the middle the mass is below float precision
        shares[0], shares[-1] = 0.0, 1.0
    return torch.from_numpy(shares).float()


def between_ends(
    shares: Tensor, *, inner: bool = False, fused: bool = True
) -> Callable[..., Tensor]:
    """Return the override for self-attention over the places of a frame (hooks.overriding).

    shares: [F]
    inner, fused: as above

    It reads a layer with the field's usual parts: linear `to_q`, `to_k`, `to_v`, `to_out[0]`, and
    `heads`.
    """

    def routed(
        module: Any, forward: Callable[..., Tensor], h: Tensor, *_: Any, **__: Any
    ) -> Tensor:
        query, key, value = (
            torch.unflatten(to(h), -1, (module.heads, -1)).transpose(1, 2)
            for to in (module.to_q, module.to_k, module.to_v)
        )
        own = [key, value] if fused else None
        w = _over_rows(shares, h)
        (k_first, k_last), (v_first, v_last) = (_ends(x, len(shares)) for x in (key, value))
        if inner:
            out = _look(query, torch.lerp(k_first, k_last, w), torch.lerp(v_first, v_last, w), own)
        else:
            out = torch.lerp(
                _look(query, k_first, v_first, own), _look(query, k_last, v_last, own), w
            )
        answer: Tensor = module.to_out[0](out.transpose(1, 2).flatten(-2))
        return answer

    return routed


def between_captions(shares: Tensor, *, fused: bool = True) -> Callable[..., Tensor]:
    """Return the override for attention to captions, outer; shares: [F].

    It reads a layer that is called with the hidden states and an object whose `text` [B, F|1, L, D]
    holds every frame's tokens. The layer's last step is linear, so what it makes of both ends can
    be mixed.
    """

    def routed(
        module: Any, forward: Callable[..., Tensor], h: Tensor, told: Any, *rest: Any
    ) -> Tensor:
        text = told.text
        if text.shape[1] == 1:  # one caption for all frames: nothing lies between
            return forward(h, told, *rest)
        first, last = (end.expand_as(text) for end in (text[:, :1], text[:, -1:]))
        seen = (torch.cat([end, text], 2) if fused else end for end in (first, last))
        ahead, back = (forward(h, replace(told, text=tokens), *rest) for tokens in seen)
        return torch.lerp(ahead, back, _over_rows(shares, h)[:, 0])

    return routed


def _over_rows(shares: Tensor, h: Tensor) -> Tensor:
    """Repeat shares [F] to [rows, 1, 1, 1] for rows [(B F), ..]."""
    clips, rest = divmod(len(h), len(shares))
    if rest:
        raise ValueError(f"{len(h)} rows are no whole number of clips of {len(shares)} frames")
    return shares.to(h).repeat(clips)[:, None, None, None]


def _ends(x: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Return the first and the last frame of [(B F), ..], each for all frames of its clip."""
    clips = torch.unflatten(x, 0, (-1, frames))
    first, last = (end.expand_as(clips).flatten(0, 1) for end in (clips[:, :1], clips[:, -1:]))
    return first, last


def _look(query: Tensor, key: Tensor, value: Tensor, own: list[Tensor] | None) -> Tensor:
    if own is not None:
        key, value = (
            torch.cat([x, mine], _TOKENS) for x, mine in zip((key, value), own, strict=True)
        )
    return scaled_dot_product_attention(query, key, value)
