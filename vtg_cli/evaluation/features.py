"""Feature networks by name: what each is for, where its weights are, how clips reach it.

A network is used only with the weights its published scores were computed with, and they come from
the user: `vtg models pull NAME`, where a hub has them, or `--features NAME=PATH`. Where they are
missing, the score is absent and `missing` is the sentence that says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.evaluation.moments import Moments

Batch = NDArray[np.uint8]
"""Pictures [B, H, W, 3] or clips [B, F, H, W, 3], of one size."""


class Extractor(Protocol):
    """A network that turns pictures or clips into features.

    name: a key of NETWORKS
    dim: numbers of a feature
    frames: a clip needs, at the least; 1: it takes pictures
    """

    name: str
    dim: int
    frames: int

    def __call__(self, batch: Batch) -> NDArray[np.float32]:
        """Compute features [B, dim] of pictures, or of clips if `frames` is not 1."""
        ...


@dataclass(frozen=True)
class Network:
    """The facts of a feature network.

    scores: what is computed from its features
    dim, frames: as of its Extractor
    exact: a clip must have just so many frames
    """

    scores: str
    dim: int
    frames: int = 1
    exact: bool = False


NETWORKS: Mapping[str, Network] = {
    "inception": Network("FID (pytorch-fid, clean-fid)", 2048),
    "inception-torchscript": Network("FID (StyleGAN-V's file)", 2048),
    "i3d-torchscript": Network("FVD (StyleGAN-V, VIDM)", 400, 9),
    "i3d": Network("FVD (content-debiased FVD's i3d)", 400, 9),
    "videomae": Network("FVD, content-debiased (GI)", 1408, 16, exact=True),
    "c3d": Network("inception score of clips (UCF-101)", 101, 16, exact=True),
    "clip": Network("VBench background consistency, clip_transition_rate", 512),
    "dino": Network("VBench subject consistency, I2V subject", 768),
    "dinov2": Network("picture features of DINOv2", 768),
    "lpips-alex": Network("LPIPS, PPL, smoothness", 0),
    "lpips-vgg": Network("LPIPS with VGG", 0),
}


def missing(name: str, path: str | os.PathLike[str] | None = None) -> str | None:
    """Return None if a network's weights are there, else the sentence that says what to do.

    path: of the weights, as the user gives it; None: in vtg's cache. Raises UsageError for an
    unknown name.
    """
    network = network_of(name)
    if path is not None:
        return None if Path(path).exists() else f"{name}: there is no file {os.fspath(path)}"
    return f"{network.scores}: absent, the weights of {name} are not here"


def network_of(name: str) -> Network:
    """Return the facts of a network. Raise UsageError."""
    if name not in NETWORKS:
        raise UsageError(f"there is no feature network {name!r}", f"one of {', '.join(NETWORKS)}")
    return NETWORKS[name]


def extractor(
    name: str, path: str | os.PathLike[str] | None = None, device: str = "cpu"
) -> Extractor:
    """Load a network with its published weights, on the CPU in float32 by default.

    path: a file, or a folder for those of transformers; None: from vtg's cache

    Raises WeightsError where they are missing, damaged or another network's, UsageError for an
    unknown name.
    """
    sentence = missing(name, path)
    raise WeightsError(sentence or f"{name} cannot be loaded yet", subject=name)


def features_of(network: Extractor, batches: Iterable[Batch]) -> NDArray[np.float32]:
    """Compute the features of all batches, [N, dim]."""
    return np.concatenate([network(batch) for batch in batches])


def moments_of(network: Extractor, batches: Iterable[Batch]) -> Moments:
    """Compute mean and covariance of the features of all batches, in constant memory."""
    moments = Moments.empty(network.dim)
    for batch in batches:
        moments.update(network(batch))
    return moments
