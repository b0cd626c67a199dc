"""Reverse motion, for any backbone: what the time-reversed half of rotated attention is taught.

Generative Inbetweening (Wang et al. 2024, algorithm 1) freezes the network, turns the forward
direction's temporal attention maps by 180 degrees and tunes the value and output projections of
the half that runs backwards, until that half predicts the reversed clip:

    loss = mean of w |backward(flip(x)) - flip(x0)|^2

The trained parameters are full weights in float32, so that the optimiser's decay acts on them as in
the reference; what is kept is their difference from the network's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import FRAMES
from vtg_cli.sampling.fusion import Delta, rotate_pairs
from vtg_cli.training.example import Example
from vtg_cli.training.levels import loss_weight

TRAINED = {"to_v.weight": "to_v", "to_out.0.weight": "to_out"}
"""Trained parameters of an attention layer, and their names in a Delta."""


class ReverseMotion(nn.Module):
    """The trained weights: values and outputs of every temporal self-attention that is rotated.

    initial: parameter name -> weights to begin with, in place of the network's own
    """

    def __init__(self, m: Backbone, initial: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self._backbone = m
        self._layers = list(m.modules("temporal_attention"))
        named = {id(layer): name for name, layer in m.network.named_modules()}
        self.places = {
            f"{named[id(layer)]}.{part}": (layer, field)
            for layer in self._layers
            for part, field in TRAINED.items()
        }
        weights = initial or {}
        self.values = nn.ParameterList(
            [
                weights.get(name, m.network.get_parameter(name)).detach().float().clone()
                for name in self.places
            ]
        )

    def by_name(self, values: list[Tensor] | None = None) -> dict[str, Tensor]:
        """Return parameter name -> difference from the network, as weights.delta keeps them.

        values: others in place of the trained ones, such as their average
        """
        both = zip(self.places, values or list(self.values), strict=True)
        return {name: value.detach() - self._own(name) for name, value in both}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Rotate the network's temporal attention while open, with the weights as they are then."""
        with overriding(self._layers, rotate_pairs(_Live(self))):
            yield

    def loss(self, given: Example) -> Tensor:
        """Compute the loss of the reversed half's prediction. Needs `applied`, until the gradient
        is there: checkpointing calls the layers again.
        """
        m, level = self._backbone, given.level
        x = level.noise(given.x0, given.eps)
        predicted = m(torch.cat([x, x.flip(FRAMES)]), level, given.pair).chunk(2)[1]
        weight = loss_weight(m, level, given.pair)
        weight = weight.chunk(2)[1] if isinstance(weight, Tensor) else weight
        return (weight * (predicted - given.x0.flip(FRAMES)).square()).mean()

    def delta(self, layer: nn.Module) -> Delta:
        """Return the present difference of one layer, which gradients pass."""
        fields = {
            field: value - self._own(name)
            for (name, (place, field)), value in zip(self.places.items(), self.values, strict=True)
            if place is layer
        }
        return Delta(**fields)

    def _own(self, name: str) -> Tensor:
        return self._backbone.network.get_parameter(name).detach().float()


class _Live(Mapping[nn.Module, Delta]):
    """A map from layers to their differences at the moment they are asked for."""

    def __init__(self, trained: ReverseMotion) -> None:
        self._trained = trained
        self._layers = list(dict.fromkeys(layer for layer, _ in trained.places.values()))

    def __getitem__(self, layer: nn.Module) -> Delta:
        return self._trained.delta(layer)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)
