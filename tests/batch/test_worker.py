"""What a worker does with an item, in one process: make, skip, take over, refuse, try again."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading import read_video

from vtg_cli import interpolate
from vtg_cli.batch.item import Item
from vtg_cli.batch.store import Folder
from vtg_cli.batch.worker import Settings, Worker, key_of, may_pass
from vtg_cli.errors import MediaError, MemoryLadderError, UsageError
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.video import Sink
from vtg_cli.render import segments

MakeItem = Callable[..., Item]


class Desk:
    """A worker with its folder, and what it wrote down."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.pauses: list[float] = []
        self.store = Folder(folder)
        told = Settings(str(folder), **settings)
        self.worker = Worker(self.store, told, sleep=self.pauses.append)

    def records(self) -> list[dict[str, Any]]:
        text = (self.folder / "vtg-batch.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def events(self) -> list[str]:
        return [record["event"] for record in self.records()]

    def state(self, item: Item) -> str:
        return self.worker.make(item).state


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "out")


def test_it_makes_the_clip_that_interpolate_makes(desk: Desk, item: MakeItem) -> None:
    x = item("x", frames=5)
    outcome = desk.worker.make(x)
    assert (outcome.state, outcome.output, outcome.attempts) == ("made", "x.mp4", 1)
    interpolate(*x.job.keyframes, frames=5, model="flow", output=desk.folder / "y.mp4")
    assert (desk.folder / "x.mp4").read_bytes() == (desk.folder / "y.mp4").read_bytes()
    start, done = desk.records()
    assert (start["event"], start["replaces"]) == ("start", None)
    assert (done["event"], done["frames"], done["name"], done["model"]) == ("done", 5, "x", "flow")
    report = json.loads((desk.folder / "x.mp4.json").read_text())
    assert report["job"]["output"] == "x.mp4"
    assert report["job"]["keyframes"] == ["../in/x_a.png", "../in/x_b.png"]


def test_the_same_content_is_skipped_and_other_content_is_made(
    desk: Desk, item: MakeItem, paint: Any
) -> None:
    x = item("x")
    assert [desk.state(x), desk.state(x)] == ["made", "skipped"]
    paint("in/x_b.png", 9)  # another picture
    assert [desk.state(x), desk.state(x)] == ["made", "skipped"]
    longer = replace(x, job=replace(x.job, frames=(6,)))
    assert [desk.state(longer), desk.state(longer)] == ["made", "skipped"]
    assert len(read_video(str(desk.folder / "x.mp4"))[0]) == 6
    (desk.folder / "x.mp4").unlink()
    assert desk.state(longer) == "made"
    assert desk.events() == ["start", "done"] * 4


def test_files_that_are_not_its_own_are_left_alone(tmp_path: Path, item: MakeItem) -> None:
    desk = Desk(tmp_path / "out")
    x, y = item("x"), item("y")
    (desk.folder / "x.mp4").write_bytes(b"a person's")
    assert desk.state(y) == "made"
    (desk.folder / "y.mp4").write_bytes(b"edited")
    for each, said in ((x, "exists and is not this batch's"), (y, "was changed since it was made")):
        outcome = desk.worker.make(each)
        assert (outcome.state, outcome.exit_code, outcome.attempts) == ("failed", 2, 1)
        assert outcome.error == f"{each.output} {said}"
        assert outcome.hint == "--overwrite replaces it"
    assert (desk.folder / "x.mp4").read_bytes() == b"a person's"
    desk.store.close()
    bold = Desk(tmp_path / "out", overwrite=True)
    assert [bold.state(x), bold.state(y), bold.state(x)] == ["made", "made", "skipped"]


