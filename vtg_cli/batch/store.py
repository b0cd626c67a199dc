"""The place of a batch's clips and of what is known of them: `Folder`, or remote.Bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from vtg_cli.batch.claims import Claims
from vtg_cli.batch.journal import History, Journal
from vtg_cli.errors import MediaError
from vtg_cli.ground import temporary
from vtg_cli.ground.atomic import NUMBER, numbered
from vtg_cli.media.beside import older_path, report_of, sidecar_path

JOURNAL, LOCK = "vtg-batch.jsonl", ".vtg-batch.lock"


class Store(Protocol):
    """A place for a batch's clips. An `output` is an item's: relative, with forward slashes."""

    def tidy(self) -> None:
        """Remove what killed workers left half-written."""

    def claim(self, output: str, *, wait: bool) -> AbstractContextManager[bool]:
        """Hold an output within the block; yields False if another process is at it."""

    def history(self, output: str) -> History:
        """Return what was done about it before."""

    def record(self, event: str, output: str, **facts: Any) -> None:
        """Add to the history; see journal."""

    def fingerprint(self, output: str) -> str | None:
        """Return the fingerprint of what stands there now; None: nothing."""

    def whole(self, output: str) -> bool:
        """Return whether the report beside the clip is there and was written after it."""

    def writing(self, output: str) -> AbstractContextManager[str]:
        """Yield the file to write to; it is in its place when the block ends well."""


class Folder:
    """A folder on this machine or shared with others; it is made if it is missing."""

    def __init__(self, folder: Path, *, look: bool = False) -> None:
        """Open the folder. look: only to see what is there; nothing is made or locked."""
        self._folder = folder
        self.journal = Journal(folder / JOURNAL)
        if look:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(
                f"cannot make the folder {folder}: {error.strerror}", subject=str(folder)
            ) from error
        self._claims = Claims(folder / LOCK)
        self.journal = Journal(folder / JOURNAL, self._claims)
        self.tidy()

    def tidy(self) -> None:
        temporary.sweep(self._folder, deep=True)

    def close(self) -> None:
        """Give up all claims."""
        self._claims.close()

    def claim(self, output: str, *, wait: bool) -> AbstractContextManager[bool]:
        return self._claims.held(f"item {output}", wait=wait)

    def history(self, output: str) -> History:
        return self.journal.of(output)

    def record(self, event: str, output: str, **facts: Any) -> None:
        self.journal.append(event, output, **facts)

    def fingerprint(self, output: str) -> str | None:
        return fingerprint(self._folder / output)

    def whole(self, output: str) -> bool:
        files, report = files_of(self._folder / output), sidecar_path(output)
        if not files or report is None:
            return False
        place = str(self._folder / output)
        newest = max(file.stat().st_mtime_ns for file in files)
        for path in (self._folder / report, older_path(place)):
            content = report_of(place, path) or {}
            if "versions" in content and path.stat().st_mtime_ns >= newest:
                return True
        return False

    @contextmanager
    def writing(self, output: str) -> Iterator[str]:
        place = self._folder / output
        try:
            # of numbered pictures the folder itself is made by their writer
            folder = place.parent.parent if NUMBER.search(place.name) else place.parent
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(
                f"cannot make the folder of {output}: {error.strerror}", subject=output
            ) from error
        yield str(place)


def files_of(place: Path) -> list[Path]:
    """Return the file, or the numbered pictures, that stand at an output."""
    return numbered(place) if NUMBER.search(place.name) else [place] if place.exists() else []


def fingerprint(place: Path) -> str | None:
    """Return the sha256 of the clip, or of its pictures' names and contents; None: nothing."""
    files = files_of(place)
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(b"" if len(files) == 1 else file.name.encode("utf-8", "surrogatepass"))
        with file.open("rb") as content:
            while chunk := content.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def open_store(place: str, *, look: bool = False) -> Store:
    """Open a folder, or what fsspec calls a URL such as s3://bucket/clips; look: see Folder."""
    if is_url(place):
        from vtg_cli.batch.remote import Bucket

        return Bucket(place)
    return Folder(Path(place), look=look)


def is_url(place: str) -> bool:
    return "://" in place
