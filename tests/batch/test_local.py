"""Worker processes for real: one is killed in mid-item, again and again; one is told to end."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from reading import read_video

from vtg_cli.batch.dispatch import dispatch
from vtg_cli.batch.item import Item
from vtg_cli.batch.local import LocalCrew, devices
from vtg_cli.batch.store import Folder
from vtg_cli.batch.worker import Settings

MakeItem = Callable[..., Item]
LONG = 150  # frames: a worker can be caught at it


def events(out: Path) -> list[tuple[str, str]]:
    journal = out / "vtg-batch.jsonl"
    lines = journal.read_text().splitlines(keepends=True) if journal.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return [(record["event"], record["output"]) for record in records]


def killer(crew: LocalCrew, out: Path, output: str, times: int) -> Thread:
    """Kills the only worker each time it has begun that output."""

    def watch() -> None:
        for kill in range(1, times + 1):
            while events(out).count(("start", output)) < kill:
                time.sleep(0.02)
            os.kill(crew.pids[0], signal.SIGKILL)

    thread = Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_killed_worker_is_replaced_and_costs_no_other_item(
    tmp_path: Path, item: MakeItem
) -> None:
    """x loses a worker once and is made; y loses both it may and fails; z is not concerned."""
    out = tmp_path / "out"
    items = [item("x", LONG), item("y", LONG), item("z")]
    with LocalCrew(Settings(str(out)), ["cpu"]) as crew:
        threads = [killer(crew, out, "x.mp4", 1), killer(crew, out, "y.mp4", 2)]
        outcomes = {o.name: o for o in dispatch(crew, items, places=1, retries=1)}
        last = crew.pids
        for thread in threads:
            thread.join()
    assert {name: o.state for name, o in outcomes.items()} == {
        "x": "made",
        "y": "failed",
        "z": "made",
    }
    assert outcomes["y"].error == "its worker was killed (SIGKILL), 2 times"
    assert len(read_video(str(out / "x.mp4"))[0]) == LONG
    assert sorted(event for event in events(out) if event[0] == "done") == [
        *(("done", "x.mp4"), ("done", "z.mp4"))
    ]
    Folder(out).close()  # the next batch takes away what the killed ones left
    left = sorted(path.name for path in out.iterdir() if path.suffix == ".mp4")
    assert left == ["x.mp4", "z.mp4"]
    with pytest.raises(ProcessLookupError):
        os.kill(last[0], 0)


def test_devices() -> None:
    assert devices(["flow", "flow"], "auto", None) == ["auto"]
    assert devices(["flow"], "auto", 3) == ["auto"] * 3
    assert devices(["tiny"], "cuda:1", 2) == ["cuda:1"] * 2


def test_every_gpu_gets_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert devices(["flow", "tiny"], "auto", None) == ["cuda:0", "cuda:1"]
    assert devices(["tiny"], "auto", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert devices(["tiny"], "auto", None) == ["auto"]
