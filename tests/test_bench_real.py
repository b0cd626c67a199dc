"""The benchmark of real windows: what it holds to be moving, its measures, and one small run."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
bench = import_module("bench_real")


def window(step: int) -> bench.Picture:
    """Nine frames of a texture under a camera that pans by 2 pixels a frame, and a light square
    that moves `step` pixels against it."""
    noise = np.random.default_rng(3).normal(128, 60, (120, 200))
    texture = np.clip(cv2.GaussianBlur(noise, (0, 0), 2) * 3 - 256, 0, 255).astype(np.uint8)
    frames = []
    for k in range(9):
        frame = np.repeat(texture[:96, 2 * k : 2 * k + 144, None], 3, 2)
        frame[40:72, 20 + step * k : 52 + step * k] = (250, 240, 30)
        frames.append(frame)
    return np.stack(frames)


def test_what_moves_is_what_the_camera_does_not_explain() -> None:
    """The square where it is and where it was; nothing but its surroundings beside."""
    clip = window(5)
    mask = bench.moving(clip[4], (clip[0], clip[8]))
    assert mask[44:68, 44:68].mean() > 0.9  # at 40 to 72
    rest = mask.copy()
    rest[26:86] = False
    assert rest.mean() < 0.02
    still = window(-2)  # moves with the camera
    assert bench.moving(still[4], (still[0], still[8])).mean() < 0.02


def test_the_largest_step_is_a_share_of_the_way() -> None:
    levels = np.array([0, 0, 10, 0, 20, 0, 30, 0, 80], np.uint8)
    clip = np.broadcast_to(levels[:, None, None, None], (9, 4, 4, 3))
    assert bench.largest_step(clip) == pytest.approx(50 / 80)


def test_scores_of_what_moves_are_of_those_pixels() -> None:
    truth = np.zeros((64, 64, 3), np.uint8)
    drawn, mask = truth.copy(), np.zeros((64, 64), bool)
    mask[8:48, 8:48] = True
    drawn[mask] = 51  # a fifth: 20 log10(5) dB
    found = bench.scores(drawn, truth, mask, {"psnr": bench.psnr})
    assert found["moving_psnr"] == pytest.approx(20 * np.log10(5))
    share = mask.mean()
    assert found["psnr"] == pytest.approx(20 * np.log10(5) - 10 * np.log10(share))


def test_a_small_run_writes_tables_and_strips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "windows" / "square"
    place.mkdir(parents=True)
    for k, frame in enumerate(window(5)):
        Image.fromarray(frame).save(place / f"{k}.jpg", quality=95)
    out, strips = tmp_path / "real.md", tmp_path / "strips"
    how = ["--engines", "cross-fade", "--out", str(out), "--strips", str(strips)]
    bench.main([str(tmp_path / "windows"), *how])
    told = json.loads(capsys.readouterr().out)
    assert {*told} == {"gap 8", "gap 2"}
    wide, narrow = (told[gap]["cross-fade"]["square"] for gap in ("gap 8", "gap 2"))
    assert narrow["psnr"] > wide["psnr"] > wide["moving_psnr"]
    assert wide["step"] == pytest.approx(0.25, abs=0.01)  # a cross-fade is even
    assert "## gap 8: means of 1 windows" in out.read_text(encoding="utf-8")
    with Image.open(strips / "square.png") as strip:
        assert strip.size[0] > 1000
