"""A job with everything decided, ready to be told of and carried out: every kind of job makes one
of itself, so that one function runs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from vtg_cli.plan.model import Choice
from vtg_cli.plan.needs import Preflight
from vtg_cli.render.segments import Progress

Save = Callable[[Progress | None, str | None], "Saved"]
"""(progress, file for a contact sheet) -> what was made; jobs of clips make no sheet"""


class Saved(NamedTuple):
    """A clip that was written. report: of it; notes: what turned up while it was drawn; quality:
    what was found out about its segments.
    """

    report: Mapping[str, Any]
    notes: Iterable[str]
    quality: str = ""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job decided and checked; nothing heavy is loaded yet.

    models:  what draws
    notes:   what a person should know beforehand, a sentence each
    needs:   holds what it needs against this machine; MemoryLadderError, MediaError, WeightsError
    outline: the report as far as it is known
    lines:   the same for people, one fact a line
    save:    draws the clip into its output and writes the report beside it
    """

    models: tuple[Choice, ...]
    notes: tuple[str, ...]
    needs: Callable[[], Preflight]
    outline: Callable[[], Mapping[str, Any]]
    lines: Callable[[], Iterable[str]]
    save: Save
