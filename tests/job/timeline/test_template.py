"""The file `vtg timeline init` writes is right, also with every comment taken away."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from vtg_cli.errors import UsageError
from vtg_cli.job.shorthand import Keyframes
from vtg_cli.job.timeline.document import job_in
from vtg_cli.job.timeline.schema import CLIP, SEGMENT, check
from vtg_cli.job.timeline.template import text
from vtg_cli.job.timeline.toml import tomllib


def test_a_second_apart_where_nothing_is_said() -> None:
    job = job_in(text(Keyframes(("a.png", "b.png", "c.png")), "."), "t.toml")
    assert [each.frames for each in job.segments] == [(25,), (25,)]
    assert job.keyframes == ("a.png", "b.png", "c.png")


@pytest.mark.parametrize(
    ("keyframes", "frames"),
    [
        (Keyframes(("a", "b", "c"), at=(Fraction(0), Fraction(3, 2), Fraction(3))), [37, 37]),
        (Keyframes(("a", "b"), at=(Fraction(0), Fraction(10, 3))), [81]),
        (Keyframes(("a", "b", "c"), frames=(13, 25)), [13, 25]),
    ],
)
def test_times_are_kept(keyframes: Keyframes, frames: list[int]) -> None:
    job = job_in(text(keyframes, "."), "t.toml")
    assert [n for each in job.segments for n in each.frames or ()] == frames


def test_every_key_is_shown_with_a_value_it_may_have() -> None:
    written = text(Keyframes(("a", "b")), ".")
    document = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", written, flags=re.M))
    check(document)
    assert {*document} - {"defaults", "keyframe", "segment"} == {*CLIP}
    assert {*document["defaults"]} == {*SEGMENT}


def test_names_are_seen_from_the_file() -> None:
    names = ('pic"tures/ä\\.png', "/b.png")
    job = job_in(text(Keyframes(names), "down/there"), "down/there/t.toml")
    assert job.keyframes == ('down/there/../../pic"tures/ä\\.png', "/b.png")


def test_one_keyframe_is_too_few() -> None:
    with pytest.raises(UsageError, match="two keyframes or more, 1 given"):
        text(Keyframes(("a",)), ".")
