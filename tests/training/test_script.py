"""The training script from nothing to a model that draws, in small."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from vtg_cli import interpolate
from vtg_cli.training.log import rows

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_tiny.py"
SMALL = "--shards 1 --side 32 --window 12 --batch 4 --width 32 --depth 1 --workers 1 --device cpu"


def train(stage: str, out: Path, steps: int) -> list[float]:
    """One stage up to `steps` of 3; the losses of every step so far."""
    command = [sys.executable, str(SCRIPT), stage, "--out", str(out), *SMALL.split()]
    more = ["--steps", "3", "--until", str(steps)]
    subprocess.run([*command, *more], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return [row["loss"] for row in rows(out / stage)]


def test_both_stages_from_nothing_and_on_from_where_they_stopped(tmp_path: Path) -> None:
    first = train("prior", tmp_path, 2)
    whole = train("prior", tmp_path, 3)
    assert len(whole) == 3 and whole[:2] == first
    assert all(0 < loss < 10 for loss in whole)
    # a network that says nothing yet is turned by nothing: the delta is trained all the same
    assert len(train("reverse", tmp_path, 3)) == 3
    names = {file.name for file in (tmp_path / "model").iterdir()}
    assert names == {"model_index.json", "network.safetensors", "reverse.safetensors"}
    pictures = [np.full((24, 32, 3), level, np.uint8) for level in (40, 200)]
    clip = [*interpolate(*pictures, model=str(tmp_path / "model"), frames=3, method="gi")]
    assert np.abs(clip[1].astype(int) - 120).mean() < 10  # half way between two greys
