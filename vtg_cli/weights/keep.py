"""The upkeep of what is on this machine, file by file: checked again, or removed. No network.

Every file is compared with what the first pull recorded; one that another program fetched, with the
name of its blob, which is the hash the hub gave it; an imported folder with its own SHA256SUMS.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.weights import cache, layout, store, trust
from vtg_cli.weights.catalog import BUILT_IN, CATALOG, EMBEDDED, Place, place_of

Progress = Callable[[float, str], None]
Problem = Literal["missing", "other size", "other content", "unknown"]


@dataclass(frozen=True)
class Bad:
    """A file that is not as it should be. unknown: there is nothing to compare it with."""

    file: Path
    problem: Problem


@dataclass(frozen=True)
class Verdict:
    """The result of re-hashing. folders: those looked at; files, size: read, in bytes."""

    name: str
    folders: tuple[Path, ...]
    files: int
    size: int
    bad: tuple[Bad, ...]


@dataclass(frozen=True)
class _Expected:
    """A file as it should be. size -1: unknown; digest: sha256 or git's id; None: unknown."""

    file: Path
    size: int
    digest: str | None


def here() -> list[str]:
    """List catalogue names, and hub ids that vtg pulled, that are here at least in part."""
    named = [
        name
        for name, entry in CATALOG.items()
        if cache.imported_folder(name).is_dir() or _present(place_of(entry.name))
    ]
    catalogued = {entry.repo_id for entry in CATALOG.values()}
    records = map(trust.read, sorted(cache.record_path("any").parent.glob("*.json")))
    others = [_pulled(record) for record in records if record and record.repo_id not in catalogued]
    return named + [name for name in others if _present(place_of(name))]


def _pulled(record: trust.Record) -> str:
    """Return the hub id of what was pulled: of a repository, or of a folder or file in it."""
    folders = {posixpath.dirname(file) for file in record.files}
    one = [*record.files] if len(record.files) == 1 else folders
    return posixpath.join(record.repo_id, posixpath.commonpath(one)).rstrip("/")


def verify(name: str, on_progress: Progress | None = None) -> Verdict:
    """Re-hash every file of a catalogue name, a hub id or a folder with SHA256SUMS.

    Raises WeightsError if nothing of it is on this machine, UsageError for an unknown name.
    """
    folders, expected = _expected(name)
    total = sum(each.file.stat().st_size for each in expected if each.file.is_file()) or 1
    done, bad = 0, []
    for each in expected:
        if on_progress is not None:
            on_progress(done / total, f"hashing {each.file.name}")
        problem = _problem(each)
        if problem is not None:
            bad.append(Bad(each.file, problem))
        done += each.file.stat().st_size if each.file.is_file() else 0
    return Verdict(name, tuple(folders), len(expected), done, tuple(bad))


def _problem(expected: _Expected) -> Problem | None:
    if not expected.file.is_file():
        return "missing"
    if expected.digest is None:
        return "unknown"
    if expected.size not in (-1, expected.file.stat().st_size):
        return "other size"
    of = trust.git_blob_id if len(expected.digest) == 40 else trust.sha256
    return None if of(expected.file) == expected.digest else "other content"


def _expected(name: str) -> tuple[list[Path], list[_Expected]]:
    path = Path(name).expanduser()
    if name not in CATALOG and path.is_dir():
        if not (path / layout.SUMS).is_file():
            raise WeightsError(
                f"{path} has no {layout.SUMS} to compare its files with",
                f"while you trust them: (cd {path} && sha256sum $(find . -type f) > {layout.SUMS})",
                subject=str(path),
            )
        return [path], [*_summed(path)]
    place = place_of(name)
    folders, expected = [], []
    imported = cache.imported_folder(name) if place.entry and place.entry.variant else None
    if imported is not None and imported.is_dir():
        folders.append(imported)
        expected += [*_summed(imported)]
    copy = store.cached(place)
    if copy is not None and (_present(place) or not folders):
        folders.append(copy.folder)
        expected += [*_of_copy(place, copy)]
    if not folders:
        store.complete(name)  # says that it is not here
    return folders, expected


def _summed(folder: Path) -> Iterator[_Expected]:
    """Yield the files of a folder with SHA256SUMS. Raise WeightsError if that cannot be read."""
    for name, digest in store.sums(folder).items():
        yield _Expected(folder / name, -1, digest)


def _of_copy(place: Place, copy: store.Copy) -> Iterator[_Expected]:
    record = trust.read(cache.record_path(place.repo_id))
    recorded = (
        store.recorded_files(place, record) if record and record.commit == copy.commit else {}
    )
    names = {*_wanted(place, copy.folder), *recorded, *copy.lacking}
    if copy.folder.is_file():  # a single file inside a repository
        names = {""}
        recorded = (
            {"": record.files[place.inside]} if record and record.files.get(place.inside) else {}
        )
    for name in sorted(names):
        file = copy.folder / name
        first_pull = recorded.get(name)
        if first_pull is not None:
            yield _Expected(file, first_pull.size, first_pull.sha256)
        else:
            blob = file.readlink().name if file.is_symlink() else ""
            hashed = re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", blob)
            yield _Expected(file, -1, hashed[0] if hashed else None)


