"""Cond: what a network is told beside the latents and the level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from vtg_cli.ground.tensor import FRAMES


@dataclass(frozen=True, kw_only=True)
class Cond:
    """The conditions of a network: None (it has no such input) or tensors [batch, frames, ...].

    text:   [B, F|1, L, D]    token embeddings; F: its own tokens for every frame
    image:  [B, F|1, M, D]    image tokens
    concat: [B, F, C', H, W]  channels laid beside the noisy latents
    known:  [B, F, C, H, W]   clean latents of the known frames, anything elsewhere
    mask:   [B, F, 1, 1, 1]   1 where a frame is known
    motion: [B, n]            numbers about the whole clip (fps, motion bucket, noise augmentation)
    terms:                    conditions that lie innermost in the batch, one after another

    A null condition has the same kinds with other values, never None in place of a tensor, so it
    can be batched with the condition it is the null of.
    """

    text: Tensor | None = None
    image: Tensor | None = None
    concat: Tensor | None = None
    known: Tensor | None = None
    mask: Tensor | None = None
    motion: Tensor | None = None
    terms: int = 1

    def map(self, fn: Callable[[Tensor], Tensor]) -> Cond:
        """Apply `fn` to every tensor; the kinds stay the same."""
        held = {name: getattr(self, name) for name in TENSORS}
        values: dict[str, Any] = {n: None if v is None else fn(v) for n, v in held.items()}
        return Cond(**values, terms=self.terms)

    def term(self, k: int) -> Cond:
        """Return condition k of those that lie innermost in the batch, 0 <= k < terms."""
        return replace(self.map(lambda v: v[k :: self.terms]), terms=1)

    @staticmethod
    def stack(conds: Sequence[Cond]) -> Cond:
        """Batch conditions one after another. Raise ValueError if they differ in kind."""
        kinds = {tuple(getattr(c, name) is None for name in TENSORS) for c in conds}
        if len(kinds) != 1:
            raise ValueError("conditions to be batched must have the same kinds; see Backbone.null")
        values: dict[str, Any] = {
            name: torch.cat([getattr(c, name) for c in conds])
            for name in TENSORS
            if getattr(conds[0], name) is not None
        }
        return Cond(**values, terms=conds[0].terms)

    @staticmethod
    def interleave(conds: Sequence[Cond]) -> Cond:
        """Batch n conditions of batch B with the conditions innermost: (b0 c0) (b0 c1) .."""
        n = len(conds)
        laid = Cond.stack(conds).map(
            lambda v: torch.unflatten(v, 0, (n, -1)).transpose(0, 1).flatten(0, 1)
        )
        return replace(laid, terms=n)

    def reversed(self) -> Cond:
        """Return the conditions of the same clip played backwards."""
        flipped = self.map(lambda v: v.flip(FRAMES) if v.shape[FRAMES] > 1 else v)
        return replace(flipped, motion=self.motion)  # its second axis is not time


TENSORS = tuple(f.name for f in fields(Cond) if f.name != "terms")
