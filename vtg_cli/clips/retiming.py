"""The record of a retimed clip: what is decided, and what is found out while it is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from vtg_cli.job.jobs import Retime
from vtg_cli.job.times import count, exact
from vtg_cli.media import extras, sound
from vtg_cli.media.probe import Facts
from vtg_cli.media.survey import Extent
from vtg_cli.plan.setup import Setup
from vtg_cli.render.summary import where


@dataclass(frozen=True, kw_only=True)
class Retiming:
    """A retimed clip with everything that was left open decided.

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
        """Number of frames the new clip will have, as far as the file's own account is right."""
        return None if self.extent is None else count(self.extent.seconds, self.step)

    @property
    def pieces(self) -> tuple[int, ...]:
        """Return the frames from each frame of the old clip to the next, both included, on average;
        of one pair if nobody knows how many there are.
        """
        drawn = ceil(self.fps * self.factor / self.rate) + 1
        pairs = 1 if self.extent is None else max(self.extent.frames - 1, 1)
        return (drawn,) * pairs

    def lines(self) -> Iterator[str]:
        """Describe what will be made, one fact a line."""
        job, (height, width), total = self.job, self.size, self.frames
        lasts = "" if total is None else f"{total} frames, {float(total / self.fps):.6g} s, "
        yield f"clip      {job.output}: {lasts}{exact(self.fps)} a second, {width}x{height}"
        read = "" if self.extent is None else f"{self.extent.frames} frames, "
        yield f"from      {job.clip.path}: {read}{exact(self.rate)} a second"
        yield f"lasts     {exact(self.factor)} times as long"
        yield f"sound     {'none' if self.sound is None else job.audio}"
        yield f"model     {self.base.model.name}"
        yield from where(self.base)


@dataclass
class Found:
    """The findings of a run: frames read, written and drawn between; seconds at which scenes end in
    the old clip (the first hundred); seconds that stood still.
    """

    read: int = 0
    written: int = 0
    drawn: int = 0
    cuts: int = 0
    cut_at: list[str] = field(default_factory=list)
    still: Fraction = Fraction(0)
