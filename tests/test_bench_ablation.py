"""The ablation: what is off is off, and one small run."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.weights import save
from vtg_cli.training.pair_cache import PairSettings
from vtg_cli.weights import delta

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
bench = import_module("bench_ablation")
measure = import_module("measure")

SIZE = (32, 48)
FRAMES = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model and delta, small and without a zero."""
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
def clip() -> bench.Clip:
    """Two smooth pictures."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    first = np.stack([4 * x, 6 * y, 90 + 0 * x], -1).astype(np.uint8)
    return bench.Clip("smooth", first, first[::-1, ::-1].copy(), FRAMES)


def test_nothing_left_is_a_cross_fade(folder: Path, clip: bench.Clip, tmp_path: Path) -> None:
    parts = bench.Parts(motion="none", network=False, detail=False)
    made = bench.drawn(folder, clip, parts, PairSettings(), {}, tmp_path)
    fade = np.linspace(0, 1, FRAMES)[:, None, None, None]
    wanted = (1 - fade) * clip.first + fade * clip.last
    inner = (slice(None), slice(8, -8), slice(8, -8))  # made small and enlarged: rims differ
    assert np.abs(made[inner] - wanted[inner]).max() <= 2  # roundings of both keyframes


def test_every_part_counts(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bench, "SIZE", SIZE)
    monkeypatch.setattr(bench, "FRAMES", FRAMES)
    given = ["--model", str(folder), "--tasks", "morph", "--fit-steps", "2"]
    bench.main([*given, "--out", str(tmp_path)])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["morph"]
    assert set(found) == set(bench.ROWS)
    assert found["default"]["change"] == 0
    # two steps of fitting may not reach a code value, landmarks are for larger pictures
    unmoved = {row for row, f in found.items() if f["change"] == 0}
    assert unmoved <= {"default", "+ pair LoRA", "- landmarks"}
    assert found["- keyframe detail"]["endpoints"] < found["default"]["endpoints"]
    assert (tmp_path / "ablation_morph.png").is_file()


def test_calls_are_counted() -> None:
    network = torch.nn.Identity()
    with measure.counted(network) as calls:
        network(torch.zeros(2, 5, 3, 4, 4))
        network(torch.zeros(1, 1, 3, 4, 4))
    network(torch.zeros(1, 1, 3, 4, 4))
    assert (calls.evaluations, calls.frames) == (3, 11)
    assert calls.seconds > 0
