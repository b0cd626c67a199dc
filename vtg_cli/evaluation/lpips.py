"""LPIPS (Zhang et al. 2018, version 0.1): a perceptual distance of two pictures.

Features of five layers of a trunk (AlexNet as DiffMorpher, TVG and AID use it, or VGG-16) are
scaled to unit length over channels, and the squares of their differences weighted by the learned
head:

    d = sum over layers of mean over places of sum over channels w (a / (|a| + 1e-10) - b / ...)^2
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import WeightsError
from vtg_cli.evaluation.features import missing

if TYPE_CHECKING:
    from torch import Tensor

EPS = 1e-10  # added to a length, as lpips 0.1.4 does; torchmetrics has sqrt(|x|^2 + 1e-8)


class Lpips(Protocol):
    """A distance of pictures uint8 [B, H, W, 3] each to each, float64 [B]."""

    name: str

    def __call__(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Compute the distances."""
        ...


def lpips(
    name: str = "lpips-alex",
    path: str | os.PathLike[str] | None = None,
    device: str = "cpu",
) -> Lpips:
    """Load LPIPS with a trunk: "lpips-alex" or "lpips-vgg".

    path: a folder with the trunk's and the head's file; None: from vtg's cache

    Raises WeightsError where weights are missing.
    """
    raise WeightsError(missing(name, path) or f"{name} cannot be loaded yet", subject=name)


def neighbour_distances(distance: Lpips, clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the distances between neighbouring frames of a clip [F, H, W, 3]: [F - 1]."""
    return np.concatenate([distance(a[None], b[None]) for a, b in pairwise(clip)])


def head(a: Sequence[Tensor], b: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Compute the distances [B] from each layer's features of both pictures.

    a, b: [B, C, h, w] a layer; weights: [C] a layer, not negative
    """
    layers = []
    for x, y, w in zip(a, b, weights, strict=True):
        x, y = (z / (z.square().sum(1, keepdim=True).sqrt() + EPS) for z in (x, y))
        layers.append(((x - y).square() * w[None, :, None, None]).sum(1).mean((1, 2)))
    return sum(layers[1:], layers[0])
