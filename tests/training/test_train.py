"""Training commands from settings to file: the same numbers after a stop, the file that is left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trainings import run, same, settings, stopping, tiny

from vtg_cli.backbones import base
from vtg_cli.cli import main
from vtg_cli.errors import Interrupted, UsageError
from vtg_cli.media.sheet import save_png
from vtg_cli.training.log import rows
from vtg_cli.training.train import checkpointing
from vtg_cli.weights import delta

SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"


def test_a_run_that_stops_goes_on_bit_for_bit(tmp_path: Path) -> None:
    tiny(tmp_path / "model")
    whole = settings(tmp_path, out=str(tmp_path / "whole"), tries=0)
    run(whole)
    parts = settings(tmp_path, out=str(tmp_path / "parts"), tries=0, save_every=3)
    for after in (1, 2):
        with pytest.raises(Interrupted, match="which is kept"):
            run(parts, stopping(after))
    run(parts)
    assert all(same(tmp_path / "whole", tmp_path / "parts"))
    one, two = (delta.load(tmp_path / name / "reverse.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_what_is_left_in_the_folder(tmp_path: Path) -> None:
    tiny(tmp_path / "model")
    told = settings(tmp_path)
    report = run(told)
    out = tmp_path / "run"
    names = {file.name for file in out.iterdir()}
    assert {"settings.json", "log.jsonl", "report.json", "reverse.safetensors", "samples"} <= names
    assert sorted(file.name for file in (out / "samples").iterdir()) == [
        "0000002.png",
        "0000004.png",
    ]
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report))
    about = delta.about(out / "reverse.safetensors")
    assert (about["trained_on"], about["steps"], about["objective"]) == (
        "model",
        4,
        "reverse-motion",
    )
    assert about["network"] == delta.network_hash(tmp_path / "model")
    assert len(about["data"]) == 64 and about["settings"]["rate"] == 1e-3 and about["licence"]
    held = report["held_out"]
    assert isinstance(held, dict) and set(held) == {"before", "after"}
    assert set(held["before"]) == {"loss", "disagreement", "psnr"}


def test_other_settings_do_not_go_on_with_a_run(tmp_path: Path) -> None:
    tiny(tmp_path / "model")
    run(settings(tmp_path, tries=0))
    with pytest.raises(UsageError, match=r"holds a run with rate 0.001, not 0.01"):
        run(settings(tmp_path, tries=0, rate=0.01))
    longer = run(settings(tmp_path, tries=0, steps=5))
    assert [row["step"] for row in rows(tmp_path / "run")] == [1, 2, 3, 4, 5]
    assert longer["held_out"] == {}


def test_a_delta_is_drawn_with_and_refused_on_another_base(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny(tmp_path / "model")
    run(settings(tmp_path, tries=0, steps=1))
    first, last = (str(tmp_path / f"{name}.png") for name in "ab")
    for path, grey in ((first, 60), (last, 180)):
        save_png(path, np.full((32, 32, 3), grey, np.uint8))
    command = ["interpolate", first, last, "--frames", "4", "--method", "gi", "-o"]
    file = str(tmp_path / "run" / "reverse.safetensors")
    model = ["--model", str(tmp_path / "model"), "--reverse", file]
    assert main([*command, str(tmp_path / "a.mp4"), *model]) == 0
    capfd.readouterr()
    assert main([*command, str(tmp_path / "b.mp4"), "--model", "tiny", "--reverse", file]) == 2
    assert f"{file} was trained on model, not on tiny" in capfd.readouterr().err
    assert not (tmp_path / "b.mp4").exists()


def test_gradients_are_the_same_with_checkpointing(tmp_path: Path) -> None:
    for model, size in ((str(tiny(tmp_path / "model")), (32, 32)), (str(SVD), (32, 48))):
        told = settings(tmp_path, model=model, size=size, tries=0, steps=1, batch=1)
        ends = []
        for again in (False, True):
            out = tmp_path / f"{Path(model).name}{again}"
            run(replace(told, out=str(out), checkpointing=again))
            ends.append(load_file(out / "checkpoint-000000001" / "network.safetensors"))
        for name, value in ends[0].items():
            # the same operations, some of them twice
            assert float((value - ends[1][name]).abs().max()) < 1e-6


def test_checkpointing_keeps_fewer_activations() -> None:
    from vtg_cli.training.example import drawn, example
    from vtg_cli.training.reverse import ReverseMotion

    m = base.load(SVD, device="cpu", dtype="fp32")
    trained = ReverseMotion(m)
    pixels = torch.rand(4, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    given = example(m, pixels, drawn(m, 4, (32, 48), torch.Generator().manual_seed(1)))

    def kept() -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            trained.loss(given)
        return sum(sizes.values())

    with trained.applied():
        plain = kept()
        with checkpointing(m):
            again = kept()
    assert again < 0.7 * plain


def test_signals_end_a_run_after_its_step(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny(tmp_path / "model")
    from vtg_cli.training import loop

    step = loop.Run._one

    def told(number: int) -> None:
        def one(self: loop.Run, losses: loop.Losses) -> tuple[float, float]:
            if self.step == 1:
                signal.raise_signal(number)
            return step(self, losses)

        monkeypatch.setattr(loop.Run, "_one", one)

    command = ["train", "reverse-motion", "procedural:3", "--model", str(tmp_path / "model")]
    command += ["--steps", "4", "--batch", "1", "--frames", "4", "--size", "32x32"]
    command += ["--held-out", "0", "--device", "cpu", "-o"]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)):
        told(number)
        out = tmp_path / signal.Signals(number).name
        assert main([*command, str(out)]) == code
        assert "stopped at step 2 of 4, which is kept: the same command" in capfd.readouterr().err
        assert (out / "checkpoint-000000002").is_dir()
        monkeypatch.setattr(loop.Run, "_one", step)
    assert main([*command, str(tmp_path / "SIGINT")]) == 0
    assert capfd.readouterr().out == f"{tmp_path / 'SIGINT' / 'reverse.safetensors'}\n"


def test_a_dry_run_tells_memory_and_time_and_makes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "reverse-motion", "procedural", "-o", str(tmp_path / "run"), "--dry-run"]
    assert main([*command, "--model", str(SVD), "--frames", "4", "--size", "64x64"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["train", "clips", "memory", "time", "output"]
    assert not (tmp_path / "run").exists()
    assert main([*command, "--json"]) == 0
    plan = json.loads(capfd.readouterr().out)
    assert plan["seconds"] == pytest.approx(15_000 * plan["seconds_a_step"])


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--size", "33"], 2, "--size 33 is no size"),
        (["--frames", "60"], 2, "--frames 60 is not possible with tiny"),
        (["--model", "nothing"], 2, "nothing"),
        (["--dtype", "fp16", "--device", "cpu"], 2, "--dtype fp16 cannot be trained on cpu"),
        (["--schedule", "steps"], 2, "steps"),
        (["--begin", "nowhere.safetensors"], 5, "there is no file nowhere.safetensors"),
    ],
)
def test_wrong_options_end_in_a_line(
    options: list[str], code: int, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "reverse-motion", "procedural:2", "-o", str(tmp_path / "run")]
    assert main([*command, "--held-out", "0", "--steps", "1", *options]) == code
    shown = capfd.readouterr()
    assert message in shown.err and "Traceback" not in shown.err and shown.out == ""


def test_loras_of_a_pair_are_fitted_into_a_folder_and_drawn_with(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vtg_cli.training import pair_cache

    few = replace(pair_cache.DEFAULTS, steps=3)
    monkeypatch.setattr(pair_cache, "DEFAULTS", few)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tiny(tmp_path / "model")
    pictures = [str(tmp_path / f"{name}.png") for name in "ab"]
    for path, grey in zip(pictures, (60, 180), strict=True):
        save_png(path, np.full((32, 32, 3), grey, np.uint8))
    model = ["--model", str(tmp_path / "model"), "--device", "cpu"]
    command = ["train", "pair-lora", *pictures, "-o", str(tmp_path / "loras"), *model]
    assert main([*command, "--dry-run"]) == 0 and not (tmp_path / "loras").exists()
    assert main(command) == 0
    files = {file.name: file.read_bytes() for file in (tmp_path / "loras").glob("*.safetensors")}
    assert len(files) == 2 and not (tmp_path / "cache").exists()
    assert main([*command, "--json"]) == 0  # they are there
    capfd.readouterr()
    drawing = ["interpolate", *pictures, "--frames", "4", *model, "-o"]
    out = [str(tmp_path / f"{name}_%03d.png") for name in ("kept", "fit")]
    assert main([*drawing, out[0], "--lora", str(tmp_path / "loras")]) == 0
    assert main([*drawing, out[1], "--lora", "fit"]) == 0
    frames = [
        [(tmp_path / f"{name}_{i:03}.png").read_bytes() for i in range(4)]
        for name in ("kept", "fit")
    ]
    assert frames[0] == frames[1]
    assert {
        file.name: file.read_bytes() for file in (tmp_path / "cache").rglob("*.safetensors")
    } == files


@pytest.mark.slow
def test_two_processes_train_as_one_and_tell_once(tmp_path: Path) -> None:
    tiny(tmp_path / "model")
    command = ["-m", "vtg_cli", "train", "reverse-motion", "procedural:3", "--steps", "4"]
    command += ["--model", str(tmp_path / "model"), "--batch", "2", "--frames", "4"]
    command += ["--size", "32x32", "--held-out", "0", "--device", "cpu", "-o"]
    several = ["-m", "torch.distributed.run", "--nproc_per_node", "2"]
    for start, name in (([], "one"), (several, "two")):
        line = [sys.executable, *start, *command, str(tmp_path / name)]
        done = subprocess.run(line, check=True, capture_output=True, text=True)
        assert done.stdout == f"{tmp_path / name / 'reverse.safetensors'}\n"
    one, two = ([row["loss"] for row in rows(tmp_path / name)] for name in ("one", "two"))
    assert len(one) == 4 and one == pytest.approx(two, abs=1e-4)
    assert json.loads((tmp_path / "two" / "report.json").read_text())["processes"] == 2
