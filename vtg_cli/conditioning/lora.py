"""Low-rank updates of linear layers, mixed while sampling.

A mix acts on the updates, sum of w_i * B_i A_i, never on the factors: mixing A and B separately is
another, wrong matrix (cross terms B_i A_j).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

Factors = tuple[Tensor, Tensor]
"""(A [r, D_in], B [D_out, r]); the update of a weight [D_out, D_in] is B @ A."""


def mix_updates(
    updates: Sequence[dict[nn.Module, Factors]], weights: Sequence[float | Tensor]
) -> Callable[..., Tensor]:
    """An override for linear layers (hooks.overriding): forward(h) + sum of w_i * h A_i^T B_i^T.

    weights: one number per update, or tensors that broadcast to the layer's input h (one weight per
    frame).
    """

    def mixed(module: nn.Module, forward: Callable[..., Tensor], h: Tensor, *args: Any) -> Tensor:
        out = forward(h, *args)
        for update, w in zip(updates, weights, strict=True):
            a, b = update[module]
            out = out + w * (h @ a.T @ b.T)
        return out

    return mixed
