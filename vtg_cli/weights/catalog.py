"""The catalogue: the models vtg knows by name (weights/rows.py), and the places that names mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from vtg_cli.errors import UsageError
from vtg_cli.weights.entry import Entry
from vtg_cli.weights.rows import ROWS

HUB_ID = re.compile(r"(\w[\w.-]*/\w[\w.-]*)((?:/\w[\w.-]*)*)", re.ASCII)
"""ORG/NAME, and then perhaps a folder or file inside the repository."""

CATALOG: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in ROWS})

EMBEDDED, FLOW, LEARNED = "tiny", "flow", "rife"
"""The model and the engine that come with the package, and the engine whose motion is learned."""
GUIDED = f"{EMBEDDED}+{LEARNED}"
"""The model that comes with the package, guided by learned motion too."""
EMBEDDED_FOLDER = Path(__file__).parents[1] / "backbones" / "tiny" / "embedded"
EMBEDDED_LICENCE = "Apache-2.0"
BUILT_IN = (EMBEDDED, FLOW)


@dataclass(frozen=True)
class Place:
    """A place on the hub; `inside`: a folder or file of the repository, "" for all."""

    repo_id: str
    inside: str = ""
    entry: Entry | None = None


def place_of(name: str) -> Place:
    """Return the place of a catalogue name or hub id ORG/NAME[/INSIDE]. Raise UsageError."""
    entry = CATALOG.get(name)
    if entry is not None:
        return Place(entry.repo_id, entry.folder, entry)
    if name in BUILT_IN:
        raise UsageError(f"{name} is part of vtg and has no files on a hub", subject=name)
    if name == GUIDED:
        raise UsageError(
            f"{GUIDED} is {EMBEDDED}, which is part of vtg, with {LEARNED}'s motion",
            f"its files are those of {LEARNED}: name that",
            subject=name,
        )
    match = HUB_ID.fullmatch(name)
    if match is None:
        raise UsageError(f"there is no model called {name!r}", suggestion(name), subject=name)
    return Place(match[1], match[2].lstrip("/"))


def suggestion(name: str) -> str:
    """Return a hint for an unknown name: the closest known one, and all there are."""
    models = [entry.name for entry in CATALOG.values() if entry.kind in ("model", "engine")]
    close = get_close_matches(name.lower(), [*CATALOG, *BUILT_IN], n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    names = f"{EMBEDDED} and flow (embedded), {GUIDED}, {', '.join(reversed(models))}"
    return f"{meant}known: {names}; or a folder, or a hub id such as org/name"
