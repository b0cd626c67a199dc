"""The JSON Schema of timeline files, and the check of a file against it.

`SCHEMA` is the one source: files are checked against it here, docs/timeline.schema.json is it
(scripts/gen_timeline_schema.py), and `vtg timeline init` takes its descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from vtg_cli.errors import UsageError
from vtg_cli.ground.option import Option
from vtg_cli.job.keywords import OPTIONS
from vtg_cli.job.options import RATE
from vtg_cli.job.timeline.lines import Path

Schema = Mapping[str, Any]


def _text(help: str) -> Schema:
    return {"type": "string", "description": help}


def _either(low: float, high: float, text: Schema, help: str) -> Schema:
    number = {"type": "number", "minimum": low, "maximum": high}
    return {"anyOf": [number, text], "description": help}


def _list(schema: Schema, low: int, high: int | None = None) -> Schema:
    most = {} if high is None else {"maxItems": high}
    return {"type": "array", "items": schema, "minItems": low, **most}


def _table(keys: Mapping[str, Schema], *required: str) -> Schema:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": keys, "additionalProperties": False, **needed}


KEYS = {option.key: option for option in OPTIONS.values() if option.opt.scope != "run"}
"""Key -> option, for every option that a timeline may set."""


def _of(option: Option) -> Schema:
    """Return the schema of a key, from the option's declaration."""
    opt, help = option.opt, {"description": option.opt.help}
    if opt.schema is not None:
        return {**opt.schema, **help}
    if option.choices:
        return {"enum": list(option.choices), **help}
    if option.kind in (int, float):
        kind = "integer" if option.kind is int else "number"
        return {"type": kind, "minimum": opt.low, "maximum": opt.high, **help}
    return {"type": "boolean" if option.kind is bool else "string", **help}


SEGMENT = {key: _of(option) for key, option in KEYS.items() if option.opt.scope == "segment"}
"""Keys of a segment; [defaults] gives them for all."""
CLIP = {key: _of(option) for key, option in KEYS.items() if option.opt.scope == "clip"}
"""Keys of the whole clip, at the top of the file."""
TIME: Schema = {"type": "string", "pattern": "^[0-9][0-9.:]*(ms|s|f)?$", "maxLength": 20}
DAY = 24 * 3600
FPS = 24
"""Frames a second if a file gives none."""

KEYFRAME: Mapping[str, Schema] = {
    "picture": _text("The file, from this file's folder."),
    "at": _either(
        0,
        DAY,
        TIME,
        'When it is shown: seconds, "1.5s", "800ms", "0:01.5" or, in frames, "36f".',
    ),
}
DURATION = _either(0, DAY, TIME, "How long it takes, where the keyframe at its end has no time.")

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "vtg timeline",
    "description": "Keyframes with their times and how each segment between them is drawn.",
    **_table(
        {
            **CLIP,
            "defaults": _table(SEGMENT),
            "keyframe": _list(_table(KEYFRAME, "picture"), 2),
            "segment": _list(_table({"duration": DURATION, **SEGMENT}), 1),
        },
        "keyframe",
    ),
}


class Misfit(UsageError):
    """A value that a timeline cannot have. place: where it stands."""

    def __init__(self, place: Path, message: str, hint: str = "") -> None:
        super().__init__(message, hint, subject=".".join(map(str, place)))
        self.place = place


def check(value: object, schema: Schema = SCHEMA, place: Path = ()) -> None:
    """Raise Misfit for the first thing in `value` that the schema does not allow."""
    for misfit in _misfits(value, schema, place):
        raise misfit


def _misfits(value: Any, schema: Schema, place: Path) -> Iterator[Misfit]:
    kind = schema.get("type")
    if kind == "object" and isinstance(value, dict):
        yield from _of_table(value, schema, place)
    elif kind == "array" and isinstance(value, list):
        if not schema["minItems"] <= len(value) <= schema.get("maxItems", len(value)):
            yield Misfit(place, f"{named(place)} should be {wanted(schema)}, {len(value)} given")
        for k, item in enumerate(value):
            yield from _misfits(item, schema["items"], (*place, k))
    elif not _fits(value, schema):
        written = "a table" if isinstance(value, dict) else _written(value)
        close = get_close_matches(str(value), schema.get("enum", ()), n=1)
        meant = f"did you mean {close[0]}?" if close else ""
        yield Misfit(place, f"{named(place)} should be {wanted(schema)}, not {written}", meant)


def _of_table(value: Mapping[str, Any], schema: Schema, place: Path) -> Iterator[Misfit]:
    keys = schema["properties"]
    for name, inner in value.items():
        if name in keys:
            yield from _misfits(inner, keys[name], (*place, name))
            continue
        close = get_close_matches(name, keys, n=1)
        where = f" of {named(place)}" if place else ""
        yield Misfit(
            (*place, name),
            f"{name if name.isprintable() else repr(name)} is no key{where}",
            f"did you mean {close[0]}?" if close else f"known: {', '.join(keys)}",
        )
    for name in schema.get("required", ()):
        if name not in value:
            where = f"{named(place)} has" if place else "there is"
            yield Misfit(place, f"{where} no {name}")


def _fits(value: Any, schema: Schema) -> bool:
    if "anyOf" in schema:
        return any(not list(_misfits(value, each, ("value",))) for each in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    if schema["type"] in ("object", "array"):
        return False  # those that are have been looked at
    if schema["type"] == "string":
        return isinstance(value, str) and (
            len(value) <= schema.get("maxLength", len(value))
            and re.search(schema.get("pattern", ""), value) is not None
        )
    if schema["type"] == "boolean":
        return isinstance(value, bool)
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        return False
    number = value if isinstance(value, int) else float(value)
    if schema["type"] == "integer" and not (abs(number) < 2**64 and number == int(number)):
        return False
    return bool(schema["minimum"] <= number <= schema.get("maximum", number))


def _written(value: object) -> str:
    """Return a value roughly as the user wrote it."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if isinstance(value, str):
        text = f'"{value}"' if value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def named(place: Path) -> str:
    """Format ("segment", 1, "ease") as "ease of segment 2"."""
    words: list[str] = []
    for part in place:
        if isinstance(part, int):
            words[0] = f"{words[0]} {part + 1}"
        else:
            words.insert(0, part)
    return " of ".join(words) or "a timeline"


def wanted(schema: Schema) -> str:
    """Describe in words what a value should be."""
    if "anyOf" in schema:
        return " or ".join(map(wanted, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if schema["type"] in ("integer", "number"):
        kind = "a whole number" if schema["type"] == "integer" else "a number"
        most = f" to {schema['maximum']}" if "maximum" in schema else " on"
        return f"{kind} from {schema['minimum']}{most}"
    if schema["type"] == "array":
        few = f"{schema['minItems']}" + ("" if "maxItems" in schema else " or more")
        tables = schema["items"]["type"] == "object"
        return f"{few} tables" if tables else f"a list of {few}"
    words = {"string": "text", "boolean": "true or false", "object": "a table"}
    if schema is TIME:
        return 'a time such as "1.5s" or "36f"'
    return 'a rate such as "24000/1001"' if schema is RATE else words[schema["type"]]
