"""The layers a pair LoRA is fitted on, and its mixing into a network that samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.lora import Pair, Weight
from vtg_cli.conditioning.text import keyframe_weights
from vtg_cli.ground.hooks import overriding

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
KINDS = ("spatial_attention", "cross_attention")


def layers_of(m: Backbone) -> dict[str, nn.Linear]:
    """Return name in the network -> projection of spatial and cross-attention. Raise ValueError if
    there is none.

    Layers that look along time are left out. SVD counts the cross-attention of its temporal
    transformers among the others; such layers have "temporal" in their names.
    """
    names = {id(module): name for name, module in m.network.named_modules()}
    layers = {}
    for layer in _attentions(m, *KINDS):
        for part in PROJECTIONS:
            linear = layer.get_submodule(part)
            assert isinstance(linear, nn.Linear)
            layers[names[id(linear)]] = linear
    if not layers:
        raise ValueError(f"{m.spec.name} has no spatial or cross-attention to fit")
    return layers


Weights = Sequence[Weight] | Callable[[int, int], Sequence[Weight]]
"""Weights of a pair's updates: one Weight each (lora.Weight; keyframe_weights gives those of every
frame), or a function that gives them for a call of the network with so many clips of so many
frames."""


def mixing(directions: int) -> Callable[[int, int], Sequence[Weight]]:
    """Return a pair's Weights for sampling: every frame has as much of each keyframe's update as it
    is near to it.

    directions: of time, outermost in the batch; the second one is reversed

    Clips of a single frame are the two keyframes themselves, each with its own.
    """

    def weights(clips: int, frames: int) -> Sequence[Weight]:
        if frames == 1:
            return [Tensor([[1.0], [0.0]]), Tensor([[0.0], [1.0]])]
        ahead = keyframe_weights((0, frames - 1), frames)
        return torch.stack([ahead, ahead.flip(1)][:directions], 1).unbind()

    return weights


@contextmanager
def applied(m: Backbone, pair: Pair, weights: Weights) -> Iterator[None]:
    """Apply the pair's updates to the network while open."""
    crossing = _attentions(m, "cross_attention")

    def inside(
        _: nn.Module, forward: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        pair_weights = weights(*x.shape[:2]) if callable(weights) else weights
        pair_weights = [w.to(m.device) if isinstance(w, Tensor) else w for w in pair_weights]
        apart = any(isinstance(w, Tensor) and w.ndim for w in pair_weights)
        # opened in here to run before the overrides a backbone opens around its network: one of
        # SVD's takes the frames of a clip for one row
        rows = overriding(crossing, _every_row) if apart else nullcontext()
        with overriding(pair.layers, pair.mixed(pair_weights)), rows:
            return forward(x, *args, **kwargs)

    with overriding([m.network], inside):
        yield


def _every_row(module: Any, forward: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Compute cross-attention to one token: the softmax over one key is 1."""
    tokens = kwargs.get("encoder_hidden_states")
    if tokens is None or tokens.shape[-2] != 1:
        return forward(*args, **kwargs)
    out: Tensor = module.to_out[0](module.to_v(tokens))
    return out


def _attentions(m: Backbone, *kinds: str) -> list[nn.Module]:
    """Return a network's attention layers of some kinds but for those that look along time."""
    names = {id(module): name for name, module in m.network.named_modules()}
    layers = [layer for kind in kinds for layer in m.modules(kind)]
    return [layer for layer in layers if "temporal" not in names[id(layer)]]
