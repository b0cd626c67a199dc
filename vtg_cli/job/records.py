"""Frozen dataclasses as plain JSON values and back, field by field and strict about it.

Fractions travel as "24000/1001", tuples as lists; a document with an unknown field, without one
that has no default, or with one of another type is refused by the field's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from fractions import Fraction
from functools import lru_cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vtg_cli.errors import UsageError

_PLAIN = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
_FRACTION = re.compile(r"\d+(/0*[1-9]\d*)?", re.ASCII)

T = TypeVar("T")


@lru_cache
def hints_of(kind: type[Any]) -> Mapping[str, Any]:
    """Return the type of every field of a dataclass; reading them anew takes a millisecond."""
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


def plain(value: Any) -> Any:
    """Return a dataclass, or what it is made of, as JSON values."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Fraction) else value


def built(kind: type[T], document: object, where: str) -> T:
    """Build the dataclass `kind` from a document. Raise UsageError for what is wrong, by name."""
    if not isinstance(document, Mapping):
        raise _misfit(where, "an object", document)
    hints = hints_of(kind)  # type: ignore[arg-type]  # mypy: a class may have no hash
    for name in document:
        if name not in hints:
            raise UsageError(
                f"{where}.{name} is not a field vtg knows",
                "a newer vtg may know it, or it is misspelt",
                subject=f"{where}.{name}",
            )
    for needed in fields(kind):  # type: ignore[arg-type]  # always a dataclass
        if needed.name not in document and not _has_default(needed):
            place = f"{where}.{needed.name}"
            raise UsageError(f"{place} is missing", subject=place)
    return kind(
        **{name: _read(hints[name], value, f"{where}.{name}") for name, value in document.items()}
    )


def missing(kind: type[Any], document: Mapping[str, Any], where: str = "") -> list[str]:
    """List, as dotted names, the fields that a document `built` has read left to their defaults."""
    names: list[str] = []
    for each, hint in hints_of(kind).items():  # type: ignore[arg-type]
        if each not in document:
            names.append(where + each)
        elif isinstance(hint, type) and is_dataclass(hint):
            names += missing(hint, document[each], f"{where}{each}.")
    return names


def _has_default(each: Field[Any]) -> bool:
    return each.default is not MISSING or each.default_factory is not MISSING


def _read(hint: Any, value: Any, where: str) -> Any:
    """Convert `value` to what the type annotation `hint` asks for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _read(hint, value, where)
    if origin is tuple:
        length = None if arguments[-1] is ... else len(arguments)
        if not isinstance(value, list) or length not in (None, len(value)):
            raise _misfit(where, "a list" if length is None else f"a list of {length}", value)
        return tuple(_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is Literal:
        if value in arguments:
            return value
        raise _misfit(where, " or ".join(arguments), value)
    if isinstance(hint, type) and is_dataclass(hint):
        return built(hint, value, where)
    if hint is Fraction:
        if isinstance(value, str) and _FRACTION.fullmatch(value):
            with suppress(ValueError):  # Python reads no number of thousands of digits
                return Fraction(value)
        raise _misfit(where, 'a fraction such as "24000/1001"', value)
    if type(value) is hint or (hint is float and type(value) is int):
        with suppress(OverflowError):  # a whole number that is larger than any float
            return hint(value)
    raise _misfit(where, _PLAIN[hint], value)


def _misfit(where: str, wanted: str, value: object) -> UsageError:
    return UsageError(f"{where} should be {wanted}, not {value!r}", subject=where)
