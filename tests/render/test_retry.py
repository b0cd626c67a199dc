"""--on-bad: which takes are drawn, which is kept, what is said; with renderers that draw badly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli import interpolate
from vtg_cli.cli import main
from vtg_cli.errors import QualityError, UsageError
from vtg_cli.flow.engine import in_between
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import MAX_SEED, Sampling
from vtg_cli.media.anchor import AnchorReport
from vtg_cli.media.sheet import save_png
from vtg_cli.plan.segments import planned
from vtg_cli.plan.takes import Variant, variants
from vtg_cli.quality.segment import Label, Verdict
from vtg_cli.render import draw as drawing
from vtg_cli.render import segments
from vtg_cli.render.retry import (
    Outcome,
    Take,
    settled,
    summary,
)
from vtg_cli.render.segments import Cancel, Frames, Progress, Renderer

Pixels = NDArray[np.uint8]
KEYS = ("a.png", "b.png", "c.png")
FRAMES = 9


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three moments of a pan, in a folder of their own."""
    rng = np.random.default_rng(0)
    small = rng.uniform(20, 235, (10, 20, 3)).repeat(8, 0).repeat(8, 1)
    wide = np.round(small).astype(np.uint8)
    for i, name in enumerate(KEYS):
        save_png(tmp_path / name, wide[8:72, 12 * i : 96 + 12 * i])
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def job(count: int = 2, **more: object) -> Interpolate:
    keyframes = tuple(f"../{name}" for name in KEYS[:count])
    return Interpolate(keyframes=keyframes, model="flow", frames=(FRAMES,), **more)  # type: ignore[arg-type]


def slideshow(
    first: Pixels, last: Pixels, times: Sequence[float], progress: Progress, cancel: Cancel
) -> Frames:
    progress(1.0, "showing slides")
    return np.stack([first if t < 0.5 else last for t in times])


def flickering(
    first: Pixels, last: Pixels, times: Sequence[float], progress: Progress, cancel: Cancel
) -> Frames:
    turns = (12 * (np.arange(len(times)) % 2))[:, None, None, None]
    return np.clip(in_between(first, last, times).astype(int) + turns, 0, 255).astype(np.uint8)


def in_turn(*renderers: Renderer) -> Renderer:
    """Draws with one after the other."""
    left = [*renderers]

    def draw(*arguments: object) -> Frames:
        return left.pop(0)(*arguments)  # type: ignore[arg-type]

    return draw


def drawn(made: Interpolate, renderer: Renderer) -> tuple[Pixels, list[Outcome]]:
    rendering = drawing.render(planned(made), renderer=renderer)
    return np.stack([*rendering]), rendering.report.outcomes


def good(count: int = 2) -> Pixels:
    return np.stack([*drawing.run(job(count))])


# ------------------------------------------------------------------------------- which are drawn
@pytest.mark.parametrize(
    ("more", "by", "expected"),
    [
        ({}, "svd", [("svd", 7, 0.0)]),
        ({"on_bad": "fail"}, "svd", [("svd", 7, 0.0)]),
        ({"on_bad": "fallback"}, "svd", [("svd", 7, 0.0), ("flow", 7, None)]),
        # nothing is left to chance at temperature 0, so other takes are at 1
        (
            {"on_bad": "retry"},
            "svd",
            [("svd", 7, 0.0), ("svd", 8, 1.0), ("svd", 9, 1.0), ("svd", 10, 1.0)],
        ),
        ({"on_bad": "retry", "candidates": 2}, "svd", [("svd", 7, 0.0), ("svd", 8, 1.0)]),
        ({"on_bad": "retry"}, "flow", [("flow", 7, 0.0)]),
        ({"on_bad": "fallback"}, "flow", [("flow", 7, 0.0)]),
    ],
)
def test_what_may_be_drawn(
    more: dict[str, object], by: str, expected: list[tuple[str, int, float | None]]
) -> None:
    asked = job(sampling=Sampling(seed=7, temperature=0.0), **more)
    assert variants(asked, by) == [Variant(*each) for each in expected]


