"""The plan, made of a setup and its pictures: after it only the computation itself can fail."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vtg_cli.errors import no_folder
from vtg_cli.media import encoding
from vtg_cli.plan import pictures as stills
from vtg_cli.plan.pictures import Still
from vtg_cli.plan.setup import Setup


@dataclass(frozen=True, kw_only=True)
class Plan(Setup):
    """A setup with its keyframes as they will appear."""

    stills: tuple[Still, ...]

    @property
    def parts(self) -> tuple[Plan, ...]:
        return (self,)

    @property
    def segments(self) -> list[tuple[Still, Still, int]]:
        """First keyframe, last keyframe and number of frames of each segment."""
        circle = [*self.stills, *self.stills[:1]] if self.job.loop else self.stills
        pairs = zip(pairwise(circle), self.schedule.segments, strict=True)
        return [(first, last, n) for (first, last), n in pairs]


def plan(setup: Setup, pictures: Sequence[Still]) -> Plan:
    """Return the plan of a setup for these pictures, as they were read."""
    job, (height, width, channels) = setup.job, setup.shape
    alpha = channels == 4
    notes = [*stills.notes(job, pictures, height, width, alpha), *setup.notes]
    fitted = tuple(stills.fitted(each, job, height, width, alpha) for each in pictures)
    return Plan(**{**vars(setup), "notes": tuple(notes)}, stills=fitted)


def claimed(output: str, choices: encoding.Encoding, inputs: Collection[str] = ()) -> bool:
    """Return whether `output` is to be written; False if it exists and is to be kept.

    Raises UsageError or MediaError if it cannot be written, or would replace one of the `inputs`.
    """
    form = encoding.format_of(output, choices)
    if output == "-":
        return True
    path = Path(output)
    folder = path.parent.parent if form.name == "png" else path.parent
    if not folder.is_dir():
        raise no_folder(output, folder)
    return encoding.claim(output, choices, inputs)
