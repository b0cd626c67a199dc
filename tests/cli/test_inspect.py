"""vtg inspect as a person or a script meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vtg_cli.cli import main
from vtg_cli.media.sheet import save_png
from vtg_cli.training.textures import power_noise


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two windows of one texture 8 pixels apart and one of another; no weights on the machine."""
    for name, seed, x in (("a", 0, 0), ("b", 0, 8), ("c", 1, 0)):
        clouds = power_noise(np.random.default_rng(seed), 256, 1.2, 3)
        pixels = np.clip(128 + 45 * clouds, 0, 255).astype(np.uint8)
        save_png(tmp_path / f"{name}.png", pixels[80:176, 40 + x : 200 + x])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_each_pair_is_told_in_words(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "a.png", "b.png", "c.png"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert len(lines) == 14
    assert lines[0] == "a.png to b.png: things move a little"
    assert lines[2].startswith("  motion      ")
    assert lines[2].endswith(" of 160")
    assert lines[5] == "  suggested   --model tiny --frames 12 --method gi"
    assert lines[7] == "b.png to c.png: nothing in common"
    assert lines[8].endswith("; 0% is found again")
    assert lines[10] == "  explained   0% of the difference is motion"


def test_json_holds_the_numbers(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "a.png", "b.png", "--json"]) == 0
    (pair,) = json.loads(capfd.readouterr().out)["pairs"]
    assert (pair["first"], pair["last"], pair["kind"]) == ("a.png", "b.png", "near")
    assert pair["shift"] == pytest.approx([-8, 0], abs=0.5)
    assert pair["side"] == 160
    assert {"model", "method", "frames", "reason"} == set(pair["suggested"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["a.png"],
            2,
            ["vtg: there is nothing to compare with one picture", "vtg inspect first.png last.png"],
        ),
        (["a.png", "nix.png"], 7, ["vtg: no such file: nix.png"]),
    ],
)
def test_refusals(
    arguments: list[str], code: int, said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", *arguments]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert [line.strip() for line in err.splitlines()][: len(said)] == said
