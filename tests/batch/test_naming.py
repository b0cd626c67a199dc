"""Output templates: what they give and what they refuse."""

from __future__ import annotations

import pytest

from vtg_cli.batch.naming import check, filled
from vtg_cli.errors import UsageError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import Sampling

JOB = Interpolate(keyframes=("in/a 1.png", "in/b.png"), model="org/m", sampling=Sampling(seed=7))


@pytest.mark.parametrize(
    ("template", "output"),
    [
        ("{name}.mp4", "x.mp4"),
        ("{index:04}_{first}-{last}.mov", "0012_a 1-b.mov"),
        ("{model}/s{seed}/{name}_%04d.png", "m/s7/x_%04d.png"),
        ("./{name}.gif", "x.gif"),
    ],
)
def test_fields(template: str, output: str) -> None:
    check(template)
    assert filled(template, "x", 12, JOB) == output


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{title}.mp4", "has a field {title} that is not known"),
        ("{name.__class__}.mp4", "has a field {name.__class__} that is not known"),
        ("{}.mp4", "has a field {} that is not known"),
        ("{name.mp4", "--output-template {name.mp4: "),
        ("{name:04d}.mp4", "--output-template {name:04d}.mp4: "),
        ("/tmp/{name}.mp4", "is not a plain name inside the batch's folder"),
        ("../{name}.mp4", "is not a plain name inside the batch's folder"),
        ("x/.{name}.mp4", "is not a plain name inside the batch's folder"),
    ],
)
def test_what_is_refused(template: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        check(template)
    assert said in error.value.message


def test_a_name_cannot_lead_out_of_the_folder() -> None:
    with pytest.raises(UsageError, match="not a plain name"):
        filled("{name}.mp4", "../../x", 1, JOB)
