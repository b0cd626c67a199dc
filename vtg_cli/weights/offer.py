"""The hub's offer: the files that a pull of a model would fetch, asked in one small request."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from vtg_cli.errors import WeightsError
from vtg_cli.weights import cache, layout, transfer, trust
from vtg_cli.weights.catalog import Place, place_of
from vtg_cli.weights.faults import explained, wait_for_answer

LARGEST = 1 << 50
"""Most bytes of a file that a hub can offer."""


@dataclass(frozen=True)
class Remote:
    """One file the hub offers: size in bytes; sha256, or for small files git's blob id."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None


@dataclass(frozen=True)
class Listing:
    """The files a pull fetches: `files` of one commit, to lie in `folder`."""

    name: str
    place: Place
    commit: str
    folder: Path
    files: tuple[Remote, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def missing(self) -> int:
        """Bytes not on this machine yet."""
        absent = [file for file in self.files if not (self.folder / file.name).is_file()]
        parts = (cache.part_of(self.blob(file)) for file in absent)
        begun = sum(part.stat().st_size for part in parts if part.is_file())
        return max(sum(file.size for file in absent) - begun, 0)

    def blob(self, remote: Remote) -> Path:
        """Return where the hub's cache keeps the content of a file."""
        name = remote.sha256 or remote.blob_id or ""
        return cache.repo_folder(self.place.repo_id) / "blobs" / name


def look_up(name: str, cached: str | None = None) -> Listing:
    """Ask the hub, in one small request, what a pull of a catalogue name or hub id would fetch.

    The commit is the catalogue's, else the first pull's, else `cached`, of which some files are on
    this machine already, else what main points to. Raises WeightsError, or UsageError for an
    unknown name.
    """
    from huggingface_hub import HfApi, constants

    place = place_of(name)
    record = trust.read(cache.record_path(place.repo_id))
    pinned = (place.entry.revision if place.entry else None) or (
        record.commit if record else cached
    )
    api = HfApi(library_name="vtg")
    with explained(place):
        info = transfer.patiently(
            lambda: api.model_info(
                place.repo_id,
                revision=pinned,
                files_metadata=True,
                timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
            ),
            wait_for_answer,
            transfer.pause,
        )
    if not isinstance(info.sha, str) or not cache.is_commit(info.sha):
        raise _odd(name, "the commit")
    siblings = info.siblings or ()
    if not all(isinstance(file.rfilename, str) for file in siblings):
        raise _odd(name, "the name of a file")
    offered = {
        file.rfilename: Remote(
            file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else None, file.blob_id
        )
        for file in siblings
    }
    wanted = _wanted(place, offered)
    absent = [file for file in wanted if file not in offered]
    if absent or not wanted or info.sha is None:
        raise WeightsError(
            f"{name}: the hub does not offer {layout.listed(absent) or 'a model vtg can read'}",
            "vtg reads Stable Video Diffusion in diffusers layout, as safetensors",
            subject=name,
        )
    for file in wanted:
        if not _hashed(offered[file]):
            raise _odd(name, f"the hash of {file}")
        if type(size := offered[file].size) is not int or not 0 <= size < LARGEST:
            raise _odd(name, f"the size of {file}")
    folder = cache.repo_folder(place.repo_id) / "snapshots" / info.sha
    return Listing(name, place, info.sha, folder, tuple(offered[file] for file in wanted))


def _hashed(file: Remote) -> bool:
    """Return whether its hashes, one of which becomes a file's name, are hashes."""
    sha256, blob_id = file.sha256, file.blob_id
    whole = sha256 is None or re.fullmatch("[0-9a-f]{64}", str(sha256)) is not None
    return whole and (
        (blob_id is None and sha256 is not None)
        or re.fullmatch("[0-9a-f]{40}", str(blob_id)) is not None
    )


def _odd(name: str, what: str) -> WeightsError:
    return WeightsError(
        f"{name}: the hub's answer is damaged: {what} is none",
        "nothing was written; check HF_ENDPOINT where it is set",
        subject=name,
    )


def _wanted(place: Place, offered: Collection[str]) -> tuple[str, ...]:
    if place.inside in offered:
        return (place.inside,)
    prefix = f"{place.inside}/" if place.inside else ""
    inside = [name.removeprefix(prefix) for name in offered if name.startswith(prefix)]
    files = place.entry.files if place.entry else layout.fetch_list(inside)
    return tuple(prefix + file for file in files)