def test_a_clip_whose_worker_was_killed_before_it_said_so_is_taken_over(
    desk: Desk, item: MakeItem
) -> None:
    x = item("x")
    assert desk.state(x) == "made"
    journal = desk.folder / "vtg-batch.jsonl"
    start = journal.read_text().splitlines()[0]
    desk.store.close()
    journal.write_text(start + "\n")
    again = Desk(desk.folder)
    assert again.state(x) == "skipped"
    assert again.events() == ["start", "done"]
    assert again.records()[1]["adopted"] is True
    # one that was killed between clip and report: nothing vouches for the clip, it is made again
    again.store.close()
    journal.write_text(start + "\n")
    (desk.folder / "x.mp4.json").unlink()
    third = Desk(desk.folder)
    assert third.state(x) == "made"
    assert third.events() == ["start", "start", "done"]


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_a_corrupt_picture_fails_its_item_at_once(
    desk: Desk, item: MakeItem, content: bytes
) -> None:
    x, y = item("x"), item("y")
    Path(x.job.keyframes[1]).write_bytes(content)
    outcome = desk.worker.make(x)
    assert (outcome.state, outcome.exit_code, outcome.attempts) == ("failed", 7, 1)
    assert "x_b.png" in outcome.error
    assert desk.state(y) == "made"
    assert sorted(p.name for p in desk.folder.iterdir()) == [
        *(".vtg-batch.lock", "vtg-batch.jsonl", "y.mp4", "y.mp4.json")
    ]
    assert desk.pauses == []


def test_a_vanished_input_fails_its_item(desk: Desk, item: MakeItem) -> None:
    x, y = item("x"), item("y")
    Path(x.job.keyframes[0]).unlink()
    outcome = desk.worker.make(x)
    assert (outcome.state, outcome.exit_code) == ("failed", 7)
    assert outcome.error == f"no such file: {x.job.keyframes[0]}"
    assert desk.state(y) == "made"
    assert desk.events() == ["failed", "start", "done"]


