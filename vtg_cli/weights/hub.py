"""From the hub to this machine, only when asked to: `look_up` and `pull` alone use the network.

The client's session, token and cache are used as they are; its variables (HF_HOME, HF_HUB_CACHE,
HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE) are never set. Its own download forgets a file that was cut
when the process ends, so the bytes are fetched here, checked, and only then put where the client
keeps them; nothing unchecked ever has the name of a finished file, and nothing that a server says
becomes part of a path unless it is a hash.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vtg_cli.errors import WeightsError
from vtg_cli.weights import cache, layout, transfer, trust
from vtg_cli.weights.cache import Free, free_bytes
from vtg_cli.weights.catalog import Place, place_of
from vtg_cli.weights.faults import explained, unspoken, wait_for_answer, wait_for_line
from vtg_cli.weights.transfer import Answer

Progress = Callable[[float, str], None]  # share of the bytes in [0, 1], what is being done


LARGEST = 1 << 50
"""Most bytes of a file that a hub can offer."""
WAITING = "waiting for another pull of"
"""Start of the progress message while another process has its turn."""


def pause(seconds: float) -> None:
    """Sleep between two attempts."""
    time.sleep(seconds)


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


def offline() -> bool:
    """Return whether the client was told to leave the network alone."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def reachable(seconds: float = 4.0) -> tuple[str, str]:
    """Return the hub's address, and in a line why it does not answer in a few seconds, or ""."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    place = constants.ENDPOINT
    try:
        with unspoken():
            get_session().head(place, timeout=seconds)
    except Exception as error:  # httpx's, or those of the proxy's and the certificates' libraries
        lines = str(error).strip().splitlines()
        return place, lines[0] if lines else type(error).__name__
    return place, ""


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
            pause,
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


def pull(
    listing: Listing,
    on_progress: Progress | None = None,
    *,
    free: Free = free_bytes,
) -> Path:
    """Fetch what is missing, check every file's hash, record it and return the model's folder.

    A pull that was cut or stopped goes on where it was, in the same run or in a later one. A file
    with other bytes than the hub announced, or than the first pull recorded, is removed before it
    is used. Two pulls of a repository take turns. Raises WeightsError.
    """
    report = on_progress or (lambda share, doing: None)
    repo_id = listing.place.repo_id
    with turn(
        cache.lock_path(repo_id),
        listing.place,
        lambda: report(0, f"{WAITING} {repo_id}"),
    ):
        cache.check_room(listing.name, [(listing.folder, listing.missing)], free)
        done = 0
        for remote in listing.files:
            _obtain(listing, remote, _shared(report, listing, remote, done))
            done += remote.size
    return listing.folder / listing.place.inside


@contextmanager
def turn(lock: Path, place: Place, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold the lock file, so that no other process does; `waiting` is called if one does."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    with ExitStack() as stack:
        with explained(place):
            lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(WeakFileLock(lock, timeout=0.1))
            except TimeoutError:
                waiting()
                stack.enter_context(WeakFileLock(lock))
        yield


Report = Callable[[str, int], None]  # what is being done, bytes of this file so far


def _shared(report: Progress, listing: Listing, remote: Remote, before: int) -> Report:
    def shared(doing: str, held: int) -> None:
        share = (before + held) / max(listing.size, 1)
        report(min(share, 1.0), f"{doing} {remote.name}")

    return shared


def _obtain(listing: Listing, remote: Remote, report: Report) -> None:
    """Make sure of one file: its bytes are the announced ones and those recorded."""
    path = cache.record_path(listing.place.repo_id)
    record = trust.read(path)
    if record is None or record.commit != listing.commit:
        record = trust.Record(listing.place.repo_id, listing.commit)
    recorded = record.files.get(remote.name)
    file, blob = listing.folder / remote.name, listing.blob(remote)
    verified = None
    for place in (file, blob):
        if place.is_file() and verified is None:
            report("verifying", 0)
            verified = _known(remote, place)
            if verified is None:
                cache.discard(place)
    if verified is None:
        part = cache.part_of(blob)
        with explained(listing.place):
            _transfer(listing, remote, part, report)
            verified = _known(remote, part)
        if verified is None or recorded not in (None, verified):
            part.unlink(missing_ok=True)
            raise _other_content(listing, remote, verified is None)
        with explained(listing.place):
            os.replace(part, blob)
    elif recorded not in (None, verified):
        cache.discard(file if file.is_file() else blob)
        raise _other_content(listing, remote, announced=False)
    with explained(listing.place):
        if not file.is_file():
            _link(blob, file)
        trust.write(path, replace(record, files={**record.files, remote.name: verified}))
    report("verifying", remote.size)


def _known(remote: Remote, file: Path) -> trust.Known | None:
    """Return size and sha256, if they are what the hub announced."""
    known = trust.Known(file.stat().st_size, trust.sha256(file))
    if remote.sha256:
        return known if known.sha256 == remote.sha256 else None
    return known if trust.git_blob_id(file) == remote.blob_id else None


def _other_content(listing: Listing, remote: Remote, announced: bool) -> WeightsError:
    whose = "the hub announced" if announced else "the first pull recorded"
    return WeightsError(
        f"{remote.name} of {listing.name} has other content than {whose}; it was removed",
        f"vtg models pull {listing.name} again; if it stays so, do not trust the source "
        f"(trusted so far: {cache.record_path(listing.place.repo_id)})",
        subject=remote.name,
    )


def _transfer(listing: Listing, remote: Remote, part: Path, report: Report) -> None:
    """Fetch a file's content into `part`, with the client's own session, headers and endpoint."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    url = hf_hub_url(listing.place.repo_id, remote.name, revision=listing.commit)
    headers = build_hf_headers(library_name="vtg") | {"Accept-Encoding": "identity"}

    @contextmanager
    def ask(offset: int) -> Iterator[Answer]:
        some = {"Range": f"bytes={offset}-"} if offset else {}
        with get_session().stream(
            "GET", url, headers=headers | some, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        ) as response:
            hf_raise_for_status(response)
            starts = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
            begin = int(starts[1]) if response.status_code == 206 and starts else 0
            yield Answer(begin, response.iter_bytes())  # as they come: a cut loses none

    report("downloading", 0)
    transfer.fetch(
        ask,
        part,
        remote.size,
        wait=wait_for_line,
        sleep=pause,
        on_bytes=lambda held: report("downloading", held),
    )


def _link(blob: Path, file: Path) -> None:
    """Give a checked blob its name in the snapshot, as the client does: by a link, where the disk
    knows links. (The client itself would ask the server again, and make a path of its ETag.)
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)  # it led to nothing
    try:
        os.symlink(os.path.relpath(blob, file.parent), file)
    except OSError:
        os.replace(blob, file)
