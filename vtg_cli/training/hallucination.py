"""DSG-Video: how often captions name what a clip does not show (STIV, Lin et al. 2024).

An object of a caption is hallucinated if it is seen in none of the frames that were asked about.

    DSG-i   hallucinated objects of all objects         DSG-s   captions with one, of all captions
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vtg_cli.errors import MediaError
from vtg_cli.ground import documents


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of an answers file, shares in [0, 1], and what they were counted on."""

    dsg_i: float
    dsg_s: float
    objects: int
    captions: int


def scores(file: Path) -> Scores:
    """Return the scores of answers about frames. Raise MediaError for another form than this.

    file: a line of JSON for each caption, {"objects": {NAME: [true, false, ..]}}, one answer for
        each frame: is it to be seen?
    """
    hallucinated, objects, faulty, captions = 0, 0, 0, 0
    form = '{"objects": {NAME: [true, false, ..]}} in each line'
    with documents.reading(file, MediaError, form, "holds no answers"):
        for line in documents.content_of(file).splitlines():
            answers = documents.json_object(line)["objects"]
            absent = 0
            for name, seen in answers.items():
                if not seen or any(type(each) is not bool for each in seen):
                    raise ValueError(f"{name} has no list of true and false")
                absent += not any(seen)
            hallucinated, objects = hallucinated + absent, objects + len(answers)
            faulty, captions = faulty + (absent > 0), captions + 1
        if not objects:
            raise ValueError("it names no object")
    return Scores(
        dsg_i=hallucinated / objects, dsg_s=faulty / captions, objects=objects, captions=captions
    )
