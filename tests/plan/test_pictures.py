"""What is told of keyframes before anything is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vtg_cli.job.jobs import Interpolate
from vtg_cli.plan import pictures as stills
from vtg_cli.plan.setup import chosen, setup

JOB = Interpolate(keyframes=("a.png", "b.png", "c.png"))
LARGE = (
    "the clip is {}x{}, larger than 4K: --width 3840 or less is faster, and every player shows it"
)


def still(name: str, *notes: str, size: tuple[int, int] = (2, 2)) -> stills.Still:
    return stills.Still(name, name, size, np.zeros((2, 2, 3), np.uint8), notes)


def test_what_reading_did_is_told_once_for_all_it_was_done_to() -> None:
    deep, first = "samples of 16 bits are reduced to 8", "only the first is taken"
    pictures = [still("a.png", deep), still("b.gif", first), still("c.png", deep, first)]
    assert [*stills.notes(JOB, pictures, 2, 2, False)] == [
        f"a.png, c.png: {deep}",
        f"b.gif, c.png: {first}",
    ]


@pytest.mark.parametrize(
    ("height", "width", "told"), [(2160, 3840, False), (2160, 4096, False), (4000, 6000, True)]
)
def test_pictures_over_4k_suggest_a_width(height: int, width: int, told: bool) -> None:
    flow = replace(JOB, model="flow")
    expected = [LARGE.format(width, height)] if told else []
    assert [*setup(flow, chosen(flow), (height, width), "a.png").notes] == expected
    for job in (replace(flow, width=width), replace(flow, height=height)):  # asked for
        assert [*setup(job, chosen(job), (height, width), "a.png").notes] == []