def _wanted(place: Place, folder: Path) -> set[str]:
    """Return the names of the existing files in a snapshot's folder that make up the thing."""
    if place.entry is not None and place.entry.whole:
        return {name for name in place.entry.files if (folder / name).is_file()}
    names = layout.names_in(folder) if folder.is_dir() else set()
    if not names:
        return {""} if folder.is_file() else set()  # a single file inside a repository
    return {*layout.fetch_list(names)} or {*(place.entry.files if place.entry else names)} & names


def _present(place: Place) -> bool:
    return any(_wanted(place, folder / place.inside) for folder in store.snapshots(place.repo_id))


@dataclass(frozen=True)
class Removal:
    """The effect of a removal: what goes, and what it leaves.

    files: in the hub's cache
    parts: unfinished downloads
    made: the folder imported from them
    size: bytes that become free
    foreign: those of the files that vtg did not pull, by name
    stays: other files of the repository in the cache, by name
    commits: all that held them, where nothing else stays
    """

    name: str
    repo_id: str
    files: tuple[Path, ...]
    parts: tuple[Path, ...]
    made: Path | None
    size: int
    foreign: tuple[str, ...]
    stays: tuple[str, ...]
    commits: tuple[str, ...]


def removal(name: str, *, checkpoint_only: bool = False) -> Removal:
    """Return what `remove` would do. checkpoint_only: leave what was imported from it.

    Raises UsageError for what is part of vtg, a folder of the user's, or an unknown name,
    WeightsError if there is nothing to remove.
    """
    if name in BUILT_IN:
        what = "part of vtg" if name == EMBEDDED else "an engine, it has no files"
        raise UsageError(f"{name} is {what} and is not removed", subject=name)
    if name not in CATALOG and Path(name).expanduser().exists():
        raise UsageError(
            f"{name} is a folder of yours, which vtg did not pull",
            "remove it yourself if you are sure",
            subject=name,
        )
    place = place_of(name)
    record = trust.read(cache.record_path(place.repo_id))
    prefix = f"{place.inside}/" if place.inside else ""
    files, foreign, stays, commits = [], set(), set(), []
    for snapshot in store.snapshots(place.repo_id):
        wanted = {(prefix + n).rstrip("/") for n in _wanted(place, snapshot / place.inside)}
        commits.append(snapshot.name)
        for file in sorted(file for file in snapshot.rglob("*") if not file.is_dir()):
            inside = file.relative_to(snapshot).as_posix()
            if inside not in wanted:
                stays.add(inside)
                continue
            files.append(file)
            if record is None or record.commit != snapshot.name or inside not in record.files:
                foreign.add(inside)
    imported = cache.imported_folder(name) if place.entry and place.entry.variant else None
    imported = (
        imported if imported is not None and imported.is_dir() and not checkpoint_only else None
    )
    parts = sorted(cache.repo_folder(place.repo_id).glob("blobs/*.vtg.incomplete"))
    if not files and not parts and imported is None:
        raise WeightsError(f"nothing of {name} is on this machine", subject=name)
    blobs = {file.resolve() for file in files if file.exists()} | set(parts)
    if imported is not None:
        blobs |= {file for file in imported.rglob("*") if file.is_file()}
    return Removal(
        name,
        place.repo_id,
        tuple(files),
        tuple(parts),
        imported,
        _freed(blobs),
        tuple(sorted(foreign)),
        tuple(sorted(stays)),
        () if stays else tuple(commits),
    )


def _freed(files: Iterable[Path]) -> int:
    """Return the bytes that become free: a file that has another name elsewhere stays."""
    statuses = [file.stat() for file in files]
    names = Counter((each.st_dev, each.st_ino) for each in statuses)
    once = {(each.st_dev, each.st_ino): each for each in statuses}
    return sum(each.st_size for key, each in once.items() if each.st_nlink <= names[key])


def remove(what: Removal) -> None:
    """Remove what `removal` named. What the first pull recorded stays: a later one must match it.

    Raises WeightsError if something cannot be removed.
    """
    try:
        if what.made is not None:
            shutil.rmtree(what.made)
        for part in what.parts:
            part.unlink(missing_ok=True)
        if what.commits:
            cache.forget_commits(what.repo_id, what.commits)
        else:
            cache.forget_files(what.repo_id, what.files)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(
            f"{what.name} cannot be removed: {reason}", subject=error.filename or what.name
        ) from error
