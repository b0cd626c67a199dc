"""One clip of a batch and what became of it; both travel between processes as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from vtg_cli.errors import UsageError, VtgError
from vtg_cli.job.document import from_json, to_json
from vtg_cli.job.jobs import Interpolate, Job

State = Literal["made", "skipped", "busy", "failed"]


@dataclass(frozen=True)
class Item:
    """One clip of a batch.

    name: for people
    job: its output is relative to where the batch's clips go
    sidecar: the report it was read from, whose keyframes and weights must not have changed
    """

    name: str
    job: Interpolate
    sidecar: str | None = None

    @property
    def output(self) -> str:
        """The output, relative, with forward slashes; no two items of a batch share it."""
        assert self.job.output is not None
        return self.job.output

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "job": to_json(self.job), "sidecar": self.sidecar}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Item:
        return Item(document["name"], single(from_json(document["job"])), document["sidecar"])


def single(job: Job) -> Interpolate:
    """Return the job, if it is one a batch makes. Raise UsageError for a timeline."""
    if not isinstance(job, Interpolate):
        raise UsageError("a batch makes no timelines", "vtg run makes such a report's clip again")
    return job


@dataclass(frozen=True)
class Outcome:
    """The outcome of an item.

    busy: another process was at it, so nothing was done
    attempts: how often it was tried
    memory: rungs of the memory ladder that its model has been at
    """

    name: str
    output: str
    state: State
    seconds: float = 0.0
    attempts: int = 1
    error: str = ""
    hint: str = ""
    exit_code: int = 0
    memory: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def failed(item: Item, error: VtgError, *, seconds: float = 0.0, attempts: int = 1) -> Outcome:
    """Return the outcome of an item that could not be made."""
    failure = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return Outcome(item.name, item.output, "failed", round(seconds, 3), attempts, **failure)  # type: ignore[arg-type]
