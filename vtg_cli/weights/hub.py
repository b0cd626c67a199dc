"""From the hub to this machine, only when asked to: `look_up` and `pull` alone use the network.

The only importer of huggingface_hub, whose cache and variables (HF_HOME, HF_HUB_CACHE, HF_ENDPOINT,
HF_TOKEN, HF_HUB_OFFLINE) are used as they are, never set.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vtg_cli.errors import WeightsError
from vtg_cli.weights import layout, trust
from vtg_cli.weights.catalog import Place, place_of

AGAIN = "pull again; finished files are kept"

Progress = Callable[[float, str], None]  # share of the bytes in [0, 1], what is being done


@dataclass(frozen=True)
class Remote:
    """One file the hub offers: size in bytes; sha256, or for small files git's blob id."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None


@dataclass(frozen=True)
class Listing:
    """What a pull fetches: `files` of one commit, to lie in `folder`."""

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
        return sum(file.size for file in self.files if not (self.folder / file.name).is_file())


def repo_folder(repo_id: str) -> Path:
    """Where the hub's cache keeps a repository."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser() / ("models--" + repo_id.replace("/", "--"))


def record_path(repo_id: str) -> Path:
    """Where the trust record of a repository lies: the hub's place for other libraries' files."""
    from huggingface_hub import constants

    name = f"{repo_folder(repo_id).name}.json"
    return Path(constants.HF_ASSETS_CACHE).expanduser() / "vtg" / "trust" / name


def look_up(name: str, here: str | None = None) -> Listing:
    """Asks the hub, in one small request, what a pull of a catalogue name or hub id would fetch.

    The commit is the catalogue's, else the one the first pull recorded, else `here`, of which some
    files are on this machine already, else what main points to. WeightsError, or UsageError for a
    name that is none.
    """
    place = place_of(name)
    record = trust.read(record_path(place.repo_id))
    pinned = (place.entry.revision if place.entry else None) or (record.commit if record else here)
    with _hub(place):
        from huggingface_hub import HfApi

        info = HfApi(library_name="vtg").model_info(
            place.repo_id, revision=pinned, files_metadata=True
        )
    offered = {
        file.rfilename: Remote(
            file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else None, file.blob_id
        )
        for file in info.siblings or ()
    }
    wanted = _wanted(place, offered)
    absent = [file for file in wanted if file not in offered]
    if absent or not wanted or info.sha is None:
        raise WeightsError(
            f"{name}: the hub does not offer {layout.listed(absent) or 'a model vtg can read'}",
            "vtg reads Stable Video Diffusion in diffusers layout, as safetensors",
            subject=name,
        )
    folder = repo_folder(place.repo_id) / "snapshots" / info.sha
    return Listing(name, place, info.sha, folder, tuple(offered[file] for file in wanted))


def _wanted(place: Place, offered: Collection[str]) -> tuple[str, ...]:
    if place.inside in offered:
        return (place.inside,)
    prefix = f"{place.inside}/" if place.inside else ""
    inside = [name.removeprefix(prefix) for name in offered if name.startswith(prefix)]
    files = place.entry.files if place.entry else layout.fetch_list(inside)
    return tuple(prefix + file for file in files)


def pull(listing: Listing, on_progress: Progress | None = None) -> Path:
    """Fetches what is missing, checks every file's hash, records it, returns the model's folder.

    A file that is cut is resumed as long as this runs; a stopped pull keeps the files it had
    finished. A file with other bytes than the hub announced, or than the first pull recorded, is
    removed. WeightsError.
    """
    path = record_path(listing.place.repo_id)
    record = trust.read(path)
    if record is None or record.commit != listing.commit:
        record = trust.Record(listing.place.repo_id, listing.commit)
    _check_disk(listing)
    done = 0
    for remote in listing.files:
        file = _fetch(listing, remote, done, on_progress)
        known = _verified(listing, remote, file, record.files.get(remote.name))
        record = replace(record, files={**record.files, remote.name: known})
        with _hub(listing.place):
            trust.write(path, record)
        done += remote.size
    return listing.folder / listing.place.inside


def _fetch(listing: Listing, remote: Remote, before: int, on_progress: Progress | None) -> Path:
    """One file, by the hub's own client; `before`: bytes of the files that came first."""

    def report(received: int, verb: str = "downloading") -> None:
        if on_progress is not None:
            share = (before + received) / max(listing.size, 1)
            on_progress(min(share, 1.0), f"{verb} {remote.name}")

    report(0)
    with _hub(listing.place):
        from huggingface_hub import hf_hub_download

        file = hf_hub_download(
            listing.place.repo_id,
            remote.name,
            revision=listing.commit,
            library_name="vtg",
            tqdm_class=_counter(report),
        )
    report(remote.size, "verifying")
    return Path(file)