def test_a_temperature_above_zero_stays_and_seeds_go_round() -> None:
    sampling = Sampling(seed=MAX_SEED, temperature=0.4)
    found = variants(job(sampling=sampling, on_bad="retry", candidates=2), "svd")
    assert found[1] == Variant("svd", 0, 0.4)


# --------------------------------------------------------------------------------- which is kept
def take(badness: float, *labels: Label) -> Take:
    frames = np.full((2, 1, 1, 3), int(badness * 10), np.uint8)
    return Take(frames, AnchorReport(0, 0, 0, 0), Verdict(labels, (), None, badness))


@pytest.mark.parametrize(
    ("takes", "kept", "drawn"),
    [
        ([take(0.5), take(0.1)], 0, 1),  # good at once: no other is drawn
        ([take(3, "frozen"), take(1), take(0)], 1, 2),
        ([take(3, "frozen"), take(2, "flicker"), take(4, "slideshow")], 1, 3),
        ([take(3, "frozen"), take(3, "flicker")], 0, 2),
        ([take(2, "flicker"), take(2.5)], 1, 2),  # good beats bad whatever its number
    ],
)
def test_the_least_bad_take_is_kept(takes: list[Take], kept: int, drawn: int) -> None:
    possible = [Variant("svd", seed, 1.0) for seed in range(len(takes))]
    best, outcome = settled(lambda v: takes[v.seed], possible, job(on_bad="retry"), "the clip")
    assert best is takes[kept]
    assert (outcome.kept, len(outcome.verdicts)) == (kept, drawn)
    assert outcome.variants == tuple(possible[:drawn])


# ------------------------------------------------------------------------------- the whole way
def test_warn_keeps_what_was_drawn_and_reports_it() -> None:
    clip, (outcome,) = drawn(job(), slideshow)
    assert np.array_equal(clip[1], clip[0])
    assert outcome.verdict.labels == ("slideshow",)
    assert summary([outcome], 1, "warn") == (
        "the clip is a slideshow of its keyframes (--on-bad retry, fallback or fail acts on it)"
    )


def test_retry_takes_the_first_good_one_of_each_segment() -> None:
    flow = segments.flow
    clip, outcomes = drawn(job(3, on_bad="retry"), in_turn(slideshow, flickering, flow, flow))
    assert np.array_equal(clip, good(3))
    assert [outcome.kept for outcome in outcomes] == [2, 0]
    assert summary(outcomes, 2, "retry") == (
        "segment 1 of 2 is drawn with seed 2: the first take is a slideshow of its keyframes"
    )


def test_retry_keeps_the_least_bad_where_none_is_good() -> None:
    asked = job(on_bad="retry", candidates=3)
    clip, (outcome,) = drawn(asked, in_turn(slideshow, flickering, slideshow))
    assert outcome.kept == 1
    assert not np.array_equal(clip[1], clip[0])
    assert summary([outcome], 1, "retry") == "the clip flickers, the best of 3 takes"


def test_fallback_is_flow_where_that_is_better() -> None:
    clip, (outcome,) = drawn(job(on_bad="fallback"), slideshow)
    assert np.array_equal(clip, good())
    assert outcome.variants == (Variant("the caller", 0, None), Variant("flow", 0, None))
    assert summary([outcome], 1, "fallback") == (
        "the clip is drawn by flow: the first take is a slideshow of its keyframes"
    )


def test_fail_ends_before_any_frame_of_the_segment() -> None:
    rendering = drawing.render(
        planned(job(3, on_bad="fail")), renderer=in_turn(segments.flow, slideshow)
    )
    frames = iter(rendering)
    assert np.array_equal(np.stack([next(frames) for _ in range(8)]), good(3)[:8])
    with pytest.raises(QualityError) as failure:
        next(frames)
    assert failure.value.exit_code == 6
    assert failure.value.message == "segment 2 of 2 is a slideshow of its keyframes"


