"""Locks by name that end with the process that holds them, however it ends.

They are POSIX record locks: every name is one byte of one file, far apart, so nothing has to be
cleaned up and no lock can be stale. They hold between machines where the shared file system has
them (NFS, Lustre with -o flock, CephFS). A process may open one `Claims` of a file only: POSIX
drops all its locks with the first descriptor that is closed.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vtg_cli.errors import MediaError, UsageError

_BLOCKED = (errno.EACCES, errno.EAGAIN)


class Claims:
    """The locks of one file, which is made if it is missing."""

    def __init__(self, path: Path) -> None:
        try:
            import fcntl
        except ImportError:
            raise UsageError(
                "vtg batch needs POSIX file locks, which this system lacks",
                "on Windows use WSL",
            ) from None
        self._fcntl = fcntl
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._refused(error) from error

    @contextmanager
    def held(self, name: str, *, wait: bool = False) -> Iterator[bool]:
        """Hold the name in the block; yields False if another has it. wait: until it is ours."""
        how = self._fcntl.LOCK_EX | (0 if wait else self._fcntl.LOCK_NB)
        if not self._lock(how, name):
            yield False
            return
        try:
            yield True
        finally:
            self._lock(self._fcntl.LOCK_UN, name)

    def close(self) -> None:
        """Give up all that is held."""
        os.close(self._file)

    def _lock(self, how: int, name: str) -> bool:
        encoded = name.encode("utf-8", "surrogatepass")  # a file name need not be UTF-8
        place = int.from_bytes(hashlib.sha256(encoded).digest()[:6], "big")
        try:
            self._fcntl.lockf(self._file, how, 1, place)
        except OSError as error:
            if error.errno in _BLOCKED:
                return False
            raise self._refused(error) from error
        return True

    def _refused(self, error: OSError) -> MediaError:
        return MediaError(
            f"cannot lock {self._path}: {error.strerror}",
            "the folder must be writable, on a file system with locks (Lustre: mount -o flock)",
            subject=str(self._path),
        )
