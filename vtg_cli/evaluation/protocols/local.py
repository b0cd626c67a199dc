"""Your own data: clips whose in-betweens are known, or pairs of pictures that have none."""

from __future__ import annotations

from pathlib import Path

from vtg_cli.evaluation.protocols.base import Found, Protocol, Table
from vtg_cli.evaluation.protocols.layouts import clips, pairs

FRAMES = 9


def find(folder: Path, frames: int = FRAMES) -> Found:
    """Read a folder's clips, of each the first `frames` frames; if there are none, its pairs."""
    of_clips = clips(folder, frames)
    return of_clips if of_clips.cases else _joined(pairs(folder), of_clips)


def _joined(found: Found, other: Found) -> Found:
    return found if found.cases else Found((), (*found.lacking, *other.lacking))


LOCAL = Protocol(
    "local",
    "your own clips or pairs",
    (
        Table(
            "local",
            "your own data",
            "",
            "folders of numbered pictures (0.jpg to 8.jpg) or videos, of at least nine frames "
            "each; or pairs NAME_a and NAME_b",
            "your own disk",
            find,
            FRAMES,
        ),
    ),
    whole=True,
)
