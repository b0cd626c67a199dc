"""Temporary names beside what they become, and how they become it.

    .vtg-HOST-PID-START-RANDOM[.suffix]

Every file or folder in the making has such a name, in the folder of what it will be. It says whose
it is: HOST is a checksum of this machine's name, PID the process, START when that began, so that a
later process of the same number is not taken for it. What a dead process of this machine left is
swept away at the next run in that folder. Errors are plain OSErrors; who calls puts them in words.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from vtg_cli.ground.place import Place, taken

_FORM = re.compile(r"\.vtg-([0-9a-f]{8})-([0-9]{1,10})-([0-9]{1,20})-[0-9a-f]{12}(\..*)?", re.ASCII)
_LONGEST_SUFFIX = 20  # characters; with one, a temporary name stays far below 255 bytes
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
OLD, DONE, NEW = "old", "done", "new"
"""Folders in a temporary one: what is being replaced, what has been, and what takes its place."""


def name(suffix: str = "") -> str:
    """Return an unused temporary name of this process."""
    kept = suffix if len(suffix) <= _LONGEST_SUFFIX else ""
    pid = os.getpid()
    return f".vtg-{_host()}-{pid}-{_start_of(pid) or 0}-{secrets.token_hex(6)}{kept}"


def sweep(folder: str | os.PathLike[str], *, deep: bool = False) -> None:
    """Remove what dead processes of this machine left in `folder`; deep: and in those below it."""
    with suppress(OSError):
        dead = []
        with os.scandir(folder) as entries:
            for each in entries:
                if _is_left(each.name):
                    dead.append(each.name)
                elif deep and each.is_dir(follow_symlinks=False):
                    sweep(each.path, deep=True)
        if dead:
            place = Place(Path(folder))
            for left in dead:
                with suppress(OSError):
                    _put_back(place, left)
                    place.remove(left)
            place.close()


class Draft:
    """A new file in `target`'s folder that becomes `target` or is removed."""

    def __init__(self, target: Path) -> None:
        sweep(target.parent)
        self._place = Place(target.parent)
        self._name, self._target = name(target.suffix), target.name
        self.path = target.with_name(self._name)
        try:
            place, named = self._place, self._place.at(self._name)
            os.close(os.open(named, _NEW, 0o666, dir_fd=place.descriptor))
        except BaseException:
            self._place.close()
            raise

    def publish(self, *, overwrite: bool) -> None:
        """Give the file its name. Raise FileExistsError if that is taken and stays."""
        self._place.check()
        self._place.flush(self._name)
        if overwrite:
            self._place.move(self._name, self._target)
        else:
            self._place.give(self._name, self._target)
        self._place.flush(".")

    def close(self) -> None:
        """Remove what is still temporary."""
        with suppress(OSError):
            self._place.remove(self._name)
        self._place.close()


class Folder:
    """A new folder beside `target` for pieces of it, removed when closed."""

    def __init__(self, target: Path) -> None:
        sweep(target.parent)
        self._place = Place(target.parent)
        self._name, self._target = name(), target.name
        self.path = target.with_name(self._name)
        try:
            os.mkdir(self._place.at(self._name), dir_fd=self._place.descriptor)
        except BaseException:
            self._place.close()
            raise

    def publish(self) -> None:
        """Turn the folder into `target`. Raise FileExistsError if that exists and is not empty."""
        self._place.check()
        for file in sorted(self.path.iterdir()):
            if file.is_file():
                self._place.flush(os.path.join(self._name, file.name))
        self._place.flush(self._name)
        try:
            self._place.move(self._name, self._target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise taken(self._target) from error
            raise
        self._place.flush(".")

    def scatter(self, ours: Collection[str]) -> None:
        """Move the folder's files beside it, all or none; existing names of `ours` are replaced.

        Raises FileExistsError if a name is taken by a file that is not `ours`. After an error
        everything is as before, or the error says what stands.
        """
        self._place.check()
        place, names = self._place, sorted(file.name for file in self.path.iterdir())
        for each in names:
            if place.has(each) and each not in ours:
                raise taken(each)
            place.flush(os.path.join(self._name, each))
        os.mkdir(place.at(self._name, OLD), dir_fd=place.descriptor)
        moved: list[str] = []
        try:
            for each in sorted(ours):
                if place.has(each):
                    place.move(each, os.path.join(self._name, OLD, each))
            for each in names:
                moved.append(each)
                place.give(os.path.join(self._name, each), each, keep=True)
            place.move(os.path.join(self._name, OLD), os.path.join(self._name, DONE))
        except BaseException as error:
            try:
                _put_back(place, self._name, moved)
            except OSError as second:
                self._name = ""  # close must not remove what is all that is left
                kept, reason = self.path / OLD, getattr(error, "strerror", None) or str(error)
                raise OSError(
                    second.errno,
                    f"{reason}; then, {second.strerror}: some pictures are new, "
                    f"and the old ones that are lacking lie in {kept}",
                ) from error
            raise
        place.flush(".")

    def replace(self) -> None:
        """Move the folder "new" in this one to `target`, in place of one that is there."""
        self._place.check()
        place, kept = self._place, os.path.join(self._name, OLD)
        os.mkdir(place.at(kept), dir_fd=place.descriptor)
        try:
            if place.has(self._target):
                place.move(self._target, os.path.join(kept, self._target))
            place.move(os.path.join(self._name, NEW), self._target)
            place.move(kept, os.path.join(self._name, DONE))
        except BaseException:
            _put_back(place, self._name)
            raise
        place.flush(".")

    def close(self) -> None:
        """Remove what is still temporary."""
        if self._name:
            with suppress(OSError):
                self._place.remove(self._name)
        self._place.close()


def write(path: Path, content: bytes, *, overwrite: bool = True) -> None:
    """Write a file with this content, whole or not at all. Raise OSError if that fails."""
    draft = Draft(Path(os.path.realpath(path)))
    try:
        draft.path.write_bytes(content)
        draft.publish(overwrite=overwrite)
    finally:
        draft.close()


@contextmanager
def folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target`, in place of an older one, on a clean exit."""
    work = Folder(target)
    try:
        new = work.path / NEW
        new.mkdir()
        yield new
        work.replace()
    finally:
        work.close()


def _put_back(place: Place, name: str, moved: Collection[str] = ()) -> None:
    """Undo an unfinished `scatter`; moved: files that may have left `name`."""
    if OLD not in place.names(name):
        return
    for each in {*place.names(name), *moved} - {OLD}:
        inner = os.path.join(name, each)
        if place.same(inner, each):
            os.unlink(place.at(each), dir_fd=place.descriptor)
        elif each in moved and not place.has(inner) and place.has(each):  # moved, not linked
            place.move(each, inner)
    for each in place.names(os.path.join(name, OLD)):
        if not place.has(each):
            place.move(os.path.join(name, OLD, each), each)
    with suppress(OSError):  # stays where not all could be put back
        os.rmdir(place.at(name, OLD), dir_fd=place.descriptor)


def _is_left(name: str) -> bool:
    """Return whether a process of this machine that has ended gave this name."""
    parts = _FORM.fullmatch(name)
    if parts is None or parts[1] != _host():
        return False
    start, then = _start_of(int(parts[2])), int(parts[3])
    return start is None or (start != then and start != 0 and then != 0)


@cache
def _host() -> str:
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return f"{zlib.crc32(name.encode()):08x}"


def _start_of(pid: int) -> int | None:
    """Return when a process began, in ticks; 0 if that is unknown, None if it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError):
        if sys.platform == "win32" or pid == os.getpid():
            return 0  # os.kill would end it there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:
        pass
    return 0
