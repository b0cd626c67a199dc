"""LPIPS (Zhang et al. 2018, version 0.1): a perceptual distance of two pictures.

Features of five layers of a trunk (AlexNet as DiffMorpher, TVG and AID use it, or VGG-16) are
scaled to unit length over channels, and the squares of their differences weighted by the learned
head:

    d = sum over layers of mean over places of sum over channels w (a / (|a| + 1e-10) - b / ...)^2
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.evaluation.features import DISTANCES, identified, missing, pulled
from vtg_cli.weights.catalog import CATALOG

if TYPE_CHECKING:
    from torch import Tensor

EPS = 1e-10  # added to a length, as lpips 0.1.4 does; torchmetrics has sqrt(|x|^2 + 1e-8)
SMALLEST = {"alexnet": 31, "vgg16": 16}  # pixels of a side, of which a place is left at the end
Pictures = NDArray[np.uint8]


@dataclass
class Lpips:
    """LPIPS of pictures uint8 [B, H, W, 3] each to each.

    trunk: pictures [B, 3, H, W] in [-1, 1] to the maps of its layers; heads: their weights [C]
    smallest: pixels that a side must have
    weights: file name -> sha256 of what it was loaded from
    note: a sentence if these are not known to be the published ones, else ""
    """

    name: str
    trunk: Callable[[Tensor], Sequence[Tensor]]
    heads: Sequence[Tensor]
    device: str = "cpu"
    smallest: int = 1
    weights: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def __call__(self, a: Pictures, b: Pictures) -> NDArray[np.float64]:
        """Compute the distances [B]. Raise UsageError for pictures of two sizes or too small."""
        if a.shape != b.shape:
            raise UsageError(
                f"{self.name} compares pictures of one size, not {a.shape[1:3]} and {b.shape[1:3]}"
            )
        return self.of_maps(self.maps(a), self.maps(b))

    def maps(self, pictures: Pictures) -> Sequence[Tensor]:
        """Compute what is compared of pictures [B, H, W, 3]. Raise UsageError if too small."""
        import torch

        from vtg_cli.evaluation import preprocess

        if min(pictures.shape[1:3]) < self.smallest:
            raise UsageError(
                f"{self.name} takes pictures of at least {self.smallest} pixels a side, "
                f"not {pictures.shape[1:3]}"
            )
        with torch.inference_mode():
            return self.trunk(preprocess.lpips(pictures).to(self.device))

    def of_maps(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> NDArray[np.float64]:
        """Compute the distances [B] of pictures whose `maps` are known."""
        return np.asarray(head(a, b, self.heads).cpu().numpy(), np.float64)


def lpips(
    name: str = "lpips-alex",
    path: str | os.PathLike[str] | None = None,
    device: str = "cpu",
) -> Lpips:
    """Load LPIPS: "lpips-alex" (AlexNet) or "lpips-vgg" (VGG-16).

    path: a folder with torchvision's file of the trunk (alexnet*, vgg16*) and LPIPS's of the head
        (alex.*, vgg.*); None: what `vtg models pull` brought

    Raises WeightsError where weights are missing, damaged or others', UsageError for another name.
    """
    if name not in DISTANCES:
        raise UsageError(f"there is no LPIPS {name!r}", f"one of {', '.join(DISTANCES)}")
    sentence = missing(name, path)
    if sentence is not None:
        raise WeightsError(sentence, subject=name)
    from vtg_cli.evaluation.networks import load

    trunk_row = CATALOG[name].needs[0]
    rows = {trunk_row: f"{trunk_row}*", name: f"{Path(CATALOG[name].files[0]).stem}.*"}
    if path is None:
        files = {row: pulled(row) for row in rows}
    else:
        files = {row: _in(Path(path), pattern, name) for row, pattern in rows.items()}
    told = [identified(row, file, given=path is not None) for row, file in files.items()]
    trunk = load.trunk(trunk_row, files[trunk_row])
    heads = load.lpips_head(files[name], trunk.widths)
    return Lpips(
        name,
        trunk.to(device),
        [each.to(device) for each in heads],
        device,
        SMALLEST[trunk_row],
        {file: digest for digests, _ in told for file, digest in digests.items()},
        "; ".join(note for _, note in told if note),
    )


def _in(folder: Path, pattern: str, name: str) -> Path:
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if len(found) != 1:
        entry = CATALOG[name]
        wanted = f"{CATALOG[entry.needs[0]].files[0]} and {entry.files[0]}"
        raise WeightsError(
            f"{folder} holds {len(found)} files {pattern}, and {name} takes one",
            f"give a folder with {wanted}",
            subject=str(folder),
        )
    return found[0]


def neighbour_distances(distance: Lpips, clip: Pictures) -> NDArray[np.float64]:
    """Compute the distances between neighbouring frames of a clip [F, H, W, 3]: [F - 1]."""
    maps = (distance.maps(frame[None]) for frame in clip)
    return np.concatenate([distance.of_maps(a, b) for a, b in pairwise(maps)])


def head(a: Sequence[Tensor], b: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Compute the distances [B] from each layer's features of both pictures.

    a, b: [B, C, h, w] a layer; weights: [C] a layer, not negative
    """
    layers = []
    for x, y, w in zip(a, b, weights, strict=True):
        x, y = (z / (z.square().sum(1, keepdim=True).sqrt() + EPS) for z in (x, y))
        layers.append(((x - y).square() * w[None, :, None, None]).sum(1).mean((1, 2)))
    return sum(layers[1:], layers[0])
