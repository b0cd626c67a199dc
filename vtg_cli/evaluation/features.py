"""Feature networks by name: what each is for, whose weights it takes, how clips reach it.

A network is used only with the weights its published scores were computed with, and they come from
the user: `vtg models pull NAME`, where vtg may fetch them, or `--features NAME=PATH`. Where they
are missing, the score is absent and `missing` is the sentence that says so; nothing is computed
from other features under the same name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.evaluation.moments import Moments
from vtg_cli.weights import store
from vtg_cli.weights.catalog import CATALOG

if TYPE_CHECKING:
    from torch import Tensor

Batch = NDArray[np.uint8]
"""Pictures [B, H, W, 3] or clips [B, F, H, W, 3], of one size."""


class Extractor(Protocol):
    """A network that turns pictures or clips into features.

    name: a key of NETWORKS
    dim: numbers of a feature
    frames: a clip needs, at the least; 1: it takes pictures
    weights: file name -> sha256 of what it was loaded from
    note: a sentence if these are not known to be the published ones, else ""
    """

    name: str
    dim: int
    frames: int
    weights: Mapping[str, str]
    note: str

    def __call__(self, batch: Batch) -> NDArray[np.float32]:
        """Compute features [B, dim] of pictures, or of clips if `frames` is not 1."""
        ...


@dataclass(frozen=True)
class Network:
    """The facts of a feature network.

    scores: what is computed from its features
    weights: its row in the catalogue, and NAME in `--features NAME=PATH`
    dim, frames: as of its Extractor
    exact: a clip must have just so many frames
    folder: its weights are a folder, not a file
    """

    scores: str
    weights: str
    dim: int
    frames: int = 1
    exact: bool = False
    folder: bool = False


NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        "inception": Network("FID", "inception", 2048),
        "inception-torchscript": Network("FID of StyleGAN-V", "inception-torchscript", 2048),
        "i3d-torchscript": Network("FVD", "i3d-torchscript", 400, 9),
        "i3d-torchscript-vidm": Network("FVD with VIDM's inputs", "i3d-torchscript", 400, 9),
        "i3d": Network("FVD of content-debiased FVD's I3D", "i3d", 400, 9),
        "i3d-seer": Network("FVD and KVD of Seer", "i3d", 400, 9),
        "videomae": Network("content-debiased FVD", "videomae", 1408, 16, exact=True),
        "c3d": Network("inception score of clips", "c3d", 101, 16, exact=True),
        "c3d-vidm": Network("inception score with VIDM's inputs", "c3d", 101, 16, exact=True),
        "clip": Network("VBench's background consistency", "clip", 512, folder=True),
        "dino": Network("VBench's subject consistency", "dino", 768, folder=True),
        "dino-i2v": Network("VBench's I2V subject", "dino", 768, folder=True),
        "dinov2": Network("features of DINOv2", "dinov2-base", 768, folder=True),
    }
)


DISTANCES: Mapping[str, str] = MappingProxyType(
    {"lpips-alex": "LPIPS, with PPL and smoothness,", "lpips-vgg": "LPIPS with VGG"}
)
"""Distances of pictures by name and row in the catalogue, which lpips.py loads; their scores."""


def network_of(name: str) -> Network:
    """Return the facts of a network. Raise UsageError."""
    if name not in NETWORKS:
        raise UsageError(f"there is no feature network {name!r}", f"one of {', '.join(NETWORKS)}")
    return NETWORKS[name]


def weights_of(name: str) -> str:
    """Return the catalogue row, and NAME in `--features NAME=PATH`, of a network or of LPIPS.

    name: a key of NETWORKS or DISTANCES; raises UsageError for another
    """
    return name if name in DISTANCES else network_of(name).weights


def check_given(paths: Mapping[str, object]) -> None:
    """Raise UsageError if a name in `--features NAME=PATH` is no catalogue row of weights."""
    known = [*dict.fromkeys(network.weights for network in NETWORKS.values()), *DISTANCES]
    for name in paths:
        if name not in known:
            raise UsageError(
                f"--features takes no {name!r}", f"one of {', '.join(known)}", subject=name
            )


def missing(name: str, path: str | os.PathLike[str] | None = None) -> str | None:
    """Return None if the weights of a network or of LPIPS are there, else what to say.

    name: a key of NETWORKS or DISTANCES
    path: of the weights, as the user gives it; None: they are looked for where `vtg models pull`
        puts them

    Raises UsageError for an unknown name.
    """
    weights = weights_of(name)
    scores = DISTANCES[name] if name in DISTANCES else NETWORKS[name].scores
    if path is not None:
        return None if Path(path).exists() else f"{scores} is absent: there is no {os.fspath(path)}"
    if all(store.usable(CATALOG[row]) for row in (weights, *CATALOG[weights].needs)):
        return None
    return f"{scores} is absent: it takes the weights of {weights}; {how_to_get(weights)}"


def how_to_get(weights: str) -> str:
    """Say how the weights of a catalogue row come here."""
    entry = CATALOG[weights]
    given = f"--features {weights}=PATH"
    if entry.fetched:
        return f"vtg models pull {weights}, or {given}"
    return f"fetch {entry.page} and give {given}"


def extractor(
    name: str, path: str | os.PathLike[str] | None = None, device: str = "cpu"
) -> Extractor:
    """Load a network with its published weights, in float32.

    path: a file, or a folder for those of transformers; None: what `vtg models pull` brought

    Raises WeightsError where they are missing, damaged or another network's, UsageError for an
    unknown name.
    """
    network = network_of(name)
    sentence = missing(name, path)
    if sentence is not None:
        raise WeightsError(sentence, subject=name)
    place = Path(path) if path is not None else pulled(network.weights, folder=network.folder)
    digests, note = identified(network.weights, place, given=path is not None)
    compute, prepare = _built(name, place, device)
    loaded = Loaded(name, network.dim, network.frames, compute, prepare, network.exact)
    loaded.weights, loaded.note = digests, note
    return loaded


def pulled(weights: str, *, folder: bool = False) -> Path:
    """Return where `vtg models pull` put a row's weights: its first file, or the folder."""
    entry = CATALOG[weights]
    imported = store.imported(entry) if entry.variant else None
    place = imported or store.complete(weights).folder
    return place if folder else place / entry.files[0]


