"""The way from the name of a model to its folder on this machine; the network is left to
weights/hub.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.ground.units import size_text
from vtg_cli.weights import cache, layout, trust
from vtg_cli.weights.catalog import (
    CATALOG,
    EMBEDDED,
    EMBEDDED_FOLDER,
    Place,
    place_of,
    suggestion,
)
from vtg_cli.weights.entry import Entry


@dataclass(frozen=True)
class Source:
    """A model on this machine. repo_id and entry where they are known."""

    name: str
    folder: Path
    repo_id: str | None = None
    entry: Entry | None = None


@dataclass(frozen=True)
class Copy:
    """The cache's copy of a place on the hub, and what it lacks to be usable."""

    folder: Path
    commit: str
    lacking: tuple[str, ...]


def resolve(model: str) -> Source:
    """Find the embedded model, a catalogue name, a model folder or a hub id in the local cache.

    Raises WeightsError naming what is missing and the command that fetches it, UsageError for an
    unknown name.
    """
    if model == EMBEDDED:
        return Source(model, EMBEDDED_FOLDER)
    path = Path(os.path.expanduser(model))
    if model and model not in CATALOG and os.path.exists(path):
        return Source(model, _model_folder(path))
    if looks_like_path(model):
        raise WeightsError(
            f"there is no model folder {model}", suggestion(path.name), subject=model
        )
    place = place_of(model)
    if place.entry is not None and place.entry.kind == "kept":
        raise UsageError(
            f"this version of vtg does not run {model}, it only fetches and verifies it",
            suggestion(""),
            subject=model,
        )
    if place.entry is not None and place.entry.kind == "part":
        raise UsageError(
            f"{model} is no model but a part of others: {place.entry.summary}",
            suggestion(""),
            subject=model,
        )
    if place.entry is not None and place.entry.kind == "reverse":
        raise UsageError(
            f"{model} is a reverse-motion U-Net, not a model", f"--reverse {model}", subject=model
        )
    if place.entry is not None and place.entry.variant:
        return Source(model, _made(place.entry), place.repo_id, place.entry)
    return Source(model, complete(model).folder, place.repo_id, place.entry)


def available() -> list[str]:
    """List the catalogue's models that are complete on this machine, in the catalogue's order."""
    return [entry.name for entry in CATALOG.values() if entry.kind == "model" and usable(entry)]


def usable(entry: Entry) -> bool:
    """Return whether all that is needed to use it is on this machine."""
    if entry.variant:
        return imported(entry) is not None
    copy = cached(place_of(entry.name))
    return copy is not None and not copy.lacking


def imported(entry: Entry) -> Path | None:
    """Return the model folder made of an entry's checkpoint, if it was made and is complete."""
    folder = cache.imported_folder(entry.name)
    if not folder.is_dir():
        return None
    names = layout.names_in(folder)
    plain = entry.variant == "plain"
    lacking = {*entry.files} - names if plain else layout.lacking(names)
    return None if lacking else folder


def _made(entry: Entry) -> Path:
    folder = imported(entry)
    if folder is None:
        complete(entry.name)  # or it says what is missing
        for need in entry.needs:
            if not usable(CATALOG[need]):
                raise WeightsError(
                    f"{entry.name} is on this machine, but {need} is not, which it needs",
                    f"vtg models pull {entry.name} fetches that too",
                    subject=need,
                )
        raise WeightsError(
            f"{entry.name} is on this machine but not imported yet",
            f"vtg models pull {entry.name} imports it, without fetching anything",
            subject=entry.name,
        )
    return folder


def looks_like_path(text: str) -> bool:
    """Return whether a text that names nothing existing was meant as a path."""
    return text.startswith((".", "~", os.sep)) or text.count("/") > 1 or "\\" in text


def snapshots(repo_id: str) -> Iterator[Path]:
    """Yield folders of a repository's commits in the cache: trusted, main's, then the newest."""
    root = cache.repo_folder(repo_id)
    record = trust.read(cache.record_path(repo_id))
    commits = [record.commit] if record else []
    main = root / "refs" / "main"
    if main.is_file():
        commits.append(main.read_text(encoding="utf-8").strip())
    if (root / "snapshots").is_dir():
        newest = sorted(
            (root / "snapshots").iterdir(), key=lambda p: p.stat().st_mtime, reverse=True
        )
        commits += [folder.name for folder in newest]
    for commit in dict.fromkeys(commits):
        if cache.is_commit(commit) and (root / "snapshots" / commit).is_dir():
            yield root / "snapshots" / commit


def cached(place: Place) -> Copy | None:
    """Return the cache's most complete commit of a place, earlier in `snapshots` first."""
    copies = []
    for snapshot in snapshots(place.repo_id):
        folder = snapshot / place.inside
        copies.append(Copy(folder, snapshot.name, _lacking(place, layout.names_in(folder))))
    return min(copies, key=lambda copy: len(copy.lacking), default=None)


def _lacking(place: Place, names: Collection[str]) -> tuple[str, ...]:
    if place.entry is not None and place.entry.whole:
        return tuple(name for name in place.entry.files if name not in names)
    is_model = place.entry.kind == "model" if place.entry else not place.inside
    return layout.lacking(names) if is_model else layout.lacking_unet(names)


