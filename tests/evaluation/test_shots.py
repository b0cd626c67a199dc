"""Which frames of a clip are read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fakes import clip, write_clip

from vtg_cli.errors import MediaError
from vtg_cli.evaluation.shots import Shot, is_clip, length, place_of, read
from vtg_cli.media.encoding import Encoding
from vtg_cli.media.video import open_sink


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_clip(tmp_path / "clip", clip(9, 0))
    return tmp_path / "clip"


def test_frames_step_and_start(folder: Path) -> None:
    truth = clip(9, 0)
    assert length(folder) == 9
    assert np.array_equal(read(Shot(folder)), truth)
    assert np.array_equal(read(Shot(folder, 3, 2, 1)), truth[1:6:2])
    assert np.array_equal(read(Shot(folder / "%05d.png", 2)), truth[:2])


def test_a_drawn_place_is_the_seeds_and_the_names(folder: Path) -> None:
    truth = clip(9, 0)
    start = place_of("/".join(folder.parts[-2:]), 5) % 6
    assert np.array_equal(read(Shot(folder, 4, 1, None), seed=5), truth[start : start + 4])
    assert len({place_of("a", seed) % 6 for seed in range(40)}) == 6


def test_a_short_clip_is_named(folder: Path) -> None:
    with pytest.raises(MediaError) as failure:
        read(Shot(folder, 10))
    assert failure.value.message == f"{folder}: 9 frames, 10 are needed"


def test_a_video_is_read_and_fitted(tmp_path: Path) -> None:
    frames, path = clip(5, 1, (48, 96)), tmp_path / "clip.mkv"
    with open_sink(
        str(path), Encoding(), height=48, width=96, channels=3, fps=Fraction(24)
    ) as sink:
        for frame in frames:
            sink.write(frame)
    assert is_clip(path)
    assert length(path) is None
    whole = read(Shot(path))
    assert np.abs(whole.astype(int) - frames).mean() < 4  # whatever the codec
    assert read(Shot(path, 3), (24, 24)).shape == (3, 24, 24, 3)
