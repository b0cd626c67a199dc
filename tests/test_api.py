"""In Python: what is checked before the work, and what it will need."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vtg_cli import interpolate, predict
from vtg_cli.cli import main
from vtg_cli.errors import MediaError, MemoryLadderError, UsageError, VtgError, WeightsError
from vtg_cli.machine.hardware import Memory
from vtg_cli.plan import needs
from vtg_cli.plan.needs import Machine
from vtg_cli.render import segments

SVD = Path(__file__).parent / "data" / "parity" / "tiny_svd"
PLENTY = Machine(memory=Memory(64 * 10**9, 60 * 10**9), gpu=None, disk=10**12, cores=1)
KEYS = "a.png", "b.png"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    """Two pictures in an empty folder, on a machine that is made up; no model can be loaded."""
    for name, grey in (("a", 90), ("b", 140)):
        Image.fromarray(np.full((36, 64, 3), grey, np.uint8)).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def refuse(*_: object) -> None:
        raise AssertionError("something was drawn")

    for name in ("loaded", "flow"):
        monkeypatch.setattr(segments, name, refuse)

    def take(machine: Machine) -> None:
        monkeypatch.setattr(needs, "this_machine", lambda device, output: machine)

    take(PLENTY)
    return take


TINY_MEMORY = replace(PLENTY, memory=Memory(10**7, 10**7))
NO_DISK = replace(PLENTY, disk=100)


@pytest.mark.parametrize("ask", [interpolate, predict])
@pytest.mark.parametrize(
    ("machine", "options", "error", "said"),
    [
        (
            TINY_MEMORY,
            {"model": "tiny"},
            MemoryLadderError,
            "tiny at 64x36 needs about 336 MB of memory, and this machine has 10 MB",
        ),
        (
            NO_DISK,
            {"output": "clip.mkv", "model": "flow"},
            MediaError,
            "clip.mkv will take about 24 kB, and its disk has 100 bytes free",
        ),
        (PLENTY, {"model": "svd-xt"}, WeightsError, "svd-xt (4.5 GB) is not on this machine"),
        (
            PLENTY,
            {"output": "none/clip.mkv"},
            MediaError,
            "cannot write none/clip.mkv: there is no folder none",
        ),
        (PLENTY, {"steps": 3, "model": "flow"}, UsageError, None),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    ask: Callable[..., object],
    machine: Machine,
    options: dict[str, Any],
    error: type[VtgError],
    said: str | None,
    here: Callable[[Machine], None],
) -> None:
    here(machine)
    with pytest.raises(error) as caught:
        ask(*KEYS, frames=8, **options)
    assert said is None or caught.value.message == said
    assert caught.value.hint and not list(Path().glob("clip*"))


@pytest.mark.parametrize("ask", [interpolate, predict])
def test_weights_that_are_cut_short_are_found_by_their_headers(
    ask: Callable[..., object], here: Callable[[Machine], None]
) -> None:
    shutil.copytree(SVD, "mine")
    weights = Path("mine/unet/diffusion_pytorch_model.safetensors")
    whole = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(WeightsError) as caught:
        ask(*KEYS, model="mine", device="cpu")
    assert caught.value.message == (
        f"mine/unet/{weights.name} is damaged: it has {whole - 100} bytes and says {whole}"
    )


def test_the_disk_of_a_later_output_is_checked_before_its_first_frame(
    here: Callable[[Machine], None],
) -> None:
    clip = interpolate(*KEYS, frames=8, model="flow")
    here(NO_DISK)
    with pytest.raises(MediaError, match=r"^clip\.mkv will take about 24 kB"):
        clip.save("clip.mkv")
    assert not Path("clip.mkv").exists()


def test_the_prediction_is_the_dry_run_s(
    here: Callable[[Machine], None], capfd: pytest.CaptureFixture[str]
) -> None:
    here(replace(PLENTY, memory=Memory(64 * 10**9, 10**8)))
    options = {"model": "tiny", "frames": 8, "output": "clip.mp4", "on_bad": "retry"}
    ahead = predict(*KEYS, **options)  # type: ignore[arg-type]
    told = ["--model", "tiny", "--frames", "8", "-o", "clip.mp4", "--on-bad", "retry"]
    assert main(["interpolate", *KEYS, *told, "--dry-run", "--json"]) == 0
    assert needs.document(ahead) == json.loads(capfd.readouterr().out)["prediction"]
    assert ahead.takes == 4 and ahead.seconds == ahead.cost.seconds
    assert ahead.notes == (
        "note: tiny at 64x36 needs about 336 MB of memory, and 100 MB are free on this machine: "
        "it may not fit",
    )
    assert not Path("clip.mp4").exists()


def test_pictures_in_memory_are_predicted_too(here: Callable[[Machine], None]) -> None:
    pictures = [np.full((36, 64, 3), grey, np.uint8) for grey in (90, 140)]
    assert predict(*pictures, model="flow", frames=8).cost == (
        predict(*KEYS, model="flow", frames=8).cost
    )


def test_a_prediction_loads_no_network(here: Callable[[Machine], None]) -> None:
    code = """
import sys
from vtg_cli import predict
assert predict("a.png", "b.png", model="tiny", device="cpu").seconds > 0
print(*{"torch", "cv2", "diffusers", "transformers"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