def identified(weights: str, place: Path, *, given: bool) -> tuple[dict[str, str], str]:
    """Return the sha256 of the files of weights, and a note unless they are the published ones.

    given: by the user; files that vtg fetched must have the pinned hash, or WeightsError is raised.
    """
    pinned = CATALOG[weights].sha256
    files = [place] if place.is_file() else sorted(p for p in place.iterdir() if p.is_file())
    found = {file.name: store.hash_of(file) for file in files}
    wrong = [file for file in files if pinned and found[file.name] not in pinned.values()]
    if place.is_dir():
        wrong = [file for file in wrong if file.name in pinned]
    if wrong and not given:
        raise WeightsError(
            f"{wrong[0]} is not what was published: its sha256 begins with "
            f"{found[wrong[0].name][:12]}",
            f"vtg models rm {weights}, then vtg models pull {weights}",
            subject=weights,
        )
    if wrong:
        return found, f"{wrong[0]} is not the published file of {weights}: other sha256"
    return found, "" if pinned else f"nobody published a sha256 of {weights} to compare with"


Compute = Callable[["Tensor"], "Tensor"]
Prepare = Callable[[Batch], "Tensor"]


@dataclass
class Loaded:
    """An Extractor. prepare: pictures or clips to the network's input; compute: that to features.

    exact: a clip must have just `frames`
    """

    name: str
    dim: int
    frames: int
    compute: Compute
    prepare: Prepare
    exact: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def __call__(self, batch: Batch) -> NDArray[np.float32]:
        """Compute features [B, dim]. Raise UsageError for pictures where clips are wanted, or too
        few frames, WeightsError if the weights give other features than the published ones.
        """
        import torch

        axes = 4 if self.frames == 1 else 5
        if batch.ndim != axes or batch.shape[-1] != 3 or batch.dtype != np.uint8:
            what = "pictures [B, H, W, 3]" if axes == 4 else "clips [B, F, H, W, 3]"
            raise UsageError(f"{self.name} takes uint8 {what}, not {batch.dtype} {batch.shape}")
        length = batch.shape[1] if axes == 5 else 1
        if length < self.frames or (self.exact and length != self.frames):
            only = "exactly" if self.exact else "at least"
            raise UsageError(
                f"{self.name} takes clips of {only} {self.frames} frames, not {length}"
            )
        with torch.inference_mode():
            features = self.compute(self.prepare(batch)).float().cpu().numpy()
        if features.shape != (len(batch), self.dim):
            raise WeightsError(
                f"the weights given for {self.name} make features {features.shape[1:]}, "
                f"not of {self.dim} numbers",
                subject=self.name,
            )
        return np.asarray(features, np.float32)


def _built(name: str, place: Path, device: str) -> tuple[Compute, Prepare]:
    """Load the network `name` and return what computes and what prepares its input."""
    from vtg_cli.evaluation.networks.load import PUBLISHED

    load, prepare, options = PUBLISHED[name]
    network = load(place).to(device)
    return lambda x: network(x.to(device), **options), prepare


def features_of(network: Extractor, batches: Iterable[Batch]) -> NDArray[np.float32]:
    """Compute the features of all batches, [N, dim]."""
    rows = [network(batch) for batch in batches]
    return np.concatenate(rows) if rows else np.zeros((0, network.dim), np.float32)


def moments_of(network: Extractor, batches: Iterable[Batch]) -> Moments:
    """Compute mean and covariance of the features of all batches, in constant memory."""
    moments = Moments.empty(network.dim)
    for batch in batches:
        moments.update(network(batch))
    return moments
