"""The wheel as a person gets it: built, installed into a fresh environment, run from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import HeaderParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vtg_cli

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    """stdout; PYTHONPATH must not lead back to the source tree."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment: the wheel, and the libraries of this one."""
    home = tmp_path_factory.mktemp("home")
    venv.create(home / "venv", symlinks=True)
    binaries = home / "venv" / "bin"
    python = binaries / "python"
    target = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home
    ).strip()
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(target, "libraries.pth").write_text("\n".join(sorted(libraries)) + "\n")
    options = ["install", "--quiet", "--no-deps", "--no-index"]
    run(sys.executable, "-m", "pip", "--python", python, *options, wheel, cwd=home)
    return binaries


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(metadata).decode())
        licences = [n for n in archive.namelist() if n.endswith("licenses/LICENSE")]
    source = (ROOT / "vtg_cli").rglob("*")
    kept = {str(f.relative_to(ROOT)) for f in source if f.is_file() and f.suffix != ".pyc"}
    assert names == kept
    assert len(licences) == 1
    assert (headers["Name"], headers["Version"]) == ("vtg-cli", vtg_cli.__version__)
    assert headers["License-Expression"] == "Apache-2.0"


def test_the_installed_command_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    found = run(installed / "python", "-c", "import vtg_cli; print(vtg_cli.__file__)", cwd=tmp_path)
    assert Path(found.strip()).is_relative_to(installed.parent)
    assert vtg_cli.__version__ in run(installed / "vtg", "--version", cwd=tmp_path)


def test_the_installed_command_makes_frames(installed: Path, tmp_path: Path) -> None:
    """Five lossless frames of two flat pictures: the ends exact, the middle between them."""
    for name, level in (("a", 40), ("b", 200)):
        Image.new("RGB", (64, 48), (level, level, level)).save(tmp_path / f"{name}.png")
    command = "interpolate a.png b.png --model flow --frames 5 -o out/%02d.png"
    run(installed / "vtg", *command.split(), cwd=tmp_path)
    files = sorted((tmp_path / "out").glob("*.png"))
    frames = [np.asarray(Image.open(f).convert("RGB")) for f in files]
    assert [f.shape for f in frames] == [(48, 64, 3)] * 5
    assert (frames[0] == 40).all()
    assert (frames[-1] == 200).all()
    assert all(a.mean() < b.mean() for a, b in pairwise(frames))