def complete(name: str) -> Copy:
    """Return the usable copy of a catalogue name or hub id. Raise WeightsError."""
    place = place_of(name)
    copy, entry = cached(place), place.entry
    gate = f" (first accept its terms at {entry.page})" if entry and entry.gated else ""
    if copy is None:
        what = (
            f"{name} ({_sizes(entry)}) is"
            if entry
            else f"{name} is no folder here, and as a hub id"
        )
        raise WeightsError(
            f"{what} not on this machine", f"vtg models pull {name}{gate}", subject=name
        )
    if copy.lacking:
        raise WeightsError(
            f"{name} is not complete: {copy.folder} lacks {layout.listed(copy.lacking)}",
            f"vtg models pull {name} fetches what is missing{gate}",
            subject=name,
        )
    _check_sizes(name, place.repo_id, copy)
    return copy


def _sizes(entry: Entry) -> str:
    """Format the sizes that a pull would fetch: 6.1 GB, and svd-xt 4.5 GB."""
    absent = [CATALOG[need] for need in entry.needs if not usable(CATALOG[need])]
    more = [f"{need.name} {need.gb:.1f} GB" for need in absent if need.gb >= 0.05]
    return ", and ".join((size_text(round(entry.gb * 1e9)), *more))


def _check_sizes(name: str, repo_id: str, copy: Copy) -> None:
    record = trust.read(cache.record_path(repo_id))
    if record is None or record.commit != copy.commit:
        return
    for file, recorded in record.files.items():
        path = cache.repo_folder(repo_id) / "snapshots" / copy.commit / file
        if path.is_file() and path.stat().st_size != recorded.size:
            raise WeightsError(
                f"{name} is damaged: {file} has {path.stat().st_size} bytes, not {recorded.size}",
                f"vtg models pull {name} fetches it again",
                subject=str(path),
            )


def _model_folder(path: Path) -> Path:
    if not path.is_dir():
        raise WeightsError(
            f"{path} is a single file; vtg reads model folders in diffusers layout",
            f"give a folder with {layout.INDEX}, or fetch one: vtg models pull svd-xt; "
            "vtg models import makes one of a DynamiCrafter checkpoint",
            subject=str(path),
        )
    lacking = layout.lacking(layout.names_in(path))
    if lacking:
        raise WeightsError(
            f"{path} is no complete model folder, it lacks {layout.listed(lacking)}",
            f"diffusers layout has {layout.INDEX}, unet/, vae/, image_encoder/, scheduler/",
            subject=str(path),
        )
    return path


def recheck(name: str) -> Path | None:
    """Return the folder, if all of it is here with the sha256 its first pull recorded.

    None if something is missing or unrecorded, so that a pull is needed; a damaged file is removed.
    """
    place = place_of(name)
    copy, record = cached(place), trust.read(cache.record_path(place.repo_id))
    if copy is None or record is None or record.commit != copy.commit:
        return None
    recorded = recorded_files(place, record)
    if _lacking(place, recorded) or not all((copy.folder / file).is_file() for file in recorded):
        return None
    for file, first_pull in recorded.items():
        if trust.sha256(copy.folder / file) != first_pull.sha256:
            cache.discard(copy.folder / file)
            return None
    return copy.folder


def recorded_files(place: Place, record: trust.Record) -> dict[str, trust.Known]:
    """Return what the first pull of a place brought, by name; a repository may hold others."""
    prefix = f"{place.inside}/" if place.inside else ""
    inside = {
        file.removeprefix(prefix): first_pull
        for file, first_pull in record.files.items()
        if file.startswith(prefix)
    }
    if place.entry is not None and place.entry.whole:
        return {
            file: first_pull for file, first_pull in inside.items() if file in place.entry.files
        }
    return inside


def identity(folder: Path) -> dict[str, str]:
    """Return file name -> sha256 of the files results depend on; `folder` may be a file, too.

    In the hub's cache a large file's blob is named by its sha256, and an imported folder has its
    sums; anything else, and what changed after the sums were written, is read and hashed.
    """
    if folder.is_file():
        return {folder.name: hash_of(folder)}
    summed, written = {}, 0
    if (folder / layout.SUMS).is_file():
        summed, written = sums(folder), (folder / layout.SUMS).stat().st_mtime_ns
    hashes = {}
    for file in layout.used_files(folder):
        name = file.relative_to(folder).as_posix()
        fresh = name in summed and file.stat().st_mtime_ns <= written
        hashes[name] = summed[name] if fresh else hash_of(file)
    return hashes


def sums(folder: Path) -> dict[str, str]:
    """Read file name -> sha256 from a folder's SHA256SUMS. Raise WeightsError."""
    file = folder / layout.SUMS
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{file} cannot be read: {error}", "import it again", subject=str(file)
        ) from None
    digests = {}
    for line in lines:
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](?:\./)?(.+)", line)
        if match is None:
            raise WeightsError(f"{file} is damaged: {line!r}", subject=str(file))
        if match[2] != layout.SUMS:
            digests[match[2]] = match[1]
    return digests


def hash_of(file: Path) -> str:
    """Return the sha256; for a file in the hub's cache its blob's name, if that is one."""
    if file.is_symlink():
        blob = Path(
            os.readlink(file)
        )  # one step only: what lies behind a blob may be named by another hash
        if blob.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", blob.name):
            return blob.name
    stat = file.stat()
    return _hashed(file.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _hashed(file: Path, size: int, changed: int) -> str:
    """Hash a file once: a batch asks for the same gigabytes once a clip."""
    return trust.sha256(file)
