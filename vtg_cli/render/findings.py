"""The findings of a run while it draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from vtg_cli.machine.rungs import NAMED

if TYPE_CHECKING:
    from vtg_cli.media.anchor import AnchorReport
    from vtg_cli.render.retry import Outcome


@dataclass
class Report:
    """The findings of a run; complete when the last frame has been taken.

    anchors, outcomes: of each segment
    seconds: spent in each phase
    rungs: of the memory ladder (machine/rungs.py) that a model was at, in order, the last one that
        it ended at; with several models, of the one that went down furthest
    notes: what the user should know beside the plan's notes
    """

    anchors: list[AnchorReport] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    rungs: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def noted(self, note: str) -> None:
        """Add a note for the user, once."""
        if note not in self.notes:
            self.notes.append(note)

    def climbed(self, rungs: tuple[str, ...]) -> None:
        """Record where a model has been on its ladder."""
        names = [*NAMED]
        self.rungs = max(self.rungs, rungs, key=lambda tried: [names.index(n) for n in tried[-1:]])

    def add(self, part: Report) -> None:
        """Take in what drawing a part found out, but for its segments."""
        self.climbed(part.rungs)
        for note in part.notes:
            self.noted(note)
        for phase, spent in part.seconds.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + spent

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the block's time to a phase."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + perf_counter() - start
