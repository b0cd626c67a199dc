"""Files that appear whole or not at all.

Work goes to a temporary name in the same folder (ground/temporary.py), so that the last step is one
that the file system does in one piece, and takes the final name only when everything succeeded. Any
exception, KeyboardInterrupt included, removes the temporary name and the folders made for it; what
a killed process left goes at the next run in that folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path

from vtg_cli.errors import MediaError
from vtg_cli.ground import temporary

NUMBER = re.compile(r"%(?:0([1-9]))?d")  # the number field of a pattern such as frame_%04d.png


@contextmanager
def replacing(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary name beside `path`, with its suffix, that becomes `path` on a clean exit.

    Makes missing folders. A link is followed: the file it points to is replaced, not the link.
    overwrite: False keeps a file that appeared under the name meanwhile.

    Raises:
        MediaError: the folder or the file cannot be written, or the name is taken by now.
    """
    target = Path(os.path.realpath(path))
    with _folder(target.parent, path):
        with _writing(path):
            draft = temporary.Draft(target)
        try:
            yield draft.path
            with _publishing(path):
                draft.publish(overwrite=overwrite)
        finally:
            draft.close()


@contextmanager
def replacing_sequence(
    pattern: str | os.PathLike[str], *, ours: Collection[str] = ()
) -> Iterator[Path]:
    """Yield a pattern in a temporary folder for numbered files that move into place at the end.

    All of them move, or none. ours: names of an older sequence of this pattern, which is replaced
    as a whole; no other file is.

    Raises:
        MediaError: the folder or the files cannot be written, or a name is taken.
    """
    target = Path(os.path.realpath(pattern))
    alone = not os.path.lexists(target.parent)  # then their folder itself appears at the end
    beside = target.parent if alone else target
    with _folder(beside.parent, pattern):
        with _writing(pattern):
            temporary.sweep(target.parent)
            folder = temporary.Folder(beside)
        try:
            yield folder.path / target.name
            with _publishing(pattern):
                if alone:
                    folder.publish()
                else:
                    folder.scatter(ours)
        finally:
            folder.close()


@contextmanager
def workspace(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a folder beside `path` for pieces of it and remove it afterwards.

    Raises MediaError if the folder cannot be made.
    """
    with _writing(path):
        folder = temporary.Folder(Path(os.path.realpath(path)))
    try:
        yield folder.path
    finally:
        folder.close()


def write(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = True) -> None:
    """Write a file with this content. Raise MediaError if that fails, as on a full disk."""
    with replacing(path, overwrite=overwrite) as temporary, _writing(path):
        temporary.write_bytes(content)


def numbered(pattern: Path, below: float = inf) -> list[Path]:
    """List, in order, the files that `pattern`, with one `%d` or `%04d` in its name, stands for.

    below: only of numbers under it.
    """
    if NUMBER.search(pattern.name) is None or not pattern.parent.is_dir():
        return []
    files = ((number_of(pattern, file.name), file) for file in pattern.parent.iterdir())
    by_number = {number: file for number, file in files if number is not None and number < below}
    return [by_number[number] for number in sorted(by_number)]


def number_of(pattern: Path, name: str) -> int | None:
    """Return the number for which `pattern` gives this file name; None if it never does."""
    field = NUMBER.search(pattern.name)
    if field is None:
        return None
    before, after = pattern.name[: field.start()], pattern.name[field.end() :]
    match = re.fullmatch(re.escape(before) + "([0-9]{1,18})" + re.escape(after), name)
    return int(match[1]) if match and name == pattern.name % int(match[1]) else None


@contextmanager
def _folder(folder: Path, path: str | os.PathLike[str]) -> Iterator[None]:
    """Make `folder`; if the block fails, remove what was made, provided it stayed empty."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with _writing(path):
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def _writing(path: str | os.PathLike[str]) -> Iterator[None]:
    name = os.fspath(path)
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(f"cannot write {name}: {reason}", subject=name) from error


@contextmanager
def _publishing(path: str | os.PathLike[str]) -> Iterator[None]:
    name = os.fspath(path)
    with _writing(path):
        try:
            yield
        except FileExistsError as error:
            raise MediaError(
                f"cannot write {name}: {error.filename2} appeared meanwhile",
                "the existing file stays; choose another name, or use --overwrite",
                subject=name,
            ) from error
