"""Reading JSON and TOML that others wrote: bounded in bytes, in depth and in digits.

Whatever a text holds, what is wrong with it is a ValueError with a sentence; `reading` makes that,
and a value of another type than was reckoned with, the VtgError that fits the place.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vtg_cli.errors import MediaError, UsageError, VtgError, missing

LONGEST = 16_000_000
"""Largest file that is read, in bytes."""
DEEPEST = 64
"""Deepest nesting of lists and objects."""
DIGITS = 40
"""Most digits of an integer."""
_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")


def json_value(content: bytes | str, *, unique: bool = False) -> Any:
    """Parse JSON in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    unique: refuse an object that has the same name twice

    Raises ValueError for anything that is not JSON, NaN and infinities included, and for anything
    nested deeper or with longer numbers than the limits above.
    """
    text = content if isinstance(content, str) else content.decode(json.detect_encoding(content))
    try:
        value = json.loads(
            text.removeprefix("\ufeff"),
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_finite,
            object_pairs_hook=_unique if unique else None,
        )
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from None
    _check(value)
    return value


def json_object(content: bytes | str, *, unique: bool = False) -> dict[str, Any]:
    """Parse JSON whose top is an object. Raise ValueError as `json_value`, or for another type."""
    value = json_value(content, unique=unique)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def json_file(path: Path, longest: int = LONGEST) -> dict[str, Any]:
    """Read a file with a JSON object. Raise OSError, or ValueError as `json_object` does."""
    return json_object(content_of(path, longest))


def content_of(path: Path, longest: int = LONGEST) -> bytes:
    """Read a whole file. Raise OSError, or ValueError for one of more than `longest` bytes."""
    with path.open("rb") as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise ValueError(f"longer than {longest // 10**6} MB")
    return content


def toml_tables(text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Parse TOML.

    Raises ValueError for anything that is not TOML, a key given twice included, and for anything
    nested too deep or with too long numbers. Its message ends with the place where that is known.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tables: dict[str, Any] = tomllib.loads(text.removeprefix("\ufeff"), parse_float=parse_float)
        _check(tables)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from None
    except ArithmeticError:  # of Decimal, for an exponent of twenty digits
        raise ValueError("a number is too long") from None
    except ValueError as error:  # of int, for thousands of digits
        raise ValueError("a number is too long" if "digit" in str(error) else str(error)) from None
    return tables


def toml_document(
    text: str, path: object, parse_float: Callable[[str], Any] = float
) -> dict[str, Any]:
    """Parse a file's TOML. Raise UsageError with file and line for what `toml_tables` refuses."""
    try:
        return toml_tables(text, parse_float)
    except ValueError as error:
        message = str(error)
        place = _PLACE.search(message)
        line = int(place[1]) if place else text.count("\n") + 1
        raise UsageError(
            f"{path}:{line}: {_PLACE.sub('', message)}",
            "the file is TOML, see toml.io",
            subject=str(path),
        ) from None


def unreadable(path: str | Path, error: OSError, what: str) -> MediaError:
    """Return the error that says why a file, which should be `what`, cannot be read."""
    if isinstance(error, FileNotFoundError):
        message = missing(path)
    elif isinstance(error, IsADirectoryError):
        message = f"{path} is a folder, not a {what}"
    else:
        message = f"cannot read {path}: {error.strerror}"
    return MediaError(message, subject=str(path))


def whole_number(value: Any, name: str, most: int = 1 << 20) -> int:
    """Return a document's number. Raise ValueError unless it is a whole one from 1 to `most`."""
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{name} is no whole number from 1 to {most}")
    return value


@contextmanager
def reading(
    name: object, kind: type[VtgError], hint: str = "", what: str = "cannot be read"
) -> Iterator[None]:
    """Raise as `kind` whatever is wrong with the document that the block reads."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise kind(f"{name} {what}: {reason(error)}", hint, subject=str(name)) from None


def reason(error: Exception) -> str:
    """Explain in words why a document was refused."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]}"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8"
    if isinstance(error, ValueError):
        return str(error)
    return "a value in it is of another type than belongs there"


def _integer(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a JSON number")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} appears in it twice")
    return content


def _check(value: Any) -> None:
    """Raise ValueError for nesting too deep or numbers too long, as TOML's hexadecimal allows."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if any(isinstance(each, int) and abs(each) >= 10**DIGITS for each in level):
            raise ValueError("a number is too long")
        if not level:
            return
    raise ValueError(f"nested deeper than {DEEPEST} levels")
