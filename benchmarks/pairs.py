"""Small keyframe pairs for the batch benchmarks, and what is checked of the clips made of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from PIL import Image

HEIGHT, WIDTH, FRAMES = 64, 96, 8
ROOT = Path(__file__).resolve().parent.parent


def draw(folder: Path, count: int) -> None:
    """NAME_a.png and NAME_b.png: waves of another kind in every pair, shifted by 5 pixels."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for number in range(count):
        lengths = np.random.default_rng(number).uniform(5, 14, (3, 2))
        for ending, shift in (("a", 0), ("b", 5)):
            waves = [np.sin((x + shift) / a) + np.cos((y - shift) / b) for a, b in lengths]
            pixels = (np.stack(waves, -1) * 60 + 128).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"p{number:03}_{ending}.png")


def vtg_batch(pairs: Path, out: Path, *more: str, **popen: Any) -> subprocess.Popen[str]:
    """The command in a process of its own, with its summary on stdout as JSON."""
    arguments = ["batch", str(pairs), "-o", str(out), "--model", "flow", "--frames", str(FRAMES)]
    return subprocess.Popen(
        [sys.executable, "-m", "vtg_cli", *arguments, "--json", "-q", *more],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        **popen,
    )


def records(out: Path) -> list[dict[str, Any]]:
    """The lines of a batch's journal that are whole."""
    journal = out / "vtg-batch.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:  # of a writer that was killed, or is writing
            continue
    return found


def made_twice(out: Path) -> list[str]:
    """Outputs the journal calls done more than once."""
    done = Counter(record["output"] for record in records(out) if record["event"] == "done")
    return [output for output, times in done.items() if times > 1]


def wrong(out: Path, truth: Path, count: int) -> list[str]:
    """Clips that are missing, or that do not have the undisturbed run's frames."""
    bad = []
    for number in range(count):
        name = f"p{number:03}.mp4"
        try:
            frames = iio.imread(out / name, plugin="FFMPEG")
        except Exception as error:  # what is wrong with it is the result
            bad.append(f"{name}: {error}")
            continue
        expected = iio.imread(truth / name, plugin="FFMPEG")
        if len(frames) != FRAMES or not np.array_equal(frames, expected):
            bad.append(f"{name}: other frames")
    return bad


def left_over(out: Path) -> list[str]:
    """Temporary names of killed workers."""
    return [path.name for path in out.rglob(".vtg-*") if path.name != ".vtg-batch.lock"]
