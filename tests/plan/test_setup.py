"""A job is set up before its pictures are looked at."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vtg_cli.errors import UsageError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.encoding import Encoding
from vtg_cli.plan import model as models
from vtg_cli.plan.pictures import from_arrays, opaque
from vtg_cli.plan.plan import plan
from vtg_cli.plan.segments import planned
from vtg_cli.plan.setup import Setup, chosen, setup

FLOW = Interpolate(keyframes=("a", "b"), model="flow", frames=(4,), fps=Fraction(8))
SVD = str(Path(__file__).parents[1] / "data" / "parity" / "tiny_svd")


def up(job: Interpolate, size: tuple[int, int], name: str | None = None) -> Setup:
    return setup(job, chosen(job), size, name)


def test_a_setup_and_its_pictures_are_the_plan_of_the_job() -> None:
    first = np.full((30, 50, 3), 20, np.uint8)
    last = np.full((40, 40, 3), 90, np.uint8)
    pictures = from_arrays(FLOW.keyframes, [first, last])
    ready = up(FLOW, (30, 50), opaque(pictures))
    whole, same = plan(ready, pictures), planned(FLOW, [first, last])
    assert (ready.shape, ready.schedule.total, ready.notes) == ((30, 50, 3), 4, ())
    assert whole.job == ready.job == same.job
    assert whole.notes == same.notes == ("b (40x40) is cropped to 50x30 (--fit)",)
    for one, other in zip(whole.stills, same.stills, strict=True):
        assert one.sha256 == other.sha256 and np.array_equal(one.pixels, other.pixels)


def test_frames_have_alpha_where_all_pictures_model_and_file_have_it() -> None:
    clear = replace(FLOW, output="clip.mov")
    assert up(clear, (32, 32)).shape == (32, 32, 4)
    assert up(clear, (32, 32), "b").shape == (32, 32, 3)
    assert up(replace(clear, output="clip.mp4"), (32, 32)).shape == (32, 32, 3)
    assert up(replace(clear, model="tiny"), (32, 32)).shape == (32, 32, 3)
    wanted = replace(clear, encoding=Encoding(alpha=True))
    with pytest.raises(UsageError, match=r"^--alpha: b has no transparency$"):
        up(wanted, (32, 32), "b")
    with pytest.raises(UsageError, match=r"^--alpha: tiny draws no transparency$"):
        up(replace(wanted, model="tiny"), (32, 32))


def test_the_model_is_chosen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = models.choose

    def counted(model: str, *others: object) -> models.Choice:
        asked.append(model)
        return real(model, *others)  # type: ignore[arg-type]

    monkeypatch.setattr("vtg_cli.plan.setup.choose", counted)
    grey = [np.full((32, 32, 3), shade, np.uint8) for shade in (20, 90)]
    made = planned(FLOW, grey)
    assert asked == ["flow"]
    assert planned(FLOW, grey, model=made.model).job == made.job and asked == ["flow"]


def test_everything_left_open_of_sampling_is_decided() -> None:
    job = replace(FLOW, model=SVD, device="cpu", fps=None, sampling=Sampling(method="trf"))
    made = up(job, (32, 32), "a")
    s = made.job.sampling
    assert (s.steps, s.solver, s.guidance, s.init, s.strength) == (
        *(25, "euler", (1.0, 3.0), "random", 1.0),
    )
    assert (s.renoise, s.renoise_until, s.temperature, s.schedule) == (1, 0.6, 1.0, "karras")
    # 15 of 25 steps are walked twice, by two directions, each with and without guidance
    assert (made.evaluations, made.inversions) == ((25 + 15) * 2 * 2, 0)
