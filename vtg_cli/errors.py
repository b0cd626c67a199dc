"""The errors of vtg, each with its exit code.

    VtgError               1    unexpected failure
     +- UsageError         2    an option or a combination of options is wrong
     +- BatchError         3    some items of a batch failed
     +- MemoryLadderError  4    out of memory after every fallback
     +- WeightsError       5    weights missing, gated or corrupt
     +- QualityError       6    the result failed its quality gate
     +- MediaError         7    a picture or video cannot be read or written
     +- Interrupted      130    stopped by Ctrl-C or by the caller's `cancel`

`message` says what is wrong with which value, `hint` what to do about it. The command line prints
both on stderr, one line each, and ends with `exit_code`; nothing below it prints or exits.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class VtgError(Exception):
    """A failure with a sentence for people: `message`, `hint` (may be empty) and the offending
    `subject`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", *, subject: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = subject  # the path, option or name the message is about


class UsageError(VtgError):
    exit_code = 2


class BatchError(VtgError):
    exit_code = 3


class MemoryLadderError(VtgError):
    exit_code = 4


class WeightsError(VtgError):
    exit_code = 5


class QualityError(VtgError):
    exit_code = 6


class MediaError(VtgError):
    exit_code = 7


class Interrupted(VtgError):
    exit_code = 130


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Prefix errors raised within the block with the thing they speak of: "what: message"."""
    try:
        yield
    except VtgError as error:
        error.message = f"{what}: {error.message}"
        raise


def missing(path: str | os.PathLike[str], absent: str = "there is no file") -> str:
    """Say that there is no such file, or that the name is a link to none."""
    name = os.fspath(path)
    return f"{name} is a link to a missing file" if os.path.islink(name) else f"{absent} {name}"


def no_folder(output: str, folder: str | os.PathLike[str]) -> MediaError:
    """Return the refusal of an output whose folder does not exist; its hint says how to make it."""
    from shlex import quote

    place = os.fspath(folder)
    what, hint = f"there is no folder {place}", f"make it first: mkdir -p {quote(place)}"
    if os.path.islink(place) and not os.path.exists(place):
        what, hint = f"{place} is a link to a missing folder", ""
    elif os.path.exists(place):
        what, hint = f"{place} is no folder", ""
    return MediaError(f"cannot write {output}: {what}", hint, subject=output)


def explained(error: Exception) -> VtgError:
    """Return any failure as a VtgError."""
    if _out_of_files(error):
        return _too_many_files(error)
    if isinstance(error, VtgError):
        return error
    if isinstance(error, MemoryError):
        return MemoryLadderError("out of memory", "ask for a smaller size or fewer frames")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return MediaError("the disk is full", "nothing was left half-written")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        name = str(error.filename or "a file name")
        return MediaError(
            f"{name} is too long for a file name", "most disks take 255 bytes", subject=name
        )
    reason = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
    return VtgError(
        f"unexpected failure: {reason}",
        "run it again with --debug to see where; it is a bug in vtg",
    )


_TOO_MANY = {number: os.strerror(number) for number in (errno.EMFILE, errno.ENFILE)}


def _out_of_files(error: BaseException | None) -> bool:
    """Return whether an error, or its cause, is that no more files can be opened.

    Libraries wrap it in errors of their own, or in words.
    """
    while error is not None:
        if getattr(error, "errno", None) in _TOO_MANY:
            return True
        if any(reason in str(error) for reason in _TOO_MANY.values()):
            return True
        error = error.__cause__ or error.__context__
    return False


def _too_many_files(error: Exception) -> VtgError:
    """Return the error with this cause in place of what was made of it, and with its own exit
    code.
    """
    kind, subject = (
        (type(error), error.subject) if isinstance(error, VtgError) else (MediaError, "")
    )
    return kind(
        "too many files are open" + (f", at {subject}" if subject else ""),
        "raise the limit, as in: ulimit -n 1024",
        subject=subject,
    )
