"""vtg batch from end to end: what is made, said and left behind, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import read_video

from vtg_cli.batch.item import Outcome
from vtg_cli.cli import main

ROOT = Path(__file__).resolve().parents[2]


def paint(path: Path, shift: int) -> None:
    y, x = np.mgrid[:32, :48]
    waves = [np.sin((x + shift) / 6) + np.cos((y - shift) / (4 + c)) for c in range(3)]
    path.parent.mkdir(exist_ok=True)
    Image.fromarray((np.stack(waves, -1) * 60 + 128).astype(np.uint8)).save(path)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in with three pairs in in/; no weights on the machine."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for number, name in enumerate("xyz"):
        paint(folder / "in" / f"{name}_a.png", number)
        paint(folder / "in" / f"{name}_b.png", number + 4)
    return folder


def vtg(*arguments: str) -> int:
    return main(["batch", *arguments, "--model", "flow"])


def begin(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process group of its own, with two workers."""
    return subprocess.Popen(
        [sys.executable, "-m", "vtg_cli", "batch", *arguments, "--model", "flow", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def records(event: str) -> list[str]:
    """Outputs in the journal of out/ with that event."""
    journal = Path("out/vtg-batch.jsonl")
    lines = journal.read_text().splitlines(keepends=True) if journal.exists() else []
    found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]
    return [record["output"] for record in found if record["event"] == event]


def test_a_folder_of_pairs(capfd: pytest.CaptureFixture[str]) -> None:
    # --resume is what a script always says: with nothing to resume it begins
    assert vtg("in", "-o", "out", "--frames", "4", "--fps", "24000/1001", "--resume") == 0
    said = capfd.readouterr()
    assert said.out.splitlines() == ["out/x.mp4", "out/y.mp4", "out/z.mp4"]
    rule, summary = said.err.splitlines()
    assert rule == "vtg: NAME_a with NAME_b: 3 pairs"
    assert summary.startswith("vtg: 3 items: 3 made in ") and summary.endswith(" made a second")
    clip, fps = read_video("out/y.mp4")
    assert (len(clip), str(fps)) == (4, "24000/1001")
    report = json.loads(Path("out/y.mp4.json").read_text())
    assert report["job"]["keyframes"] == ["../in/y_a.png", "../in/y_b.png"]
    before = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.mp4")}
    assert vtg("in", "-o", "out", "--frames=4", "--fps=24000/1001", "--json", "--resume") == 0
    summary = json.loads(capfd.readouterr().out)
    assert (summary["schema"], summary["made"], summary["skipped"]) == ("vtg-batch", 0, 3)
    assert {path: path.stat().st_mtime_ns for path in Path("out").glob("*.mp4")} == before
    assert main(["run", "out/y.mp4.json", "-o", "again.mp4", "-q"]) == 0
    assert np.array_equal(read_video("again.mp4")[0], clip)


def test_one_bad_item_costs_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    Path("in/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    rows = ["x_a.png,x_b.png", "x_a.png,broken.png", "x_a.png,gone.png", "y_a.png,y_b.png"]
    Path("in/list.csv").write_text("first,last\n" + "\n".join(rows) + "\n")
    assert vtg("in/list.csv", "-o", "out", "--frames", "3") == 3
    said = capfd.readouterr()
    assert said.out.splitlines() == ["out/x_a-x_b.mp4", "out/y_a-y_b.mp4"]
    assert "vtg: x_a-broken: " in said.err
    gone = Path("in/gone.png").absolute()
    assert f"vtg: x_a-gone: no such file: {gone}\n" in said.err
    assert "vtg: 4 items: 2 made, 2 failed in " in said.err
    assert "Traceback" not in said.err
    assert sorted(path.name for path in Path("out").iterdir()) == [
        *(".vtg-batch.lock", "vtg-batch.jsonl"),
        *("x_a-x_b.mp4", "x_a-x_b.mp4.json", "y_a-y_b.mp4", "y_a-y_b.mp4.json"),
    ]
    paint(Path("in/gone.png"), 9)
    Path("in/broken.png").unlink()
    paint(Path("in/broken.png"), 8)
    assert vtg("in/list.csv", "-o", "out", "--frames", "3", "--json") == 0
    summary = json.loads(capfd.readouterr().out)
    assert [item["state"] for item in summary["items"]] == ["skipped", "made", "made", "skipped"]


def test_where_a_model_ended_on_the_memory_ladder_is_said_once(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items that share a model have its rungs in common; what the workers find is made up."""
    rungs = {"x": ["chunked"], "y": ["chunked"], "z": ["chunked", "offload"]}

    def outcomes(*_: object, **__: object) -> list[Outcome]:
        return [Outcome(name, f"{name}.mp4", "made", memory=tried) for name, tried in rungs.items()]

    monkeypatch.setattr("vtg_cli.batch.crews.outcomes", outcomes)
    assert vtg("in", "-o", "out", "--frames", "4") == 0
    said = capfd.readouterr().err.splitlines()
    assert [line for line in said if "memory" in line] == [
        "vtg: x: memory: chunked",
        "vtg: z: memory: offload, after chunked ran out",
    ]
    assert vtg("in", "-o", "out", "--frames", "4", "-q") == 0
    assert capfd.readouterr().err == ""


def test_fail_fast_ends_with_the_first_failure(capfd: pytest.CaptureFixture[str]) -> None:
    Path("in/x_b.png").write_bytes(b"broken")
    assert vtg("in", "-o", "out", "--frames", "3", "--fail-fast", "--json") == 3
    summary = json.loads(capfd.readouterr().out)
    assert (summary["failed"], summary["left"]) == (1, 2)
    assert not list(Path("out").glob(".vtg-*-*"))


def test_a_dry_run_makes_a_table_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    options = ("-o", "out", "--output-template", "{index:03}.mov", "--frames", "5")
    assert vtg("in", *options, "--dry-run", "-q") == 0
    assert capfd.readouterr().out == (
        "name  keyframes        frames  size   model  memory  time    output\n"
        "x     x_a.png x_b.png  5       48x32  flow   87 MB   0.77 s  001.mov  make\n"
        "y     y_a.png y_b.png  5       48x32  flow   87 MB   0.77 s  002.mov  make\n"
        "z     z_a.png z_b.png  5       48x32  flow   87 MB   0.77 s  003.mov  make\n"
        "3 clips to make: 15 frames, 0.625 s of video; predicted: 2.3 s of work, 14 kB on disk\n"
    )
    assert not Path("out").exists()
    Path("in/y_b.png").write_bytes(b"broken")
    assert vtg("in", *options, "--dry-run", "--json", "-q", "--shard", "2/2") == 3
    said = capfd.readouterr()
    planned = json.loads(said.out)
    (document,) = planned["items"]
    assert planned["totals"]["clips"] == 0
    assert (document["name"], document["output"], document["exit_code"]) == ("y", "002.mov", 7)
    assert "vtg: 1 of 1 items would fail" in said.err


def test_a_part_with_nothing_in_it_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg("in", "-o", "out", "--shard", "4/4") == 0
    assert capfd.readouterr().err.splitlines()[1] == "vtg: 0 items: nothing to do in 0.0 s"
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["in", "-o", "out", "--resume", "--shard", "0/3"], 2, "--shard 0/3 is not a part of"),
        (["m.csv", "-o", "out", "--recursive"], 2, "--recursive is for a folder of pictures"),
        (["in", "-o", "out", "--shard", "0/3"], 2, "--shard 0/3 is not a part of the whole"),
        (["in", "-o", "out", "--ray-address", "auto"], 2, "--ray-address is for --engine ray"),
        (["in", "-o", "out", "--output-template", "{x}.mp4"], 2, "a field {x} that is not known"),
        (["in", "-o", "out", "--output-template", "same.mp4"], 2, "is already written by in: x_a"),
        (["in", "-o", "out", "--frames", "1"], 2, "--frames 1 is out of range"),
        (["in", "-o", "in/x_a.png"], 7, "cannot make the folder in/x_a.png: File exists"),
        (["in", "-o", "out", "--steps", "9"], 2, "vtg: x: --steps is for diffusion models"),
        (["none", "-o", "out"], 2, "there is no file or folder none"),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    arguments: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert vtg(*arguments) == code
    assert said in capfd.readouterr().err
    assert not Path("out").exists()


def test_a_model_that_is_not_here_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "in", "-o", "out", "--model", "svd", "-q"]) == 5
    assert capfd.readouterr().err.startswith("vtg: x: ")
    assert not Path("out").exists()


def test_reports_are_made_again_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    clip = ("in/x_a.png", "in/x_b.png", "-o", "old.mkv", "--frames", "4", "-q")
    assert main(["interpolate", *clip, "--model", "flow"]) == 0
    assert main(["batch", "old.mkv.json", "-o", "out", "--frames", "9"]) == 2
    assert "--frames is not for reports, which say everything" in capfd.readouterr().err
    assert main(["batch", "old.mkv.json", "-o", "out", "-q"]) == 0
    assert np.array_equal(read_video("out/old.mkv")[0], read_video("old.mkv")[0])


def test_killed_and_resumed_nothing_is_lost_and_nothing_made_twice() -> None:
    """Parent and workers get SIGKILL when they are at it; the last run finishes."""
    for name in "klmnop":
        paint(Path(f"in/{name}_a.png"), 0)
        paint(Path(f"in/{name}_b.png"), 7)
    arguments = ["in", "-o", "out", "--frames", "5", "-q"]
    process = begin(*arguments)
    while len(records("done")) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = len(records("done"))
    assert 2 <= done < 9
    last = begin(*arguments, "--resume", "--json")
    summary = json.loads(last.communicate()[0])
    assert (last.returncode, summary["failed"]) == (0, 0)
    assert summary["made"] + summary["skipped"] == 9
    assert summary["made"] >= 9 - done - 2  # two were in flight; they may have been finished
    assert set(Counter(records("done")).values()) == {1}
    assert {len(read_video(str(path))[0]) for path in Path("out").glob("*.mp4")} == {5}
    assert len(list(Path("out").glob("*.mp4"))) == 9
    assert not list(Path("out").glob(".vtg-*-*"))


def test_two_batches_at_once_share_the_work() -> None:
    processes = [begin("in", "-o", "out", "--frames", "5", "--json", "-q") for _ in range(2)]
    summaries = [json.loads(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [s["made"] + s["skipped"] for s in summaries] == [3, 3]
    assert sum(s["made"] for s in summaries) == 3
    assert Counter(records("done")) == {"x.mp4": 1, "y.mp4": 1, "z.mp4": 1}


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_no_output_replaces_a_picture_of_another_item_or_the_manifest(
    dry: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Refused before anything is made: by number, by another name of the file, and by a link."""
    rows = ["name,first,last", "f,in/x_a.png,in/x_b.png", "g,out/f/0001.png,in/y_b.png"]
    Path("m.csv").write_text("\n".join(rows))
    Path("out/f").mkdir(parents=True)
    shutil.copy("in/y_a.png", "out/f/0001.png")
    kept = Path("out/f/0001.png").read_bytes()
    command = ("m.csv", "-o", "out", "--frames", "3", "--overwrite", *dry)
    assert vtg(*command, "--output-template", "{name}/%04d.png") == 2
    assert capfd.readouterr().err == (
        "vtg: f: its output out/f/0001.png is one of the inputs\n"
        "     another folder with -o, or other names with --output-template\n"
    )
    os.link("m.csv", "out/g.mp4")
    assert vtg(*command) == 2
    assert "vtg: g: its output out/g.mp4 is one of the inputs" in capfd.readouterr().err
    assert Path("out/f/0001.png").read_bytes() == kept
    assert Path("m.csv").read_text() == "\n".join(rows)
    assert sorted(path.name for path in Path("out").rglob("*")) == ["0001.png", "f", "g.mp4"]


def test_a_foreign_report_stays_even_with_overwrite(capfd: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/x.mp4.json").write_text('{"mine": 1}')
    assert vtg("in", "-o", "out", "--frames", "3", "--overwrite", "--retries", "0") == 3
    said = "vtg: x: out/x.mp4.json exists and is not a report of out/x.mp4\n"
    assert said in capfd.readouterr().err
    assert Path("out/x.mp4.json").read_text() == '{"mine": 1}'
    assert not Path("out/x.mp4").exists()
    assert len(read_video("out/y.mp4")[0]) == len(read_video("out/z.mp4")[0]) == 3
