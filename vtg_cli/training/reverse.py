"""The second stage, for any backbone: the reverse-motion delta of temporal self-attention.

Generative Inbetweening (Wang et al. 2024, section 4.2) freezes the network, turns the forward
direction's attention maps by 180 degrees and tunes what the time-reversed half makes of them: the
value and output projections. Here that is a delta that starts at zero, and the loss is that of the
fused prediction, which is what sampling walks on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.backbones.deltas import FIELDS, layer_deltas
from vtg_cli.conditioning.cond import Cond
from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.fusion import bidirectional, rotate_pairs
from vtg_cli.sampling.guidance import bind
from vtg_cli.sampling.level import Level
from vtg_cli.training.losses import denoising_loss


class ReverseDelta(nn.Module):
    """The trained parameters: a zero for every value and output parameter of a backbone's temporal
    attention.
    """

    def __init__(self, m: Backbone) -> None:
        super().__init__()
        self._backbone = m
        self._layers = list(m.modules("temporal_attention"))
        names = {id(layer): name for name, layer in m.network.named_modules()}
        parameters = dict(m.network.named_parameters())
        self._names = [
            name
            for layer in self._layers
            for part in FIELDS
            if (name := f"{names[id(layer)]}.{part}") in parameters
        ]
        self.values = nn.ParameterList([torch.zeros_like(parameters[name]) for name in self._names])

    def by_name(self, values: list[Tensor] | None = None) -> dict[str, Tensor]:
        """Return parameter name -> delta, as weights.delta keeps them; values: others instead."""
        return dict(zip(self._names, values or list(self.values), strict=True))

    def fused(self, x: Tensor, level: Level, pair: Cond) -> Tensor:
        """Denoise both directions under rotated attention and return their mean.

        pair: the conditions of all clips forward, then of all backward
        """
        m = self._backbone
        deltas = layer_deltas(m.network, self._layers, self.by_name())
        with overriding(self._layers, rotate_pairs(deltas)):
            return bidirectional(bind(m, pair), 0.5)(x, level)

    def loss(
        self, x0: Tensor, eps: Tensor, level: Level, pair: Cond, weight: float | Tensor
    ) -> Tensor:
        """Compute the fused prediction's denoising loss; shapes as in losses.denoising_loss."""
        return denoising_loss(self.fused, x0, eps, level, pair, weight)
