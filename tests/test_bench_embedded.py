"""The benchmark of the embedded model: its measures against closed forms, its clips and baselines,
and one small run.
"""

from __future__ import annotations

import json
import math
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.weights import save
from vtg_cli.media.image import read_image
from vtg_cli.weights import delta

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
bench = import_module("bench_embedded")

SIZE = (32, 48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model and delta, none of whose parameters is zero: every row differs."""
    shape = Shape(width=32, depth=1, head=16, fine=8, middle=16)
    generator = torch.Generator().manual_seed(0)
    parameters = {
        name: p + 0.1 * torch.randn(p.shape, generator=generator)
        for name, p in Network(shape).named_parameters()
    }
    made = tmp_path_factory.mktemp("model")
    save(parameters, shape, made)
    changes = {name: p.detach() for name, p in parameters.items() if delta.is_tuned(name)}
    save_file(changes, made / "reverse.safetensors", {delta.FORMAT: '{"version": 1}'})
    return made


@pytest.fixture
def photo() -> bench.Picture:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)


def test_psnr_of_a_known_error() -> None:
    truth = np.full((3, *SIZE, 3), 100, np.uint8)
    assert bench.psnr(truth + 5, truth) == pytest.approx(20 * math.log10(255 / 5))
    half = truth.copy()
    half[:, :16] -= 10  # of the whole clip: not the mean of two halves' PSNR
    assert bench.psnr(half, truth) == pytest.approx(10 * math.log10(255**2 / 50))
    assert bench.psnr(truth, truth) == pytest.approx(100)


def test_smoothness_is_one_for_equal_steps_and_drops_for_a_jump() -> None:
    def clip(*levels: int) -> bench.Picture:
        return np.stack([np.full((*SIZE, 3), level, np.uint8) for level in levels])

    assert bench.smoothness(clip(0, 10, 20, 30, 40)) == pytest.approx(1)
    assert bench.smoothness(clip(0, 0, 40, 40, 40)) == pytest.approx(1 / 4)
    assert bench.smoothness(clip(7, 7, 7)) == 1
    assert bench.gini(np.array([1.0, 3.0])) == pytest.approx(1 / 4)


def test_sharpness_goes_with_contrast() -> None:
    rng = np.random.default_rng(1)
    grey = np.repeat(rng.integers(0, 2, (*SIZE, 1)), 3, 2)
    strong, weak = (np.uint8(100 + level * grey) for level in (100, 50))
    assert bench.sharpness(weak, strong, strong) == pytest.approx(1 / 2)
    assert bench.sharpness(strong, strong, weak) == pytest.approx(1 / 0.75)


def test_perceptual_measures_know_the_truth(photo: bench.Picture) -> None:
    found = bench.perceptual()
    assert found.keys() == {"ssim", "haarpsi"}
    for quality in found.values():
        assert quality(photo[None], photo[None]) == pytest.approx(1, abs=1e-4)
        assert quality(photo[None], np.roll(photo[None], 9, 1)) < 0.6
    flat = [np.full((1, *SIZE, 3), level, np.uint8) for level in (51, 102)]  # 0.2 and 0.4
    expected = (2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4)
    assert found["ssim"](*flat) == pytest.approx(expected, abs=1e-4)


def test_the_camera_stays_inside_and_moves_evenly() -> None:
    """In a photograph of ramps a pixel tells where it lies."""
    y, x = np.mgrid[0:120, 0:200]
    photo = np.stack([x, y * 2, np.full_like(x, 9)], -1).astype(np.uint8)
    for seed in range(20):
        clip = bench.camera(photo, [seed], 5, SIZE, pan=0.3, zoom=0.3, degrees=8)
        assert np.array_equal(clip[..., 2], np.full(clip.shape[:3], 9))  # no border: it is black
        middles = clip[:, 14:18, 22:26, :2].mean(axis=(1, 2))
        steps = np.diff(middles, axis=0)
        assert np.abs(steps - steps.mean(0)).max() < 1.5
        assert np.ptp(clip[0, 16, :, 0]) > 10


def test_the_object_moves_over_what_is_left_as_it_is(photo: bench.Picture) -> None:
    still = np.zeros((5, *SIZE, 3), np.uint8)
    made = bench.with_object(still, np.full_like(photo, 200), [1])
    covered = (made > 0).any(-1)
    assert 0.05 < covered.mean() < 0.8
    assert made.max() == 200
    assert bench.smoothness(made) > 0.7
    centres = [np.argwhere(frame).mean(0) for frame in covered]
    assert np.hypot(*(centres[-1] - centres[0])) > 4


def test_pairs_are_fitted(tmp_path: Path, photo: bench.Picture) -> None:
    for name, picture in (("x_a", np.tile(photo, (10, 10, 1))), ("x_b", photo)):
        bench.Image.fromarray(picture).save(tmp_path / f"{name}.jpg")
    (clip,) = bench.pairs(tmp_path)
    assert (clip.name, clip.frames, clip.truth) == ("x", bench.PAIR_FRAMES, None)
    assert clip.first.shape == clip.last.shape == (384, 512, 3)


def test_summary_compares_clip_by_clip() -> None:
    def scores(*values: float) -> list[bench.Score]:
        return [bench.Score(1.0, 1.0, psnr=value) for value in values]

    found = bench.summary(scores(21, 25, 33, 30), scores(20, 26, 30, 30))
    assert found["gain"] == pytest.approx(0.75)
    assert found["above"] == pytest.approx(0.5)
    assert "ssim" not in found


def test_one_scene_through_the_whole_program(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bench, "FRAMES", 3)
    monkeypatch.setattr(bench, "SIZE", SIZE)
    monkeypatch.setattr(bench, "use_threads", lambda count, with_torch: None)  # of all tests
    given = ["--model", str(folder), "--scenes", "1", "--only", "scenes", "--out", str(tmp_path)]
    bench.main(given)
    card = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = {*bench.METHODS.values()}
    scores = card["scenes"]["scores"]
    assert set(scores) == {"truth", *rows}
    assert card["scenes"]["clips"] == ["scene 0"]
    (clip,) = bench.scenes(1, 3, SIZE)
    middle = bench.crossfade(clip.first, clip.last, 3)[1:2]
    expected = bench.psnr(middle, clip.truth[1:2])
    assert scores["crossfade"][0]["psnr"] == pytest.approx(expected, abs=1e-4)
    # each way of drawing is one of its own; on so small a scene both searches find the same
    apart = rows - {bench.METHODS["flow-far"]}
    assert len({scores[row][0]["psnr"] for row in apart}) == len(apart)
    text = (tmp_path / "embedded.md").read_text()
    assert all(f"| {row}" in text for row in rows)
    sheet = read_image(tmp_path / "embedded_scenes.png")
    assert sheet.shape[1] == bench.LABEL_WIDTH + 5 * (bench.STRIP_WIDTH + bench.GAP) - bench.GAP


def test_a_model_without_delta_leaves_a_row_out(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("model_index.json", "network.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setattr(bench, "FRAMES", 3)
    monkeypatch.setattr(bench, "SIZE", SIZE)
    monkeypatch.setattr(bench, "use_threads", lambda count, with_torch: None)
    bench.main(["--model", str(tmp_path), "--scenes=1", "--only=scenes", "--methods=gi,gi-bare"])
    told = capsys.readouterr()
    assert "no row tiny GI" in told.err
    scores = json.loads(told.out.splitlines()[-1])["scenes"]["scores"]
    assert set(scores) == {"truth", "flow", "tiny GI, no deltas"}


def test_unknown_names_are_refused() -> None:
    for option in ("--only=all", "--methods=flow,magic"):
        with pytest.raises(SystemExit):
            bench.options([option])
