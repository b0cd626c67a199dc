"""Killed at any moment: the final name is whole or absent, and the next run leaves nothing over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import read_video

from vtg_cli.ground.atomic import numbered

FLOW = ("--model", "flow", "--frames", "9", "-q", "--overwrite")
COMMANDS = {
    "mp4": ("interpolate", "a.png", "b.png", "-o", "o.mp4", *FLOW),
    "png": ("interpolate", "a.png", "b.png", "-o", "o/%02d.png", *FLOW),
    "slow": (
        "slow",
        "x.mp4",
        "--factor",
        "3",
        "--model",
        "flow",
        "-q",
        "-o",
        "o.mp4",
        "--overwrite",
    ),
    "bridge": ("bridge", "x.mp4", "y.mp4", "-o", "o.mp4", *FLOW),
    "batch": ("batch", "pairs", "-o", "o", "--model", "flow", "--frames", "9", "-q"),
    "run": ("run", "x.mp4.json", "-o", "o.mp4", "-q", "--overwrite"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures, two clips with reports, and a folder of two pairs."""
    monkeypatch.chdir(tmp_path)
    Path("pairs").mkdir()
    y, x = np.mgrid[:32, :48]
    for name, shift in (
        ("a", 0),
        ("b", 6),
        ("pairs/p_a", 0),
        ("pairs/p_b", 6),
        ("pairs/q_a", 3),
        ("pairs/q_b", 9),
    ):
        waves = [np.sin((x + shift) / 6) + np.cos(y / (4 + c)) for c in range(3)]
        Image.fromarray((np.stack(waves, -1) * 60 + 128).astype(np.uint8)).save(f"{name}.png")
    for ends in (("a", "b", "x"), ("b", "a", "y")):
        first, last, clip = ends
        assert vtg(*("interpolate", f"{first}.png", f"{last}.png", "-o", f"{clip}.mp4", *FLOW)) == 0
    return tmp_path


def vtg(*arguments: str, after: float | None = None) -> int:
    """The exit status of vtg; after: seconds to the SIGKILL of its group of processes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vtg_cli", *arguments], start_new_session=True
    )
    try:
        return process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def check(command: str) -> int:
    """How many outputs there are; each is whole."""
    wanted = {"slow": 27, "bridge": 25}.get(command, 9)
    if command == "png":
        pictures = numbered(Path("o/%02d.png"))
        assert len(pictures) in (0, 9) and all(np.asarray(Image.open(p)).any() for p in pictures)
        return len(pictures)
    clips = [*Path("o").glob("[!.]*.mp4")] if command == "batch" else [*Path().glob("o.mp4")]
    for clip in clips:
        assert len(read_video(str(clip))[0]) == wanted, command
    return len(clips)


def temporaries() -> list[str]:
    return [str(path) for path in Path().rglob(".vtg-*-*-*")]


def kills(command: str, shares: Sequence[float]) -> None:
    """Kill at these shares of a run's length, as the last whole one took; then run to the end."""
    whole = timed(command)
    for share in shares:
        for _ in range(10):
            if command == "batch":
                for file in Path("o").glob("[!.]*.*"):
                    file.unlink()
            if vtg(*COMMANDS[command], after=whole * share) == -signal.SIGKILL:
                break
            whole *= 0.8  # it had ended before: the machine has become faster
        else:
            pytest.fail(f"{command} was never struck")
        check(command)
        whole = timed(command)
        assert check(command) and temporaries() == []


def timed(command: str) -> float:
    """Seconds that a run takes to its end."""
    start = time.perf_counter()
    assert vtg(*COMMANDS[command]) == 0
    return time.perf_counter() - start


@pytest.mark.parametrize("command", ["mp4", "png"])
def test_a_kill_leaves_whole_files_or_none(command: str, here: Path) -> None:
    kills(command, [0.8])


@pytest.mark.slow
@pytest.mark.parametrize("command", [*COMMANDS])
def test_eight_kills_of_each_of_six_commands(command: str, here: Path) -> None:
    kills(command, np.linspace(0.3, 0.95, 8).tolist())
    print(command, "8 kills")
