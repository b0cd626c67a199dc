"""What --dry-run says of cost, and what is refused before it costs anything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtg_cli.cli import main
from vtg_cli.machine.hardware import Memory
from vtg_cli.plan import needs
from vtg_cli.plan.needs import Machine

Here = Callable[[Machine], None]
PLENTY = Machine(memory=Memory(64 * 10**9, 60 * 10**9), gpu=None, disk=10**12, cores=1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Two pictures in an empty folder, on a machine that is made up."""
    for name, grey in (("a", 90), ("b", 140)):
        Image.fromarray(np.full((36, 64, 3), grey, np.uint8)).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def take(machine: Machine) -> None:
        monkeypatch.setattr(needs, "this_machine", lambda device, output: machine)

    take(PLENTY)
    return take


ASKED = ("interpolate", "a.png", "b.png", "-o", "clip.mp4", "--frames", "8")


def test_a_dry_run_tells_what_it_needs(here: Here, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "--dry-run"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[-3:] == [
        "memory    about 88 MB of 64.0 GB (within 1.3 times, fitted)",
        "time      about 0.79 s (within 2 times, fitted)",
        "disk      about 2 kB (within 8 times); 1000.0 GB free",
    ]
    assert main([*ASKED, "--dry-run", "--model", "tiny", "--on-bad", "retry"]) == 0
    out = capfd.readouterr().out
    assert "weights   tiny: 2 files, 3 MB, Apache-2.0\n" in out
    assert "(within 2 times, fitted; up to 4 takes of a segment)\n" in out


def test_json_carries_the_prediction(here: Here, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "--dry-run", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["prediction"]
    assert (found["memory_bytes"], found["seconds"], found["basis"]) == (88_000_000, 0.79, "fitted")


@pytest.mark.parametrize("more", [("--dry-run",), ()])
def test_what_cannot_fit_is_refused_with_exit_4(
    more: tuple[str, ...], here: Here, capfd: pytest.CaptureFixture[str]
) -> None:
    here(Machine(memory=Memory(10**7, 10**7), gpu=None, disk=10**12, cores=1))
    assert main([*ASKED, *more]) == 4
    assert capfd.readouterr() == (
        "",
        "vtg: flow at 64x36 needs about 88 MB of memory, and this machine has 10 MB\n"
        "     ask for a smaller --width, or fewer --frames from one keyframe to the next\n",
    )
    assert not Path("clip.mp4").exists()


def test_a_full_disk_is_refused_with_exit_7(here: Here, capfd: pytest.CaptureFixture[str]) -> None:
    here(Machine(memory=None, gpu=None, disk=100, cores=1))
    assert main([*ASKED]) == 7
    assert capfd.readouterr().err.splitlines()[0] == (
        "vtg: clip.mp4 will take about 2 kB, and its disk has 100 bytes free"
    )
    assert not Path("clip.mp4").exists()


def test_little_memory_is_said_and_tried(here: Here, capfd: pytest.CaptureFixture[str]) -> None:
    here(Machine(memory=Memory(10**9, 10**7), gpu=None, disk=10**12, cores=1))
    assert main([*ASKED]) == 0
    assert capfd.readouterr() == (
        "clip.mp4\n",
        "vtg: note: flow at 64x36 needs about 88 MB of memory, and 10 MB are free on this "
        "machine: it may not fit\n",
    )
    assert main([*ASKED, "-q", "--overwrite"]) == 0
    assert capfd.readouterr().err == ""


def test_clips_are_predicted_too(here: Here, capfd: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        again = [*ASKED, "-q", "--no-sidecar"]
        again[again.index("clip.mp4")] = f"{name}.mkv"
        assert main(again) == 0
    capfd.readouterr()
    assert main(["slow", "a.mkv", "-o", "slow.mp4", "--dry-run"]) == 0
    lines = capfd.readouterr().out.splitlines()
    # 7 pairs of frames, with 5 of the new clip from one to the next, both included
    assert lines[-2] == "time      about 2.8 s (within 2 times, fitted)"
    assert main(["slow", "a.mkv", "-o", "slow.mp4", "--dry-run", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["prediction"]["output_bytes"] == 8800
    assert main(["bridge", "a.mkv", "b.mkv", "-o", "both.mkv", "--dry-run", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["prediction"]["basis"] == "fitted"


def test_a_dry_run_with_the_embedded_model_loads_no_network(here: Here) -> None:
    code = f"""
import sys
from vtg_cli.cli import main
assert main({[*ASKED, "--model", "tiny", "--device", "cpu", "--dry-run"]!r}) == 0
print(*{{"torch", "cv2", "diffusers", "transformers"}} & set(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"
