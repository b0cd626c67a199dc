"""What starting costs: a child process imports a module, and what it dragged in is counted."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "diffusers", "transformers", "accelerate", "cv2", "scipy", "safetensors"}
HEAVY |= {"huggingface_hub", "imageio", "imageio_ffmpeg", "av", "ray"}
PICTURES = {"numpy", "PIL"}
TERMINAL = {"rich", "pydantic"}


def modules(code: str) -> set[str]:
    """Dotted names of what a fresh interpreter holds after running `code`."""
    report = "import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def loaded(code: str) -> set[str]:
    """The packages among them."""
    return {name.partition(".")[0] for name in modules(code)}


@pytest.mark.parametrize("module", ["vtg_cli", "vtg_cli.job.jobs", "vtg_cli.cli"])
def test_light_modules_import_no_arrays(module: str) -> None:
    assert loaded(f"import {module}") & (HEAVY | PICTURES | TERMINAL) == set()


@pytest.mark.parametrize(
    "module", ["vtg_cli.api", "vtg_cli.media.video", "vtg_cli.batch.child", "vtg_cli.batch.ray"]
)
def test_arrays_come_without_networks(module: str) -> None:
    assert loaded(f"import {module}") & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models", "--help"]])
def test_help_imports_nothing_it_does_not_print(arguments: list[str]) -> None:
    code = f"from vtg_cli.cli import main; assert main({arguments!r}) == 0"
    assert loaded(code) & (HEAVY | PICTURES) == set()


def test_the_list_of_commands_is_printed_without_rich() -> None:
    assert loaded("from vtg_cli.cli import main; main(['--help'])") & TERMINAL == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_the_list_of_commands_imports_none_of_them(arguments: list[str]) -> None:
    """The command line's own modules, how vtg fails, and what a terminal may be shown."""
    ours = {
        name
        for name in modules(f"from vtg_cli.cli import main; assert main({arguments!r}) == 0")
        if name.startswith("vtg_cli.")
    }
    own = ("cli", "cli.commands", "cli.console", "cli.settings")
    own += ("errors", "ground", "ground.printable")
    assert ours == {f"vtg_cli.{name}" for name in own}


def test_one_command_imports_no_other() -> None:
    ours = modules("from vtg_cli.cli import main; main(['models', '--help'])")
    assert "vtg_cli.cli.models" in ours
    assert ours.isdisjoint({f"vtg_cli.cli.{name}" for name in ("create", "batch", "clips")})


def test_the_draft_engine_imports_no_torch(tmp_path: object) -> None:
    """Plan and clip, where torch would cost seconds."""
    code = f"""
import os; os.environ.update(HF_HOME={str(tmp_path)!r}, HF_HUB_CACHE={str(tmp_path)!r})
import numpy as np
from vtg_cli import interpolate
a, b = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 200, np.uint8)
assert len([*interpolate(a, b, frames=3, model='flow')]) == 3
"""
    assert loaded(code) & {"torch", "diffusers", "transformers"} == set()