def full_disk(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The first frames to be written find no room."""
    write, failures = Sink.write, iter(range(times))

    def fails(self: Sink, frame: Any) -> None:
        if next(failures, None) is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, frame)

    monkeypatch.setattr(Sink, "write", fails)


def test_a_full_disk_is_waited_for_and_then_fails_one_item(
    desk: Desk, item: MakeItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch, 4)
    outcome = desk.worker.make(item("x"))
    assert (outcome.state, outcome.error, outcome.exit_code) == ("failed", "the disk is full", 7)
    assert (outcome.attempts, desk.pauses) == (3, [1.0, 2.0])
    assert not list(desk.folder.glob("*.mp4")) and not list(desk.folder.glob(".vtg-*-*"))
    second = desk.worker.make(item("y"))
    assert (second.state, second.attempts) == ("made", 2)
    assert desk.events() == [
        *("start", "retry", "start", "retry", "start", "failed"),
        *("start", "retry", "start", "done"),
    ]


def test_a_disk_too_full_for_the_journal_fails_the_item_too(
    desk: Desk, item: MakeItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("vtg_cli.batch.journal.os.write", full)
        outcome = desk.worker.make(item("x"))
    assert (outcome.state, outcome.attempts) == ("failed", 3)
    assert outcome.error.endswith("vtg-batch.jsonl: No space left on device")
    assert desk.state(item("x")) == "made"


def test_what_may_pass_and_what_may_not() -> None:
    def caused(error: Exception, cause: Exception) -> Exception:
        error.__cause__ = cause
        return error

    full = OSError(errno.ENOSPC, "No space left on device")
    assert may_pass(full)
    assert may_pass(caused(MediaError("cannot write x"), full))
    assert may_pass(MediaError("cannot write x.mp4: No space left on device"))  # ffmpeg's words
    began = "ffmpeg began with: [out#0/mp4] Error writing trailer: No space left on device"
    assert may_pass(MediaError("cannot write x.mp4: Nothing was written into output file", began))
    assert may_pass(MediaError("cannot write x.mp4: ffmpeg was killed by signal 9"))
    assert not may_pass(MediaError("cannot write x.mp4: Nothing was written into output file"))
    assert may_pass(MemoryError())
    assert may_pass(caused(MemoryLadderError("out of memory"), MemoryError()))
    assert not may_pass(MemoryLadderError("a segment of 9 frames needs more than there is"))
    assert not may_pass(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert not may_pass(UsageError("--frames 1 is out of range"))
    assert not may_pass(RuntimeError("a bug"))


def test_the_model_is_loaded_once(
    desk: Desk, item: MakeItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    loaded = segments.loaded

    def counted(made: Any) -> Any:
        loads.append(made.job.dtype)
        return loaded(made)

    monkeypatch.setattr(segments, "loaded", counted)
    more = {"model": "tiny", "sampling": Sampling(steps=1), "device": "cpu"}
    items = [item(name, **more) for name in "xyz"]
    assert [desk.state(each) for each in items] == ["made"] * 3
    assert loads == ["auto"]
    clips = [read_video(str(desk.folder / f"{name}.mp4"))[0] for name in "xy"]
    alone = desk.folder / "alone.mp4"
    interpolate(
        *items[1].job.keyframes, frames=4, output=alone, model="tiny", steps=1, device="cpu"
    )
    assert np.array_equal(clips[1], read_video(str(alone))[0])


def test_the_key_is_of_content_alone(item: MakeItem) -> None:
    job = item("x").job
    drawn = {"model": "flow", "weights": {}}
    key = key_of(job, ["1", "2"], drawn)
    same = [
        replace(job, output="y.mp4", device="cpu", keyframes=("c.png", "d.png")),
        replace(job, encoding=replace(job.encoding, overwrite=True)),
    ]
    other = [
        replace(job, sampling=Sampling(seed=1)),
        replace(job, ease="ease-in"),
        replace(job, encoding=replace(job.encoding, crf=30)),
    ]
    assert {key_of(each, ["1", "2"], drawn) for each in same} == {key}
    assert len({key_of(each, ["1", "2"], drawn) for each in other} | {key}) == 4
    assert key_of(job, ["2", "1"], drawn) != key
    assert key_of(job, ["1", "2"], {**drawn, "weights": {"model": {"f": "0"}}}) != key


def test_reports_whose_pictures_changed_are_refused(
    desk: Desk, tmp_path: Path, item: MakeItem, paint: Any
) -> None:
    from vtg_cli.batch.manifest import read

    x = item("x")
    interpolate(*x.job.keyframes, frames=4, model="flow", output=tmp_path / "old.mkv")
    (again,) = read([str(tmp_path / "old.mkv.json")], {}).items
    assert desk.state(again) == "made"
    old, new = read_video(str(tmp_path / "old.mkv"))[0], read_video(str(desk.folder / "old.mkv"))[0]
    assert np.array_equal(old, new)
    paint("in/x_b.png", 20)
    outcome = desk.worker.make(again)
    assert (outcome.state, outcome.exit_code) == ("failed", 7)
    assert "has changed since" in outcome.error


def test_numbered_pictures_are_an_output_like_others(desk: Desk, item: MakeItem) -> None:
    x = item("x")
    pictures = replace(x, job=replace(x.job, output="x/%02d.png"))
    assert [desk.state(pictures), desk.state(pictures)] == ["made", "skipped"]
    (desk.folder / "x" / "03.png").unlink()
    assert desk.worker.make(pictures).error == "x/%02d.png was changed since it was made"


def test_an_item_that_is_no_numbers_fails_with_that_reason_and_the_next_is_made(
    desk: Desk, item: MakeItem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vtg_cli.backbones.tiny.model import Tiny

    whole = Tiny.__call__
    monkeypatch.setattr(Tiny, "__call__", lambda *given: whole(*given) * float("nan"))
    few = Sampling(steps=2, renoise=0)
    failed = desk.worker.make(item("x", model="tiny", sampling=few))
    said = "step 1 of 2 gave latents that are not numbers"
    assert (failed.state, failed.attempts) == ("failed", 1)
    last = desk.records()[-1]
    assert (last["event"], last["error"], last["exit_code"]) == ("failed", said, 6)
    monkeypatch.setattr(Tiny, "__call__", whole)
    assert desk.state(item("y", model="tiny", sampling=few)) == "made"
    assert not (desk.folder / "x.mp4").exists()


def test_an_item_whose_weights_are_no_numbers_fails_and_the_next_is_made(
    desk: Desk, item: MakeItem, tmp_path: Path
) -> None:
    import shutil

    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from vtg_cli.weights.catalog import EMBEDDED
    from vtg_cli.weights.store import resolve

    folder = Path(shutil.copytree(resolve(EMBEDDED).folder, tmp_path / "mine"))
    file = folder / "network.safetensors"
    with safe_open(file, "pt") as opened:
        about = opened.metadata()
    tensors = load_file(file)
    name = min(tensors)
    tensors[name].view(-1)[0] = torch.inf
    save_file(tensors, file, about)
    assert desk.state(item("x", model=str(folder))) == "failed"
    last = desk.records()[-1]
    assert last["error"] == f"{file} is damaged: {name} holds values that are not numbers"
    assert (last["exit_code"], desk.state(item("y"))) == (5, "made")
