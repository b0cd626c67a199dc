"""Shortcuts through SVD's network: work that can be left out, or done faster, with the same
numbers.

All of it is overrides on a finished network; the network never knows. Measured in
benchmarks/bench_gi_step.py.

- With one context token a cross-attention is one vector per sample: the softmax over one key is 1,
  so queries, keys and the norm before them are dead work.

On a CPU also:

- A temporal convolution, kernel (3, 1, 1), is a 2-d one over [F, H*W], for which there is a fast
  kernel.
- A feed-forward is done in runs of rows whose widened activations stay in the cache; it acts row by
  row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from vtg_cli.ground.hooks import Routes, overriding
from vtg_cli.ground.tensor import FRAMES

CACHED = 2**19
"""Elements of the widened activations of one run; of 2^17 .. 2^20, 2^19 was fastest in bf16, 2^18
and on alike in fp32."""
CROSS_ATTENTION = r"\.(temporal_)?transformer_blocks\.\d+\.attn2$"
WIDENING = 8
"""Factor by which a gated feed-forward widens its input: twice 4 times its width."""


class Shortcuts:
    """Overrides of a network's modules, found once; `taking(batch)` opens them around one call."""

    def __init__(self, network: nn.Module) -> None:
        named = dict(network.named_modules())

        def where(pattern: str) -> list[nn.Module]:
            return [m for name, m in named.items() if re.search(pattern, name)]

        self.spatial_cross_attention = where(r"\.transformer_blocks\.\d+\.attn2$")
        self.temporal_cross_attention = where(r"\.temporal_transformer_blocks\.\d+\.attn2$")
        self.transformers = where(r"\.attentions\.\d+$")
        self.cross_norm = where(r"\.(temporal_)?transformer_blocks\.\d+\.norm2$")
        self.feed_forward = where(r"\.(temporal_)?transformer_blocks\.\d+\.(ff|ff_in)$")
        self.temporal_conv = [
            m for m in named.values() if isinstance(m, nn.Conv3d) and m.kernel_size == (3, 1, 1)
        ]
        self._kept: dict[tuple[int, tuple[int, ...]], tuple[Callable[..., Any], Routes]] = {}
        self.on_cpu = next(network.parameters()).device.type == "cpu"

    @contextmanager
    def taking(self, batch: int, tokens: Tensor | None = None) -> Iterator[None]:
        """Open the overrides for one network call.

        batch: samples in the call; the rows of every attention are batch-major
        tokens: [B, F, 1, D], one for each frame in place of the one that a sample's frames share;
            attention along time gets the first of them, as the network has it
        """
        with ExitStack() as stack:
            if tokens is not None:
                stack.enter_context(overriding(self.transformers, _shown(tokens)))
            rows = batch if tokens is None else batch * tokens.shape[FRAMES]
            self._open(stack, self.spatial_cross_attention, _one_token, rows)
            self._open(stack, self.temporal_cross_attention, _one_token, batch)
            self._open(stack, self.cross_norm, _without)
            if self.on_cpu:
                self._open(stack, self.temporal_conv, _flat_conv)
                self._open(stack, self.feed_forward, _in_runs)
            yield

    def _open(
        self, stack: ExitStack, modules: Sequence[nn.Module], fn: Callable[..., Any], *told: int
    ) -> None:
        """Open the override `fn`, or what it makes of its arguments, the same object every time."""
        key = id(modules), told
        if key not in self._kept:
            self._kept[key] = fn(*told) if told else fn, {}
        stack.enter_context(overriding(modules, *self._kept[key]))


def _one_token(batch: int) -> Callable[..., Tensor]:
    def vector(
        module: Any,
        forward: Callable[..., Tensor],
        h: Tensor,
        encoder_hidden_states: Tensor,
        **_: Any,
    ) -> Tensor:
        rows = len(h) // batch  # per sample
        out: Tensor = module.to_out[0](module.to_v(encoder_hidden_states[::rows]))
        return out.repeat_interleave(rows, 0)  # [rows of h, 1, D], broadcast when added to h

    return vector


def _without(module: Any, forward: Callable[..., Tensor], h: Tensor) -> Tensor:
    return h


def _shown(tokens: Tensor) -> Callable[..., Any]:
    """Return the override of spatio-temporal transformers that gives every frame its own token."""

    def shown(
        module: Any,
        forward: Callable[..., Any],
        h: Tensor,
        encoder_hidden_states: Tensor,
        **more: Any,
    ) -> Any:
        return forward(h, encoder_hidden_states=tokens.flatten(0, 1), **more)

    return shown


def _flat_conv(module: Any, forward: Callable[..., Tensor], x: Tensor) -> Tensor:
    """Convolve [B, C, F, H, W] -> the same."""
    y = conv2d(x.flatten(-2), module.weight.squeeze(-1), module.bias, padding=(1, 0))
    return torch.unflatten(y, -1, x.shape[-2:])


def _in_runs(module: Any, forward: Callable[..., Tensor], h: Tensor) -> Tensor:
    flat = h.flatten(0, -2)
    rows = max(1, CACHED // (WIDENING * flat.shape[-1]))
    return torch.cat([forward(run) for run in torch.split(flat, rows)]).view_as(h)
