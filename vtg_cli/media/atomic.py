"""Files that appear whole or not at all.

Work goes to a temporary name in the same folder, so that the last step is a rename, which the file
system does in one piece, and takes the final name only when everything succeeded. Any exception,
KeyboardInterrupt included, removes the temporary name and the folders made for it; a killed process
leaves a `.vtg-PID-*` name behind, never half a file under the final name.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vtg_cli.errors import MediaError

_MARK = re.compile(r"\.vtg-([0-9]+)-[0-9a-f]{12}(\.|$)", re.ASCII)  # a temporary name, see _mark
NUMBER = re.compile(r"%(?:0([1-9]))?d")  # the number field of a pattern such as frame_%04d.png


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path`, with its suffix, that becomes `path` on a clean exit.

    Makes missing folders. A link is followed: the file it points to is replaced, not the link.

    Raises:
        MediaError: the folder or the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f"{_mark()}{target.suffix}")
    with _folder(target.parent, path):
        try:
            with _writing(path):
                temporary.open("xb").close()
            yield temporary
            with _writing(path):
                os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


@contextmanager
def replacing_sequence(pattern: str | os.PathLike[str]) -> Iterator[Path]:
    """The same for numbered files: a pattern in a temporary folder whose files move at the end.

    Files of an older sequence that the new one does not replace are removed: two never mix.

    Raises:
        MediaError: the folder or the files cannot be written.
    """
    target = Path(os.path.realpath(pattern))
    temporary = target.with_name(_mark())
    with _folder(target.parent, pattern):
        try:
            with _writing(pattern):
                temporary.mkdir()
            yield temporary / target.name
            with _writing(pattern):
                stale = {file.name for file in numbered(target)}
                for file in sorted(temporary.iterdir()):
                    os.replace(file, target.with_name(file.name))
                    stale.discard(file.name)
                for name in stale:
                    target.with_name(name).unlink()
                temporary.rmdir()
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """A file of this content. MediaError where it cannot be written, as on a full disk."""
    with replacing(path) as temporary, _writing(path):
        temporary.write_bytes(content)


def numbered(pattern: Path) -> list[Path]:
    """The existing files that `pattern`, with one `%d` or `%04d` in its name, means, in order."""
    field = NUMBER.search(pattern.name)
    if field is None or not pattern.parent.is_dir():
        return []
    before, after = pattern.name[: field.start()], pattern.name[field.end() :]
    name = re.compile(re.escape(before) + "([0-9]+)" + re.escape(after))
    found = {
        int(match[1]): file
        for file in pattern.parent.iterdir()
        if (match := name.fullmatch(file.name)) and file.name == pattern.name % int(match[1])
    }
    return [found[number] for number in sorted(found)]


def left_behind(folder: Path, pids: Collection[int]) -> Iterator[Path]:
    """The temporary names anywhere in `folder` that processes of these numbers made."""
    for path in folder.rglob(".vtg-*"):
        marked = _MARK.match(path.name)
        if marked and int(marked[1]) in pids:
            yield path


def _mark() -> str:
    return f".vtg-{os.getpid()}-{secrets.token_hex(6)}"


@contextmanager
def _folder(folder: Path, path: str | os.PathLike[str]) -> Iterator[None]:
    """Make `folder`; take away again what was made, if it stayed empty, when the block fails."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with _writing(path):
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in made:
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def _writing(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(
            f"cannot write {os.fspath(path)}: {reason}", subject=os.fspath(path)
        ) from error
