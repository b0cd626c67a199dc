"""The table of `vtg batch --dry-run`: what would be made, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vtg_cli.cli.console import result, result_json
from vtg_cli.errors import BatchError, explained
from vtg_cli.ground.printable import printable

if TYPE_CHECKING:
    from vtg_cli.batch.item import Item
    from vtg_cli.batch.worker import Settings
    from vtg_cli.plan.needs import Preflight


@dataclass
class Totals:
    """The totals of all clips that would be made.

    seconds: of video
    spent: predicted seconds of work, one clip after the other
    volume: bytes on disk
    memory: of the largest
    """

    clips: int = 0
    frames: int = 0
    seconds: Fraction = Fraction(0)
    spent: float = 0.0
    volume: int = 0
    memory: int = 0

    def add(self, frames: int, seconds: Fraction, ahead: Preflight) -> None:
        self.clips += 1
        self.frames += frames
        self.seconds += seconds
        self.spent += ahead.cost.seconds
        self.volume += ahead.volume or 0
        self.memory = max(self.memory, ahead.cost.memory)

    def to_json(self) -> dict[str, Any]:
        from vtg_cli.plan.needs import rounded

        return {
            "clips": self.clips,
            "frames": self.frames,
            "seconds": float(self.seconds),
            "predicted_seconds": rounded(self.spent),
            "output_bytes": rounded(self.volume),
            "memory_bytes": rounded(self.memory),
        }

    @property
    def text(self) -> str:
        from vtg_cli.ground.units import counted, size_text, time_text

        if not self.clips:
            return "nothing to make"
        return (
            f"{counted(self.clips, 'clip')} to make: {counted(self.frames, 'frame')}, "
            f"{float(self.seconds):.4g} s of video; predicted: {time_text(self.spent)} of work, "
            f"{size_text(self.volume) if self.volume else 'nothing known'} on disk"
        )


def tell_plan(items: Sequence[Item], settings: Settings, *, as_json: bool) -> None:
    """Print the table of what would be made. Raise BatchError if an item would fail."""
    from vtg_cli.batch.store import open_store
    from vtg_cli.batch.worker import Worker
    from vtg_cli.ground.units import size_text, time_text
    from vtg_cli.plan import needs as preflight
    from vtg_cli.render import report

    worker = Worker(open_store(settings.place, look=True), settings)
    head = ("name", "keyframes", "frames", "size", "model", "memory", "time", "output", "")
    rows: list[tuple[str, ...]] = [head]
    documents: list[dict[str, Any]] = []
    totals = Totals()
    bad = 0
    for item in items:
        keys = " ".join(name.rpartition("/")[2] for name in item.job.keyframes)
        named = {"name": item.name, "output": item.output}
        try:
            job_plan, verdict = worker.look(item)
            ahead = preflight.checked(job_plan)
        except Exception as error:
            bad += 1
            failure = explained(error)
            model = item.job.model
            rows.append((item.name, keys, "", "", model, "", "", item.output, failure.message))
            documents.append({**named, "error": failure.message, "exit_code": failure.exit_code})
            continue
        height, width, _ = job_plan.shape
        what = "make" if verdict == "make" else "skip: it is there"
        size = f"{width}x{height}"
        frames = str(job_plan.schedule.total)
        needs = size_text(ahead.cost.memory), time_text(ahead.cost.seconds)
        rows.append((item.name, keys, frames, size, job_plan.model.name, *needs, item.output, what))
        if verdict == "make":
            totals.add(job_plan.schedule.total, job_plan.schedule.duration, ahead)
        predicted = {"prediction": preflight.document(ahead)}
        what = what.partition(":")[0]
        documents.append({**named, "what": what, **report.outline(job_plan), **predicted})
    if as_json:
        result_json({"items": documents, "totals": totals.to_json()}, indent=2)
    else:
        table = [tuple(map(printable, row)) for row in rows]  # before it is measured
        widths = [max(len(row[k]) for row in table) for k in range(len(head))]
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            result("  ".join(cells).rstrip())
        result(totals.text)
    if bad:
        raise BatchError(f"{bad} of {len(items)} items would fail", "the table says why")
