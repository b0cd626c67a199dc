"""Whether a GPU may be here, on made-up machines; and what a plan then imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtg_cli.errors import UsageError
from vtg_cli.machine import hardware

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("file", "there"),
    [
        ("nvidia0", True),
        ("nvidiactl", True),
        ("nvhost-gpu", True),
        ("nvmap", True),
        ("kfd", True),
        ("dxg", True),
        ("null", False),
        ("nvme0n1", False),
        ("dri", False),
    ],
)
def test_a_driver_s_device_file_on_linux(file: str, there: bool, tmp_path: Path) -> None:
    (tmp_path / file).touch()
    assert hardware.may_have_gpu("linux", "x86_64", tmp_path) is there


def test_other_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hardware.may_have_gpu("darwin", "arm64")
    assert not hardware.may_have_gpu("darwin", "x86_64")
    assert hardware.may_have_gpu("freebsd14", "amd64")  # not known: torch is asked
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    assert not hardware.may_have_gpu("win32", "AMD64")
    (tmp_path / "System32").mkdir()
    (tmp_path / "System32" / "nvcuda.dll").touch()
    assert hardware.may_have_gpu("win32", "AMD64")


def test_torch_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    from vtg_cli.machine.device import choose_device

    monkeypatch.setattr(hardware, "may_have_gpu", lambda: True)
    assert hardware.device_name("auto") == str(choose_device("auto"))
    assert hardware.device_name("cpu") == "cpu"
    with pytest.raises(UsageError, match="--device nonsense"):
        hardware.device_name("nonsense")


def test_a_plan_under_auto_imports_no_torch_without_a_gpu(tmp_path: Path) -> None:
    """A fresh process that is told of no GPU, whatever this machine has."""
    for name in "ab":
        Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(tmp_path / f"{name}.png")
    code = """
import sys
from vtg_cli.machine import hardware
hardware.may_have_gpu = lambda: False
from vtg_cli.cli import main
assert main(["interpolate", "a.png", "b.png", "-o", "c.mp4", "--dry-run", "--json"]) == 0
print(sorted({"torch", "diffusers", "transformers", "safetensors"} & set(sys.modules)))
"""
    home = {"HF_HOME": str(tmp_path / "hf"), "VTG_MODEL": "auto", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert '"tiny"' in done.stdout


def test_memory_is_what_linux_tells(tmp_path: Path) -> None:
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:       16000 kB\nMemFree:  100 kB\nMemAvailable:    9000 kB\n")
    assert hardware.memory(told, ()) == hardware.Memory(16000 * 1024, 9000 * 1024)


@pytest.mark.parametrize(
    ("limit", "total", "free"),
    [("max\n", 16000, 9000), (f"{8000 * 1024}\n", 8000, 8000), (f"{2**63 - 4096}\n", 16000, 9000)],
)
def test_a_container_has_what_it_may_have(
    limit: str, total: int, free: int, tmp_path: Path
) -> None:
    told, group = tmp_path / "meminfo", tmp_path / "memory.max"
    told.write_text("MemTotal: 16000 kB\nMemAvailable: 9000 kB\n")
    group.write_text(limit)
    found = hardware.memory(told, (tmp_path / "nothing", group))
    assert found == hardware.Memory(total * 1024, free * 1024)


def test_two_threads_of_a_core_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert hardware.cores() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert hardware.cores() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert hardware.cores() == 8
