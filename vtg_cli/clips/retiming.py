"""What is decided about a clip that is retimed, and what is found out while it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from vtg_cli.job.jobs import Retime
from vtg_cli.job.times import count
from vtg_cli.media import extras, sound
from vtg_cli.media.probe import Facts
from vtg_cli.media.survey import Extent
from vtg_cli.plan.pictures import Frame
from vtg_cli.plan.setup import Setup

Draw = Callable[[Frame, Frame, Sequence[float]], Iterator[Frame]]
"""(first, last, shares of the way in (0, 1)) -> a frame for each"""


@dataclass(frozen=True, kw_only=True)
class Retiming:
    """What will be made, with everything that was left open decided.

    base:   how in-betweens are drawn
    source: what the file holds; None for standard input
    extent: how long it is; None where only the end will tell
    fps:    of the new clip; factor: times as long
    sound, kept: what goes with it
    """

    job: Retime
    base: Setup
    source: Facts | None
    extent: Extent | None
    rate: Fraction
    size: tuple[int, int]
    fps: Fraction
    factor: Fraction
    sound: sound.Sound | None
    kept: extras.Kept | None
    notes: tuple[str, ...]

    @property
    def step(self) -> Fraction:
        """Seconds of the old clip from one new frame to the next."""
        return 1 / (self.fps * self.factor)

    @property
    def frames(self) -> int | None:
        """How many the new clip will have, as far as the file's own account is right."""
        return None if self.extent is None else count(self.extent.seconds, self.step)


@dataclass
class Found:
    """What turned up on the way: frames read, written and drawn between; seconds at which scenes
    end in the old clip (the first hundred); seconds that stood still.
    """

    read: int = 0
    written: int = 0
    drawn: int = 0
    cuts: int = 0
    cut_at: list[str] = field(default_factory=list)
    still: Fraction = Fraction(0)
