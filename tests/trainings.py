"""Small training runs for tests: a model of the embedded kind that draws noise, few steps on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.weights import save
from vtg_cli.training.checkpoint import NAMES
from vtg_cli.training.log import rows
from vtg_cli.training.settings import Settings
from vtg_cli.training.train import prepared, train


def tiny(folder: Path) -> Path:
    """A model of the embedded kind that draws noise."""
    torch.manual_seed(0)
    network = Network(Shape(width=32, depth=1, head=16, fine=8, middle=16, near=1))
    for parameter in network.parameters():
        if not bool(parameter.any()):
            torch.nn.init.normal_(parameter, std=0.2)
    save(dict(network.named_parameters()), network.shape, folder)
    return folder


def settings(folder: Path, **others: object) -> Settings:
    told = Settings(
        kind="reverse-motion",
        data="procedural:3",
        out=str(folder / "run"),
        model=str(folder / "model"),
        steps=4,
        batch=2,
        rate=1e-3,
        frames=4,
        size=(32, 32),
        sample_every=2,
        tries=1,
        device="cpu",
    )
    return replace(told, **others)  # type: ignore[arg-type]


def stopping(after: int) -> Callable[[], bool]:
    asked = iter(range(100))
    return lambda: next(asked) >= after


def run(told: Settings, stop: Callable[[], bool] = lambda: False) -> dict[str, object]:
    return train(prepared(told), progress=lambda *_: None, note=lambda _: None, stop=stop)


def same(one: Path, two: Path) -> Iterator[bool]:
    """Compare the last checkpoints and the logs of two runs."""
    places = [max(folder.glob("checkpoint-*")) for folder in (one, two)]
    for name in NAMES:
        a, b = (load_file(place / f"{name}.safetensors") for place in places)
        yield a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    a_log, b_log = ([(row["step"], row["loss"]) for row in rows(folder)] for folder in (one, two))
    yield a_log == b_log
