"""Both directions of time in one network: predictions fused, temporal attention rotated.

The batch holds [forward, reversed]; the reversed half sees the latents flipped in time. Generative
Inbetweening (Wang et al. 2024) and VTG give that half the forward half's temporal attention map,
turned by 180 degrees:

    A'[i, j] = A[F-1-i, F-1-j]     =  softmax(flip(Q) flip(K)^T)

because a softmax row does not care in which order its columns stand. So nothing is stored and no
second network exists: the reversed half attends with the forward half's time-flipped Q and K to its
own V.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from vtg_cli.ground.tensor import FRAMES
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.solvers import Predictor

_TIME = 2  # of queries, keys and values [rows, heads, F, D]


def bidirectional(predict: Predictor, weight: float | Tensor) -> Predictor:
    """Fuse a forward and a reversed prediction: weight * forward + (1 - weight) * flipped back.

    predict: sees the batch [x, flip(x)]
    weight: a number or one per frame [1, F, 1, 1, 1]
    """

    def fused(x: Tensor, level: Level) -> Tensor:
        forward, backward = predict(torch.cat([x, x.flip(FRAMES)]), level).chunk(2)
        return weight * forward + (1 - weight) * backward.flip(FRAMES)

    return fused


@dataclass(frozen=True)
class Delta:
    """The difference between the reverse half of one attention layer and the shared weights.

    to_v: [inner, D] or None
    to_out: [D, inner] or None
    to_out_bias: [D] or None
    None: nothing is added
    """

    to_v: Tensor | None = None
    to_out: Tensor | None = None
    to_out_bias: Tensor | None = None


UNCHANGED = Delta()


def rotate_pairs(deltas: Mapping[nn.Module, Delta]) -> Callable[..., Tensor]:
    """Return the override for temporal self-attention layers (hooks.overriding).

    It reads a layer with the field's usual parts: linear `to_q`, `to_k`, `to_v`, `to_out[0]`, and
    `heads`. Input [rows, F, D] with the batch outermost in the rows; the first half of them is the
    forward direction. Layers without a delta reuse the forward weights.
    """

    def rotated(
        module: Any, forward: Callable[..., Tensor], h: Tensor, *_: Any, **__: Any
    ) -> Tensor:
        delta = deltas.get(module, UNCHANGED)
        ahead, back = h.chunk(2)
        query = _heads(module.to_q(ahead), module.heads)
        key = _heads(module.to_k(ahead), module.heads)
        value = _heads(module.to_v(ahead), module.heads)
        ahead = _output(module, scaled_dot_product_attention(query, key, value), UNCHANGED)
        value = _heads(_changed(module.to_v, back, delta.to_v, None), module.heads)
        # flipping V and the result is flipping Q and K, with one tensor less
        mixed = scaled_dot_product_attention(query, key, value.flip(_TIME)).flip(_TIME)
        return torch.cat([ahead, _output(module, mixed, delta)])

    return rotated


def _heads(x: Tensor, heads: int) -> Tensor:
    """Split [rows, F, heads * D] into [rows, heads, F, D]."""
    return torch.unflatten(x, -1, (heads, -1)).transpose(1, 2)


def _output(module: Any, x: Tensor, delta: Delta) -> Tensor:
    x = x.transpose(1, 2).flatten(-2)
    return _changed(module.to_out[0], x, delta.to_out, delta.to_out_bias)


def _changed(layer: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Apply a linear layer with something added to its parameters; adding to them costs less than a
    second product.
    """
    if weight is None and bias is None:
        out: Tensor = layer(x)
        return out
    weight = layer.weight if weight is None else layer.weight + weight
    return linear(x, weight, layer.bias if bias is None else layer.bias + bias)
