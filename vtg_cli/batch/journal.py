"""The journal of a folder: a line of JSON for every event; many processes write to it.

    start   an item is begun; `replaces` is the fingerprint of what stands at its output
    retry   an attempt failed in a way that may pass
    done    the clip is there, whole; `sha256` is its fingerprint and `key` what it was made of
    failed  no attempt is left

A line that a killed process left unfinished is passed over.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from vtg_cli.batch.claims import Claims
from vtg_cli.errors import MediaError
from vtg_cli.ground import documents

Record = Mapping[str, Any]


@dataclass
class History:
    """The last record of each kind about one output, as far as they matter."""

    start: Record | None = None
    done: Record | None = None


class Journal:
    """One process's view of the file: what others append is seen at the next look."""

    def __init__(self, path: Path, claims: Claims | None = None) -> None:
        """Open a journal. claims: needed to append."""
        self.path = path
        self._claims = claims
        self._seen = 0  # bytes
        self._histories: dict[str, History] = {}

    def of(self, output: str) -> History:
        """Return what is known about an output."""
        self._look()
        return self._histories.get(output, History())

    def append(self, event: str, output: str, **facts: Any) -> None:
        """Append one event, at once and in one piece. Raise MediaError if that fails."""
        assert self._claims is not None
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        who = {"host": socket.gethostname(), "pid": os.getpid()}
        record = {"at": now, "event": event, "output": output, **facts, **who}
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        line = f"{text}\n".encode("utf-8", "backslashreplace")  # as in reports, see sidecar.write
        with self._claims.held(self.path.name, wait=True):
            try:
                self._write(line)
            except OSError as error:
                raise MediaError(
                    f"cannot write {self.path}: {error.strerror}", subject=str(self.path)
                ) from error

    def _write(self, line: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        file = os.open(self.path, flags | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":  # left by a killed process
                line = b"\n" + line
            if os.write(file, line) != len(line):
                os.ftruncate(file, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)

    def _look(self) -> None:
        for record in self._new():
            history = self._histories.setdefault(record["output"], History())
            if record["event"] == "start":
                history.start = record
            elif record["event"] == "done":
                history.start, history.done = None, record

    def _new(self) -> Iterator[Record]:
        """Yield the records appended since the last look."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._seen)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # perhaps still being written
                self._seen += len(line)
                try:
                    record = documents.json_value(line)
                except ValueError:
                    continue
                if is_event(record):
                    yield record


def is_event(record: object) -> bool:
    """Return whether a line is ours: an object, and what a batch reads of it are texts."""
    if not isinstance(record, dict):
        return False
    texts = all(isinstance(record.get(name), str) for name in ("event", "output"))
    done = ("sha256", "key") if record.get("event") == "done" else ()
    return texts and all(isinstance(record.get(name, ""), str) for name in done)
