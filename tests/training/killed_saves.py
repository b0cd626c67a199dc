"""Saves a checkpoint again and again, killed at another call each time; prints what is left.

    python killed_saves.py FOLDER

A fork ends itself (os._exit) right before the n-th of the calls that open, make, flush, move, give
or remove something, for every n until a save is through; and, by the kernel's own signal, in the
middle of a write, where a file would grow over a limit, for many limits.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from vtg_cli.training.loop import Plan, Run

CALLS = ("open", "mkdir", "fsync", "replace", "rename", "link", "unlink", "rmdir", "write")
PLAN = Plan(steps=20, rate=0.01, warmup=2, parts=1, keep=100)


def run_in(folder: Path) -> Run:
    torch.manual_seed(0)
    return Run(nn.Linear(2, 1), PLAN, folder)


def losses(run: Run) -> Callable[[int, Generator], list[Callable[[], Tensor]]]:
    def each(step: int, generator: Generator) -> list[Callable[[], Tensor]]:
        x = torch.randn(4, 2, generator=generator)
        return [lambda: run.network(x).square().mean()]

    return each


def probe(folder: Path) -> list[Any]:
    """The step a new process would go on from, its parameters, and the names in the folder."""
    names = sorted(os.listdir(folder))
    run = run_in(folder)
    found = run.resume()
    numbers = [p.flatten().tolist() for p in run.network.parameters()]
    run.go(losses(run), until=run.step + 1)  # sweeps, and saves
    return [run.step - 1 if found else None, numbers, names, sorted(os.listdir(folder))]


def killed(before: Path, folder: Path, prepare: Callable[[], None]) -> int:
    """The exit status of a fork that saves step 5 in a copy of the folder `before`."""
    shutil.copytree(before, folder)
    run = run_in(folder)
    run.resume()
    generator = Generator().manual_seed(0)
    run._one(lambda step, _: losses(run)(step, generator))
    child = os.fork()
    if child == 0:
        prepare()
        run.save()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def at_call(n: int) -> Callable[[], None]:
    def prepare() -> None:
        calls = 0

        def count() -> None:
            nonlocal calls
            calls += 1
            if calls > n:
                os._exit(9)

        def counted(call: Callable[..., Any]) -> Callable[..., Any]:
            def inner(*args: Any, **options: Any) -> Any:
                count()
                return call(*args, **options)

            return inner

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))

        def heard(event: str, _: tuple[Any, ...]) -> None:  # what Python opens by itself
            if event == "open":
                count()

        sys.addaudithook(heard)

    return prepare


def at_size(size: int) -> Callable[[], None]:
    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare


def main(work: Path) -> None:
    torch.set_num_threads(1)
    before = work / "before"
    run = run_in(before)
    run.go(losses(run), until=4)
    whole = work / "whole"
    status = killed(before, whole, lambda: None)
    assert status == 0
    steps = {4: probe(Path(shutil.copytree(before, work / "four")))[:2], 5: probe(whole)[:2]}
    cases = []
    for n in range(500):
        folder = work / f"call{n}"
        status = killed(before, folder, at_call(n))
        cases.append([f"call {n}", status, *probe(folder)])
        if status == 0:
            break
    for size in (*range(0, 64, 9), *range(64, 512, 64)):
        folder = work / f"size{size}"
        status = killed(before, folder, at_size(size))
        cases.append([f"size {size}", status, *probe(folder)])
    print(json.dumps({"steps": [steps[4], steps[5]], "cases": cases}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
