"""Timelines are planned and drawn as the jobs they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtg_cli.backbones import base
from vtg_cli.errors import UsageError, VtgError
from vtg_cli.job.jobs import Interpolate, Timeline
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.encoding import Encoding
from vtg_cli.plan.segments import TimelinePlan, planned
from vtg_cli.render import draw

SVD = str(Path(__file__).parents[1] / "data" / "parity" / "tiny_svd")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate("abc"):
        y, x = np.mgrid[:32, :48]
        waves = [np.sin((x + i * i) / 6) + np.cos((y - i) / (4 + c)) for c in range(3)]
        pixels = (np.stack(waves, -1) * 60 + 128).astype(np.uint8)
        Image.fromarray(pixels).save(f"{name}.png")
        clear = np.dstack([pixels, np.full((32, 48), 200, np.uint8)])
        Image.fromarray(clear).save(f"{name}_clear.png")


def timeline(*segments: dict[str, object], names: Sequence[str] = "abc") -> Timeline:
    pairs = zip(names[:-1], names[1:], segments, strict=True)
    return Timeline(
        segments=tuple(
            replace(
                Interpolate(
                    keyframes=(f"{first}.png", f"{last}.png"),
                    frames=(5,),
                    fps=Fraction(24),
                    model="flow",
                ),
                **settings,  # type: ignore[arg-type]
            )
            for first, last, settings in pairs
        )
    )


def plan_of(job: Timeline) -> TimelinePlan:
    made = planned(job)
    assert isinstance(made, TimelinePlan)
    return made


def frames_of(job: Timeline | Interpolate) -> list[np.ndarray]:
    return list(draw.run(job))


@pytest.mark.parametrize("carry", [False, True])
@pytest.mark.parametrize("ease", ["linear", "ease-in-out"])
def test_uniform_settings_give_what_interpolate_gives(carry: bool, ease: str) -> None:
    same = {"carry": carry, "ease": ease}
    job = Interpolate(
        keyframes=("a.png", "b.png", "c.png"),
        frames=(5, 7),
        fps=Fraction(24),
        model="flow",
        carry=carry,
        ease=ease,
    )
    one = frames_of(job)
    other = frames_of(timeline({**same}, {**same, "frames": (7,)}))
    assert len(one) == 11
    assert np.array_equal(one, other)


def test_a_model_gives_the_same_too_and_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    load = base.load

    def counted(folder: Path, **options: object) -> object:
        loads.append(folder)
        return load(folder, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(base, "load", counted)
    few = Sampling(steps=1)
    drawn = {"model": "tiny", "device": "cpu", "sampling": few}
    job = timeline({**drawn}, {**drawn})
    several = frames_of(job)
    assert len(loads) == 1
    one = frames_of(
        Interpolate(
            keyframes=("a.png", "b.png", "c.png"),
            frames=(5,),
            fps=Fraction(24),
            model="tiny",
            device="cpu",
            sampling=few,
        )
    )
    assert np.array_equal(one, several)


def test_two_models_share_one_clip_and_its_size() -> None:
    made = plan_of(timeline({"model": "tiny", "sampling": Sampling(steps=1)}, {}))
    assert [model.name for model in made.models] == ["tiny", "flow"]
    assert len({part.shape for part in made.parts}) == 1
    frames = list(draw.render(made))
    assert len(frames) == 9
    assert np.array_equal(frames[4], made.stills[1].pixels)


def test_a_size_one_model_cannot_draw_names_the_segment() -> None:
    """flow takes 45 x 31 as it is, the other one multiples of its factor only."""
    for name in "ab":
        Image.open(f"{name}.png").resize((45, 31)).save(f"{name}.png")
    with pytest.raises(VtgError) as caught:
        planned(timeline({}, {"model": SVD, "device": "cpu"}))
    assert caught.value.message.startswith("segment 2: --width 45 is not a positive multiple of")
    assert caught.value.message.endswith("(45x31 is segment 1's)")


def test_an_option_a_model_has_no_use_for_names_the_segment() -> None:
    with pytest.raises(UsageError) as caught:
        planned(timeline({}, {"sampling": Sampling(steps=3)}))
    assert caught.value.message.startswith("segment 2: --steps is for diffusion models")


def test_keyframes_and_positions() -> None:
    made = plan_of(timeline({}, {"frames": (13,)}))
    assert made.schedule.positions == (0, 4, 16)
    assert [still.name for still in made.stills] == ["a.png", "b.png", "c.png"]
    assert made.shape == (32, 48, 3)
    assert made.through == (False, False)
    assert plan_of(timeline({"carry": True}, {"carry": True})).through == (True, False)
    assert plan_of(timeline({"carry": True}, {})).through == (False, False)


def test_transparency_is_kept_where_all_of_it_can_be() -> None:
    clear = ("a_clear", "b_clear", "c_clear")
    assert plan_of(timeline({}, {}, names=clear)).shape == (32, 48, 4)
    mixed = plan_of(timeline({}, {}, names=("a_clear", "b_clear", "c")))
    assert mixed.shape == (32, 48, 3)
    assert mixed.job.encoding.alpha is False
    assert any("a_clear.png are laid on white" in note for note in mixed.notes)
    film = replace(timeline({}, {}, names=clear), output="o.mp4")
    assert plan_of(film).shape == (32, 48, 3)
    asked = replace(timeline({}, {}), encoding=Encoding(alpha=True))
    with pytest.raises(UsageError, match=r"--alpha: a\.png has no transparency"):
        planned(asked)


def test_a_note_is_said_once() -> None:
    Image.open("b.png").resize((32, 32)).save("b.png")
    notes = plan_of(timeline({}, {})).notes
    assert notes == ("b.png (32x32) is cropped to 48x32 (--fit)",)


def test_decided_jobs_plan_to_themselves() -> None:
    decided = plan_of(timeline({}, {"carry": True})).job
    assert plan_of(decided).job == decided
