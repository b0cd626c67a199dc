"""The record of a bridge between two clips: what is decided, and what is found out while it is
drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from vtg_cli.clips.ends import Side
from vtg_cli.job.jobs import Bridge
from vtg_cli.job.times import exact
from vtg_cli.media.formats import Format
from vtg_cli.plan.setup import Setup
from vtg_cli.render.summary import where


@dataclass(frozen=True, kw_only=True)
class Bridging:
    """A bridge with everything that was left open decided.

    base: how the way is drawn
    kept: frames of the first clip, from its start, and of the last, to its end, whose packets are
          copied
    """

    job: Bridge
    base: Setup
    first: Side
    last: Side
    fps: Fraction
    form: Format
    kept: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def piped(self) -> bool:
        """Return whether a part of it comes or goes through a pipe: it cannot be made again."""
        return self.first.live is not None or self.last.live is not None

    def lines(self) -> Iterator[str]:
        """Describe what will be made, one fact a line."""
        (height, width), job, (head, tail) = self.base.shape[:2], self.job, self.kept
        leaves = "its last frame" if self.first.end is None else f"frame {self.first.end - 1}"
        yield f"clip      {job.output}: {exact(self.fps)} a second, {width}x{height}"
        yield f"leaves    {job.first.path} at {leaves}"
        yield f"between   {self.base.schedule.total - 2} frames"
        yield f"arrives   {job.last.path} at frame {self.last.begin}"
        yield f"copied    {head} frames of the first, {tail} of the last"
        yield f"model     {self.base.model.name}"
        yield from where(self.base)


@dataclass
class Found:
    """The result of a bridge: frames of each piece, and the number of copied packets."""

    first: int = 0
    between: int = 0
    last: int = 0
    copied: tuple[int, int] = (0, 0)

    @property
    def total(self) -> int:
        return self.first + self.between + self.last
