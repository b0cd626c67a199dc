"""The bar of a command at work: what is being done, how much of it is done, the time left."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vtg_cli.ground.printable import printable
from vtg_cli.ground.units import time_text

Progress = Callable[[float, str], None]
"""Callback progress(share done in [0, 1], what is being done)."""


class TimeLeft:
    """The time left of work whose share is reported now and then.

    expected: seconds for all of it, None where nothing is predicted

    It is as predicted until a share is done, from then on as measured, all of it alike. Loading,
    before any share, is not measured.
    """

    def __init__(
        self, expected: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._expected, self._clock = expected, clock
        self._began = self._told = clock()
        self._share = 0.0

    def told(self, share: float) -> None:
        """Note that so much of it is done, 0 to 1."""
        if share <= 0:
            self._began = self._clock()
        elif share > self._share:
            self._share, self._told = share, self._clock()

    @property
    def text(self) -> str:
        """The time left as predicted: about 2 min. As measured: 0:01:57. Nothing known: -:--:--."""
        if not self._share:
            return "-:--:--" if self._expected is None else f"about {time_text(self._expected)}"
        spent = self._told - self._began
        left = spent * (1 - self._share) / self._share - (self._clock() - self._told)
        minutes, seconds = divmod(max(0, round(left)), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


@contextmanager
def progress(*, quiet: bool, expected: float | None = None) -> Iterator[Progress | None]:
    """Show a bar with the time left, drawn only where a person watches; yields None elsewhere.

    expected: seconds, as for TimeLeft
    """
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    left = TimeLeft(expected)

    class Left(ProgressColumn):
        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            return Text(left.text, style="progress.remaining")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        Left(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("starting", total=1.0)

        def show(share: float, phase: str) -> None:
            left.told(share)
            bars.update(bar, completed=share, description=printable(phase))

        yield show
