"""Workers that are processes of this machine, one for every device.

They are told items and tell outcomes as lines of JSON over their pipes. A worker whose parent is
gone finishes its item, writes that down and ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import IO

from vtg_cli.batch.dispatch import Event, Lost, Ready
from vtg_cli.batch.item import Item, Outcome
from vtg_cli.batch.worker import Settings

GRACE = 10.0
"""Seconds a worker has to clean up when it is told to end."""


def devices(models: Sequence[str], device: str, workers: int | None) -> list[str]:
    """Return one device for every worker: the GPUs in turn, if something uses them."""
    from vtg_cli.weights.catalog import FLOW

    if device != "auto" or all(model == FLOW for model in models):
        return [device] * (workers or 1)
    import torch

    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["auto"]
    return [gpus[place % len(gpus)] for place in range(workers or len(gpus))]


class LocalCrew:
    """A Crew of child processes; worker k computes on devices[k]."""

    def __init__(self, settings: Settings, devices: Sequence[str]) -> None:
        self._settings = settings
        self._devices = devices
        self._children: dict[int, subprocess.Popen[str]] = {}
        self._said: SimpleQueue[tuple[int, Event]] = SimpleQueue()

    def __enter__(self) -> LocalCrew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for pipe in (child.stdin, child.stdout):
                _close(pipe)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers, by number."""
        return [self._children[place].pid for place in sorted(self._children)]

    def start(self, place: int) -> None:
        setup = json.dumps({"settings": self._settings.to_json(), "device": self._devices[place]})
        home = str(Path(__file__).parents[2])
        paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        if place in self._children:
            _close(self._children[place].stdin)
        child = subprocess.Popen(
            [sys.executable, "-m", "vtg_cli.batch.child", setup],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        self._children[place] = child
        Thread(target=self._hear, args=(place, child), daemon=True).start()

    def give(self, place: int, item: Item, *, wait: bool) -> None:
        pipe = self._children[place].stdin
        assert pipe is not None
        with suppress(OSError):  # it is dead, and _hear will say so
            pipe.write(json.dumps({"item": item.to_json(), "wait": wait}) + "\n")
            pipe.flush()

    def listen(self) -> tuple[int, Event]:
        return self._said.get()

    def _hear(self, place: int, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        with child.stdout as lines:
            for line in lines:
                message = json.loads(line)
                self._said.put((place, Ready() if "ready" in message else Outcome(**message)))
        status = child.wait()
        how = f"ended with {status}"
        if status < 0:
            how = f"was killed ({signal.Signals(-status).name})"
        self._said.put((place, Lost(how)))


def _close(pipe: IO[str] | None) -> None:
    if pipe is not None:
        with suppress(OSError):  # what was not flushed has no reader any more
            pipe.close()
