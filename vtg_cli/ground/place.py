"""A folder that stays the same one, even if its name comes to mean another meanwhile.

Where the system has it, all goes by a descriptor that was opened at the start: a folder that is
swapped for a link while a clip is drawn is noticed, and nothing is written through it. Errors are
plain OSErrors.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

_BY_DESCRIPTOR = os.rename in os.supports_dir_fd and os.link in os.supports_dir_fd
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class Place:
    """Names in one open folder.

    descriptor: of the folder; None: paths have to do
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.descriptor: int | None = None
        if _BY_DESCRIPTOR:
            self.descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def at(self, *parts: str) -> str:
        """Return the name by which `descriptor` finds a file, or its path without a descriptor."""
        name = os.path.join(*parts)
        return name if self.descriptor is not None else os.path.join(self._folder, name)

    def check(self) -> None:
        """Raise OSError if the folder's name now means another folder than at the start."""
        if self.descriptor is not None:
            before, now = os.fstat(self.descriptor), os.stat(self._folder)
            if not os.path.samestat(before, now):
                raise OSError(errno.ENOTDIR, "its folder was replaced by another one meanwhile")

    def has(self, name: str) -> bool:
        return self._stat(name) is not None

    def _stat(self, name: str) -> os.stat_result | None:
        with suppress(FileNotFoundError):
            return os.stat(self.at(name), dir_fd=self.descriptor, follow_symlinks=False)
        return None

    def same(self, one: str, other: str) -> bool:
        first, second = self._stat(one), self._stat(other)
        return first is not None and second is not None and os.path.samestat(first, second)

    def names(self, folder: str) -> list[str]:
        """List what lies in a folder of this one; nothing if it is no folder."""
        inner = self._stat(folder)
        if inner is None or not stat.S_ISDIR(inner.st_mode):
            return []
        if self.descriptor is None:
            return os.listdir(self.at(folder))
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.descriptor)
        try:
            return os.listdir(opened)
        finally:
            os.close(opened)

    def move(self, name: str, target: str) -> None:
        how = {"src_dir_fd": self.descriptor, "dst_dir_fd": self.descriptor}
        os.replace(self.at(name), self.at(target), **how)

    def give(self, name: str, target: str, *, keep: bool = False) -> None:
        """Rename a file to `target` if that is free; keep: leave it both names, if possible."""
        how = {"src_dir_fd": self.descriptor, "dst_dir_fd": self.descriptor}
        try:
            os.link(self.at(name), self.at(target), follow_symlinks=False, **how)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LINKS:
                raise
            if self.has(target):
                raise taken(target) from error
            os.rename(self.at(name), self.at(target), **how)  # Windows' own never replaces
            return
        if not keep:
            os.unlink(self.at(name), dir_fd=self.descriptor)

    def flush(self, name: str) -> None:
        """Flush the file, or the folder ".", to disk before anything that follows."""
        if self.descriptor is not None:
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.descriptor)
            try:
                os.fsync(file)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without it
                    raise
            finally:
                os.close(file)

    def remove(self, name: str) -> None:
        """Remove a file, or a folder and all in it."""
        status = self._stat(name)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(self.at(name), dir_fd=self.descriptor)
            return
        for _ in range(3):  # the encoder of a killed process may still be adding to it
            if self.descriptor is not None:
                _clear(name, self.descriptor)
            else:
                shutil.rmtree(self._folder / name, ignore_errors=True)
            if not self.has(name):
                return

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def taken(name: str) -> FileExistsError:
    """Return the error for a name that must not be overwritten."""
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name, None, name)


def _clear(name: str, descriptor: int) -> None:
    """Remove a folder and all in it as far as that can be done, links not followed; by descriptor,
    which shutil.rmtree does from Python 3.11 on only.
    """
    for _, folders, files, inside in os.fwalk(name, topdown=False, dir_fd=descriptor):
        for each in (*files, *folders):
            with suppress(OSError):
                gone = os.rmdir if _is_folder(each, inside) else os.unlink
                gone(each, dir_fd=inside)
    with suppress(OSError):
        os.rmdir(name, dir_fd=descriptor)


def _is_folder(name: str, descriptor: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)