def test_progress_only_grows_over_several_takes() -> None:
    told: list[float] = []
    made = planned(job(on_bad="retry", candidates=3))
    renderer = in_turn(slideshow, slideshow, slideshow)
    [*drawing.render(made, progress=lambda share, phase: told.append(share), renderer=renderer)]
    assert told == sorted(told)
    assert told[-1] == 1


def test_other_seeds_and_temperature_reach_the_embedded_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second take is what the seed and temperature it names make by themselves."""
    verdicts = iter([Verdict(("frozen",), (), None, 3.0), Verdict((), (), None, 0.0)])
    options = {"model": "tiny", "frames": 5, "seed": 3}
    asked = [f"../{name}" for name in KEYS[:2]]
    alone = np.stack([*interpolate(*asked, **{**options, "seed": 4, "temperature": 1.0})])  # type: ignore[arg-type]
    cold = np.stack([*interpolate(*asked, **options)])  # type: ignore[arg-type]
    monkeypatch.setattr("vtg_cli.quality.segment.judge", lambda *_: next(verdicts))
    again = interpolate(*asked, **options, on_bad="retry")  # type: ignore[arg-type]
    assert np.array_equal(np.stack([*again]), alone)
    assert not np.array_equal(alone, cold)
    assert again.report.outcomes[0].variants == (Variant("tiny", 3, 0.0), Variant("tiny", 4, 1.0))


# ------------------------------------------------------------------------------ the command line
def vtg(*more: str) -> int:
    files = [f"../{name}" for name in KEYS[:2]]
    return main(["interpolate", *files, "-o", "clip.mkv", "--frames", str(FRAMES), *more])


def names() -> list[str]:
    return sorted(file.name for file in Path().iterdir())


CALM = "flow drew it and uses no randomness: no other take"
ACTS = "--on-bad retry, fallback or fail acts on it"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), ACTS),
        (("--on-bad", "warn"), ACTS),
        (("--on-bad", "retry"), CALM),
        (("--on-bad", "fallback"), CALM),
    ],
)
def test_one_line_on_stderr_and_a_clip(
    more: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(segments, "flow", slideshow)
    assert vtg("--model", "flow", *more) == 0
    assert capfd.readouterr() == (
        "clip.mkv\n",
        f"vtg: the clip is a slideshow of its keyframes ({said})\n",
    )
    assert names() == ["clip.mkv", "clip.mkv.json"]
    (segment,) = json.loads(Path("clip.mkv.json").read_text())["segments"]
    assert segment["quality"]["labels"] == ["slideshow"]
    assert segment["quality"]["measures"]["held"] == 1
    assert "takes" not in segment["quality"]


def test_fail_is_exit_code_6_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(segments, "flow", slideshow)
    assert vtg("--model", "flow", "--on-bad", "fail") == 6
    assert capfd.readouterr() == (
        "",
        "vtg: the clip is a slideshow of its keyframes\n"
        "     vtg inspect tells what its keyframes have in common; --on-bad retry or fallback "
        "draws it again\n",
    )
    assert names() == []


def test_fallback_in_place_of_a_diffusion_model(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(segments, "diffusion", lambda made, *more: [lambda sampling: slideshow])
    assert vtg("--model", "tiny", "--on-bad", "fallback") == 0
    assert capfd.readouterr().err == (
        "vtg: the clip is drawn by flow: the first take is a slideshow of its keyframes\n"
    )
    (segment,) = json.loads(Path("clip.mkv.json").read_text())["segments"]
    assert segment["quality"]["labels"] == []
    assert segment["quality"]["kept"] == 1
    assert [each["by"] for each in segment["quality"]["takes"]] == ["tiny", "flow"]


def test_quiet_says_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(segments, "flow", slideshow)
    assert vtg("--model", "flow", "-q") == 0
    assert capfd.readouterr() == ("clip.mkv\n", "")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"candidates": 3}, "--candidates means nothing to --on-bad warn"),
        ({"candidates": 1, "on_bad": "retry"}, "--candidates 1 is out of range"),
        ({"on_bad": "pray"}, "--on-bad pray is not known"),
    ],
)
def test_what_cannot_be_asked(more: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        planned(job(**more))
    assert refusal.value.message == message
