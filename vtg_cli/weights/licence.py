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
    """Return the day (YYYY-MM-DD) on which an entry's terms were accepted; None: they were not."""
    acceptance = _read().get(entry.licence)
    return (
        acceptance["when"]
        if acceptance is not None and acceptance["terms"] == entry.terms
        else None
    )


def accept(entry: Entry, today: str) -> None:
    """Record that the terms were accepted. today: YYYY-MM-DD. Raise WeightsError."""
    path = cache.own_folder() / "licences.json"
    acceptances = _read() | {
        entry.licence: {"terms": entry.terms, "when": today, "for": entry.name}
    }
    try:
        trust.replace_json(path, {"format": FORMAT, "accepted": acceptances})
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"{path} cannot be written: {reason}", subject=str(path)) from error


def require(entry: Entry) -> None:
    """Raise WeightsError if terms have to be accepted first and were not."""
    if entry.must_accept and accepted(entry) is None:
        raise WeightsError(
            f"the terms of {entry.name} ({entry.licence}) have not been accepted yet",
            f"read them with vtg models licence {entry.name}, then "
            f"vtg models pull {entry.name} --accept-licence",
            subject=entry.name,
        )


def _read() -> dict[str, Any]:
    """Read what was accepted, by licence; a missing or damaged file means nothing was."""
    try:
        raw = documents.json_file(cache.own_folder() / "licences.json")
        acceptances = raw["accepted"] if raw["format"] == FORMAT else {}
        return {
            name: each for name, each in acceptances.items() if {"terms", "when"} <= each.keys()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
