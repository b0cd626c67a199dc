"""Nothing that is no number is drawn, fitted or kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from vtg_cli.backbones import base
from vtg_cli.errors import QualityError, WeightsError
from vtg_cli.machine.device import seeded_noise
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import edm_path
from vtg_cli.training.loop import ROW, Plan, Run
from vtg_cli.weights.catalog import EMBEDDED
from vtg_cli.weights.layout import NETWORK
from vtg_cli.weights.store import resolve

PLAN = Plan(steps=20, rate=0.01, warmup=2, cooldown=0.5, parts=1, keep=100)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(resolve(EMBEDDED).folder, folder)
    from safetensors import safe_open

    with safe_open(folder / NETWORK, "pt") as opened:
        about = opened.metadata()
    tensors = load_file(folder / NETWORK)
    name = sorted(tensors)[0]
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, folder / NETWORK, about)
    with pytest.raises(WeightsError) as caught:
        base.load(folder, device="cpu")
    assert caught.value.exit_code == 5
    assert caught.value.message.startswith(f"{folder} is damaged: {name} of its ")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_step_that_gave_no_numbers_is_named(bad: float) -> None:
    path = edm_path([3.0, 2.0, 1.0, 0.0])

    def predict(x: Tensor, level: Level) -> Tensor:
        return torch.full_like(x, bad) if level.sigma <= 2 else torch.zeros_like(x)

    with pytest.raises(QualityError) as caught:
        sample(predict, torch.ones(1, 2, 1, 2, 2), path, noise=seeded_noise(0))
    assert caught.value.exit_code == 6
    assert caught.value.message == f"step 2 of {len(path) - 1} gave latents that are no numbers"


def _run(folder: Path, factor: Callable[[int], float]) -> tuple[Run, Callable[..., list]]:  # type: ignore[type-arg]
    torch.manual_seed(0)
    net = nn.Linear(2, 1)

    def losses(step: int, generator: Generator) -> list[Callable[[], Tensor]]:
        x = torch.randn(4, 2, generator=generator)
        return [lambda: net(x).square().mean() * factor(step)]

    return Run(net, PLAN, folder), losses


def test_gradients_that_are_no_numbers_are_counted_and_end_a_run(tmp_path: Path) -> None:
    run, losses = _run(tmp_path / "some", lambda step: float("nan") if step % 2 else 1.0)
    run.go(losses)
    assert run.overflowed == 10
    assert (tmp_path / "some" / "loss.csv").read_text().splitlines()[-1].endswith(",10")
    run, losses = _run(tmp_path / "all", lambda step: float("inf"))
    with pytest.raises(QualityError, match=f"of {ROW} steps in a row, up to step {ROW}, are no"):
        run.go(losses)


def test_a_checkpoint_survives_a_kill_at_any_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    run, losses = _run(tmp_path / "kept", lambda step: 1.0)
    run.go(losses, until=2)
    run.go(losses, until=4)
    for end in range(40):
        folder = tmp_path / str(end)
        shutil.copytree(tmp_path / "kept", folder)
        run.folder, calls = folder, 0

        def counted(call: Callable[..., object], end: int = end) -> Callable[..., object]:
            def inner(*args: object, **options: object) -> object:
                nonlocal calls
                calls += 1
                if calls > end:
                    raise Killed
                return call(*args, **options)

            return inner

        with monkeypatch.context() as patch:
            for name in ("replace", "fsync", "rmdir", "unlink", "mkdir"):
                patch.setattr(os, name, counted(getattr(os, name)))
            try:
                run.step = 5
                run.save()
                whole = True
            except Killed:
                whole = False
        again, _ = _run(folder, lambda step: 1.0)
        assert again.resume() and again.step in (4, 5)
        if whole:
            assert again.step == 5
            break
    assert end > 8 and whole
