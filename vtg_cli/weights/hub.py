"""The pull of files from the hub to this machine, only when asked to. Beside it only
offer.look_up, which asks what there is, uses the network.

The client's session, token and cache are used as they are; its variables (HF_HOME, HF_HUB_CACHE,
HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE) are never set. Its own download forgets a file that was cut
when the process ends, so the bytes are fetched here, checked, and only then put where the client
keeps them; nothing unchecked ever has the name of a finished file, and nothing that a server says
becomes part of a path unless it is a hash.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from vtg_cli.errors import WeightsError
from vtg_cli.weights import cache, transfer, trust
from vtg_cli.weights.cache import Free, free_bytes
from vtg_cli.weights.catalog import Place
from vtg_cli.weights.faults import explained, unspoken, wait_for_line
from vtg_cli.weights.offer import Listing, Remote
from vtg_cli.weights.transfer import Answer

Progress = Callable[[float, str], None]  # share of the bytes in [0, 1], what is being done


WAITING = "waiting for another pull of"
"""Start of the progress message while another process has its turn."""


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
        sleep=transfer.pause,
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
