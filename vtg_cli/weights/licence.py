"""Licences that restrict use are accepted once: what was accepted, and when.

One JSON file. It holds the terms as they were shown, so that other terms have to be accepted anew.
"""

from __future__ import annotations

from typing import Any

from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents
from vtg_cli.weights import cache, trust
from vtg_cli.weights.entry import Entry

FORMAT = "vtg-licences-1"


def accepted(entry: Entry) -> str | None:
    """The day (YYYY-MM-DD) on which the terms of an entry were accepted; None: they were not."""
    known = _read().get(entry.licence)
    return known["when"] if known is not None and known["terms"] == entry.terms else None


def accept(entry: Entry, today: str) -> None:
    """Records it. today: YYYY-MM-DD. WeightsError if it cannot be written."""
    path = cache.own_folder() / "licences.json"
    known = _read() | {entry.licence: {"terms": entry.terms, "when": today, "for": entry.name}}
    try:
        trust.replace_json(path, {"format": FORMAT, "accepted": known})
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"{path} cannot be written: {reason}", subject=str(path)) from error


def require(entry: Entry) -> None:
    """WeightsError where terms have to be accepted first and were not."""
    if entry.must_accept and accepted(entry) is None:
        raise WeightsError(
            f"the terms of {entry.name} ({entry.licence}) have not been accepted yet",
            f"read them with vtg models licence {entry.name}, then "
            f"vtg models pull {entry.name} --accept-licence",
            subject=entry.name,
        )


def _read() -> dict[str, Any]:
    """By licence; a file that is missing or damaged means that nothing was accepted."""
    try:
        raw = documents.json_file(cache.own_folder() / "licences.json")
        known = raw["accepted"] if raw["format"] == FORMAT else {}
        return {name: each for name, each in known.items() if {"terms", "when"} <= each.keys()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
