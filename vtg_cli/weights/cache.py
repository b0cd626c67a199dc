"""The places of files: in the hub's cache, as its client lays it out, and beside it what vtg keeps.

    HF_HUB_CACHE/models--ORG--NAME/     blobs, snapshots and refs: the client's own
    HF_ASSETS_CACHE/vtg/trust/          what each repository's first pull brought (weights/trust.py)
    HF_ASSETS_CACHE/vtg/models/NAME/    folders made of released checkpoints
    HF_ASSETS_CACHE/vtg/licences.json   licences accepted

The variables HF_HOME, HF_HUB_CACHE and HF_ASSETS_CACHE decide, and are never set.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vtg_cli.errors import WeightsError
from vtg_cli.ground.units import size_text

Free = Callable[[Path], int]
"""Function that returns the bytes free where a folder lies."""


def repo_folder(repo_id: str) -> Path:
    """Return where the hub's cache keeps a repository."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser() / ("models--" + repo_id.replace("/", "--"))


def own_folder() -> Path:
    """Return vtg's own folder: the hub's place for what other libraries make of its files."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE).expanduser() / "vtg"


def is_commit(text: str) -> bool:
    """Return whether it is git's name of a commit, and so may be a folder's."""
    return re.fullmatch("[0-9a-f]{40}", text) is not None


def record_path(repo_id: str) -> Path:
    """Return where the trust record of a repository lies."""
    return own_folder() / "trust" / f"{repo_folder(repo_id).name}.json"


def lock_path(repo_id: str) -> Path:
    """Return the lock file that a pull holds, so that two of the same repository take turns."""
    return own_folder() / "trust" / f"{repo_folder(repo_id).name}.lock"


def imported_folder(name: str) -> Path:
    """Return where the model folder imported from an entry's checkpoint lies, if it was made."""
    return own_folder() / "models" / name


def import_lock() -> Path:
    """Return the lock file that an import holds: one at a time makes folders there."""
    return own_folder() / "import.lock"


def part_of(blob: Path) -> Path:
    """Return the file of an unfinished blob; its suffix is the client's own for such files."""
    return blob.with_name(f"{blob.name}.vtg.incomplete")


def discard(file: Path) -> None:
    """Remove a file of the cache with the blob its links lead to, nothing outside the cache."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE).expanduser().resolve()
    while file.is_symlink():
        target = file.parent / os.readlink(file)
        file.unlink()
        file = target
    if cache in file.resolve().parents:
        file.unlink(missing_ok=True)


def forget_files(repo_id: str, files: Iterable[Path]) -> None:
    """Remove files of a repository's snapshots, and their blobs where no other file needs them."""
    snapshots = repo_folder(repo_id) / "snapshots"
    for file in files:
        blob = file.resolve()
        file.unlink(missing_ok=True)
        others = (other for other in snapshots.rglob(file.name) if other.resolve() == blob)
        if next(others, None) is None and blob.exists():
            discard(blob)
        for folder in file.parents:
            if folder == snapshots:
                break
            with suppress(OSError):  # not empty yet
                folder.rmdir()


def forget_commits(repo_id: str, commits: Iterable[str]) -> None:
    """Remove whole commits by the client's own means, which keep what other commits share."""
    from huggingface_hub import scan_cache_dir

    place = repo_folder(repo_id)
    scanned = scan_cache_dir(place.parent)
    ours = [repo for repo in scanned.repos if repo.repo_path.resolve() == place.resolve()]
    present = {revision.commit_hash for repo in ours for revision in repo.revisions}
    alone = replace(scanned, repos=frozenset(ours))  # a copy of a repository shares its commits
    alone.delete_revisions(*(commit for commit in commits if commit in present)).execute()


def free_bytes(folder: Path) -> int:
    """Return the bytes free where `folder` is or is to be."""
    return shutil.disk_usage(_existing(folder)).free


def same_disk(one: Path, other: Path) -> bool:
    """Return whether two folders are, or are to be, on one disk."""
    return _existing(one).stat().st_dev == _existing(other).stat().st_dev


def check_room(name: str, needs: Iterable[tuple[Path, int]], free: Free = free_bytes) -> None:
    """Raise WeightsError if a disk cannot take the bytes that are to go to the folders on it."""
    wanted: dict[int, tuple[Path, int]] = {}
    for folder, count in needs:
        disk = _existing(folder).stat().st_dev
        place, before = wanted.get(disk, (_existing(folder), 0))
        wanted[disk] = (place, before + count)
    for place, count in wanted.values():
        if count > (available := free(place)):
            raise WeightsError(
                f"{name} needs {size_text(count)} more, {place} has {size_text(available)} free",
                "free some space, or let HF_HOME point to a larger disk",
                subject=name,
            )


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())
