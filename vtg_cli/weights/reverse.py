"""The reverse motion of a model: a delta file, or a tuned U-Net and what it was tuned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.weights import delta, layout, store
from vtg_cli.weights.catalog import CATALOG, HUB_ID, place_of

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_BASE = "svd"
KIN = ({"svd", "svd-xt"},)
"""Models whose deltas serve each other: Wang et al. (2024) tune one, sample with the other."""


@dataclass(frozen=True)
class Reverse:
    """Reverse motion here: a delta file (base None), or folders of a tuned U-Net and its base."""

    path: Path
    base: Path | None = None


def known_reverse(source: store.Source) -> Reverse | None:
    """Return the reverse motion in a model's folder, else the one the catalogue knows for it, if
    all of it is on this machine.

    Uses no network.
    """
    if (source.folder / layout.REVERSE).is_file():
        return Reverse(source.folder / layout.REVERSE)
    entry = CATALOG.get(source.entry.reverse or "") if source.entry else None
    if entry is None:
        return None
    try:
        return resolve_reverse(entry.name)
    except WeightsError:
        return None


def resolve_reverse(spec: str, base: str | None = None) -> Reverse:
    """Return the reverse motion that --reverse and --reverse-base name, without the network.

    spec: a delta file, a U-Net's folder, a catalogue name, or a hub id in the local cache, which
        may go on into the repository: ORG/NAME[/FOLDER or /FILE]
    base: for a U-Net, what it was tuned from, named likewise; default: the catalogue's, else svd

    Raises WeightsError for what is missing, UsageError for a base beside a delta file.
    """
    file = next((place for place in _candidates(spec) if place.is_file()), None)
    if file is not None:
        if base is not None:
            raise UsageError(
                f"{spec} is a delta file, which needs no base",
                "leave --reverse-base out",
                subject=spec,
            )
        return Reverse(file)
    tuned = unet_folder(spec)
    entry = CATALOG.get(spec)
    wanted = base or (entry.base if entry else None) or DEFAULT_BASE
    try:
        return Reverse(tuned, unet_folder(wanted))
    except WeightsError as error:
        raise WeightsError(
            f"{spec} is a tuned U-Net and needs what it was tuned from, but {error.message}",
            f"vtg models pull {DEFAULT_BASE}, or --reverse-base BASE; or make a delta file once: "
            f"vtg models delta --tuned {quote(spec)} --base BASE -o reverse.safetensors",
            subject=spec,
        ) from error


def load(reverse: Reverse) -> dict[str, Tensor]:
    """Load parameter name -> delta, float32. Raise WeightsError."""
    if reverse.base is None:
        return delta.load(reverse.path)
    return delta.from_pair(reverse.path, reverse.base)


def check_base(reverse: Reverse, model: store.Source) -> None:
    """Raise UsageError if a delta file says that it was trained on another network than this
    model's; one that says nothing may fit any.
    """
    about = delta.about(reverse.path) if reverse.base is None else {}
    trained_on, network = about.get("trained_on"), about.get("network")
    names = {str(trained_on), Path(model.name).name}
    if trained_on is None or len(names) == 1 or names in KIN:
        return
    if network != delta.network_hash(model.folder):
        raise UsageError(
            f"{reverse.path} was trained on {trained_on}, not on {model.name}",
            f"--model {trained_on}, or leave --reverse out",
            subject="--reverse",
        )


def unet_folder(spec: str) -> Path:
    """Return the U-Net's folder of a catalogue name, a folder (or its unet/) or a cached hub id.

    Uses no network. Raises WeightsError naming what is missing, UsageError for an unknown name.
    """
    candidates = _candidates(spec)
    for folder in candidates:
        unet = layout.unet_folder(folder)
        if unet is not None:
            return unet
    if candidates and candidates[0].exists():
        folder = candidates[0]
        inside = folder / "unet" if (folder / "unet").is_dir() else folder
        lacking = layout.lacking_unet(layout.names_in(inside))
        pulled = HUB_ID.fullmatch(spec) or spec in CATALOG
        raise WeightsError(
            f"{folder} is no U-Net folder, it lacks {layout.listed(lacking)}",
            f"vtg models pull {spec}" if pulled else "check the path",
            subject=spec,
        )
    if "/" not in spec and Path(spec).suffix != ".safetensors":
        place_of(spec)  # a UsageError for what is no name either
    entry = CATALOG.get(spec)
    size = f" ({entry.gb:.1f} GB)" if entry else ""
    raise WeightsError(
        f"{spec}{size} is not on this machine",
        f"vtg models pull {spec}" if HUB_ID.fullmatch(spec) or entry else "check the path",
        subject=spec,
    )


def _candidates(spec: str) -> list[Path]:
    """Return the path itself, or the places in the cache of a catalogue name or hub id."""
    path = Path(spec).expanduser()
    if spec in CATALOG or (HUB_ID.fullmatch(spec) and not path.exists()):
        place = place_of(spec)
        return [snapshot / place.inside for snapshot in store.snapshots(place.repo_id)]
    return [path]
