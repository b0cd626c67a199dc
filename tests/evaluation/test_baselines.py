"""The baselines: their ends, their middle, and the clip they write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vtg_cli.errors import MediaError
from vtg_cli.evaluation import baselines
from vtg_cli.media.image import read_image
from vtg_cli.media.sheet import save_png
from vtg_cli.training.scenes import HELD_OUT_SEEDS, render_clip

SIZE = (32, 48)


@pytest.fixture(scope="module")
def ends() -> baselines.Picture:
    return render_clip(HELD_OUT_SEEDS, 2, SIZE, family="held-out")


def test_crossfade_has_exact_ends_and_an_even_middle(ends: baselines.Picture) -> None:
    first, last = ends
    made = baselines.crossfade(first, last, 5)
    assert np.array_equal(made[0], first)
    assert np.array_equal(made[-1], last)
    assert np.abs(made[2] - (first / 2 + last / 2)).max() <= 0.5


def test_minterpolate_starts_and_ends_at_the_keyframes(ends: baselines.Picture) -> None:
    made = baselines.minterpolate(*ends, 5)
    assert made.shape == (5, *SIZE, 3)
    apart = np.abs(ends[1].astype(float) - ends[0]).mean()
    steps = np.abs(np.diff(made.astype(float), axis=0)).mean(axis=(1, 2, 3))
    assert apart > 5
    assert (steps > 0.02 * apart).all()  # nothing held still
    for end in (0, 1):
        assert np.abs(made[-end].astype(float) - ends[end]).mean() < 1


def test_what_minterpolate_cannot_do_is_said(ends: baselines.Picture) -> None:
    with pytest.raises(MediaError, match="minterpolate"):
        baselines.minterpolate(ends[0][:8, :8], ends[1][:8, :8], 5)


def test_a_clip_is_written_whole_and_again(tmp_path: Path, ends: baselines.Picture) -> None:
    names = [str(tmp_path / f"{end}.png") for end in "ab"]
    for name, picture in zip(names, ends, strict=True):
        save_png(name, picture)
    pattern = str(tmp_path / "clip" / "%04d.png")
    for frames in (5, 3):  # a shorter one leaves none of the longer one's frames
        spent = baselines.draw("crossfade", *names, frames, pattern)
        assert spent.seconds > 0
        assert 10**6 < spent.peak < 10**12
        made = [read_image(file) for file in sorted((tmp_path / "clip").iterdir())]
        assert np.array_equal(made, baselines.crossfade(*ends, frames))