def _counter(report: Callable[[int], None]) -> type[Any]:
    """A progress bar class, as the hub's client wants one, that shows nothing but reports bytes."""

    class Counter:
        def __init__(self, *args: object, initial: int = 0, **options: object) -> None:
            self.received = initial

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

        def update(self, n: float | None = 1) -> None:
            self.received += int(n or 0)
            report(self.received)

        def update_transfer(self, n: float | None = 1) -> None:
            """Bytes on the wire; `update` counts those that reached the disk."""

        def set_postfix_str(self, *args: object, **options: object) -> None: ...

        def set_transfer_postfix_str(self, *args: object, **options: object) -> None: ...

        def close(self) -> None: ...

    return Counter


def _verified(
    listing: Listing, remote: Remote, file: Path, recorded: trust.Known | None
) -> trust.Known:
    found = trust.Known(file.stat().st_size, trust.sha256(file))
    announced = (
        found.sha256 == remote.sha256
        if remote.sha256
        else trust.git_blob_id(file) == remote.blob_id
    )
    if announced and recorded in (None, found):
        return found
    discard(file)
    whose = "the hub announced" if not announced else "the first pull recorded"
    raise WeightsError(
        f"{remote.name} of {listing.name} has other content than {whose}; it was removed",
        f"vtg models pull {listing.name} again; if it stays so, do not trust the source "
        f"(trusted so far: {record_path(listing.place.repo_id)})",
        subject=remote.name,
    )


def discard(file: Path) -> None:
    """Removes a file of the cache with the blob its links lead to, nothing outside the cache."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE).expanduser().resolve()
    while file.is_symlink():
        target = file.parent / os.readlink(file)
        file.unlink()
        file = target
    if cache in file.resolve().parents:
        file.unlink(missing_ok=True)


def _check_disk(listing: Listing) -> None:
    place = next(folder for folder in listing.folder.parents if folder.exists())
    free = shutil.disk_usage(place).free
    if free < listing.missing:
        raise WeightsError(
            f"{listing.name} needs {listing.missing / 1e9:.1f} GB more, "
            f"{place} has {free / 1e9:.1f} GB free",
            "free some space, or let HF_HOME point to a larger disk",
            subject=listing.name,
        )


@contextmanager
def _hub(place: Place) -> Iterator[None]:
    """Whatever the client, its HTTP library or the disk raise becomes one WeightsError."""
    from huggingface_hub import errors

    # The client's HTTP library differs between its versions; this is the one name they share.
    http_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    try:
        yield
    except (http_error, OSError, ValueError, RuntimeError) as error:
        message, hint = _explained(error, place)
        raise WeightsError(message, hint, subject=place.repo_id) from error


def _explained(error: Exception, place: Place) -> tuple[str, str]:
    """What went wrong, and what to do."""
    from huggingface_hub import constants, errors, get_token

    while isinstance(error, errors.LocalEntryNotFoundError):  # it only wraps what happened
        if not isinstance(error.__cause__, Exception):
            break
        error = error.__cause__
    repo_id, entry = place.repo_id, place.entry
    page = f"https://huggingface.co/{repo_id}"
    unknown = isinstance(error, errors.RepositoryNotFoundError)
    gated = isinstance(error, errors.GatedRepoError) or (unknown and entry and entry.gated)
    if gated and get_token() is None:
        return f"{repo_id} is gated", f"accept its terms at {page}, then `hf auth login`"
    if gated:
        return f"{repo_id} is gated and your token has no access", f"accept its terms at {page}"
    if unknown:
        return f"the hub has no {repo_id}, or it is private", "check the name, or `hf auth login`"
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"the hub no longer has the commit of {repo_id} that is on this machine",
            f"delete {record_path(repo_id)} and {repo_folder(repo_id)} to take what it has now",
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repo_id} cannot be fetched: HF_HUB_OFFLINE is set", "unset it to download"
    if isinstance(error, errors.HfHubHTTPError):
        return _status_explained(error.response.status_code, repo_id)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left in {constants.HF_HUB_CACHE}", f"free some, then {AGAIN}"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot write to {constants.HF_HUB_CACHE}", "let HF_HOME point elsewhere"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"{repo_id} cannot be fetched from {constants.ENDPOINT}: {reason}",
        f"check the connection, then {AGAIN}",
    )


def _status_explained(status: int, repo_id: str) -> tuple[str, str]:
    if status in (401, 403):
        return (
            f"the hub refused access to {repo_id} ({status})",
            "`hf auth login` with a valid token",
        )
    if status == 404:
        return f"the hub no longer has a file it lists in {repo_id}", AGAIN
    if status == 429:
        return "the hub asks to slow down (429)", f"wait some minutes, then {AGAIN}"
    return f"the hub cannot serve {repo_id} now ({status})", f"later {AGAIN}"
