"""vtg eval from end to end: every protocol on small data of its layout, with random networks."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading import read_video

import vtg_cli
from vtg_cli.cli import main
from vtg_cli.evaluation import protocols, readings
from vtg_cli.evaluation.protocols.base import Table
from vtg_cli.evaluation.protocols.layouts import PICTURES
from vtg_cli.media.sheet import save_png

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
import fakes

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("x", "y", "z")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in with three windows of nine frames in windows/."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(NAMES):
        fakes.write_clip(tmp_path / "windows" / name, fakes.clip(9, seed))
    return tmp_path


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.install(monkeypatch)


def results(out: str = "out") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(out, "results.json").read_text())
    return document


LOCAL = ("eval", "run", "local", "--data", "windows", "-o", "out")


def test_local_windows_end_to_end(networks: None, capfd: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:  # another system's clips, whose figures are known: the truth itself
        fakes.write_clip(Path("others", name), fakes.clip(9, NAMES.index(name)))
    assert main([*LOCAL, "--methods", "flow,crossfade", "--clips", "perfect=others"]) == 0
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        "out/report.html", "out/table.csv", "out/table.md", "out/results.json"
    ]  # fmt: skip
    assert "| perfect " in err
    (table,) = results()["tables"]
    systems = table["groups"][""]
    assert [*systems] == ["flow", "crossfade", "perfect"]
    assert systems["perfect"]["psnr"] == {"mean": 100, "low": 100, "high": 100, "n": 3}
    assert systems["perfect"]["ssim"]["mean"] == pytest.approx(1)
    assert systems["crossfade"]["psnr"]["mean"] < 40
    assert systems["flow"]["ppl"]["n"] == 3
    assert table["cost"]["crossfade"]["seconds"] > 0
    assert table["cost"]["flow"]["evaluations"] == 0
    assert table["cost"]["flow"]["peak"] > 10**7
    assert table["clips_of"]["x"]["perfect"]["errors"] == [0] * 9
    figures = [*csv.DictReader(Path("out/table.csv").read_text().splitlines())]
    psnr = [row for row in figures if (row["system"], row["score"]) == ("perfect", "psnr")]
    assert [(row["mean"], row["n"]) for row in psnr] == [("100.0", "3")]

    # again: nothing is drawn or measured anew
    before = {path: path.stat().st_mtime_ns for path in Path("out/clips").rglob("*.png")}
    lines = Path("out/readings.jsonl").read_text()
    first = results()
    assert main([*LOCAL, "--methods", "flow,crossfade", "--clips", "perfect=others", "-q"]) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("out/clips").rglob("*.png")} == before
    assert Path("out/readings.jsonl").read_text() == lines
    assert results() == first


def test_without_weights_a_score_is_absent_with_a_sentence(
    capfd: pytest.CaptureFixture[str],
) -> None:
    fakes.write_clip(Path("others/x"), fakes.clip(9, 5))
    assert main([*LOCAL, "--clips", "other=others", "--limit", "1"]) == 0
    assert "LPIPS" in capfd.readouterr().err
    (table,) = results()["tables"]
    assert "ppl" not in table["groups"][""]["other"]
    assert "lpips-alex" in table["absent"]["ppl"]
    assert table["lacking"] == ["only the first 1 of 3 clips are taken (--limit)"]


def write_data(protocol: str, table: Table, data: Path) -> list[str]:
    """Write what a table expects, three of each; return the names of the cases."""
    folder = data / table.name
    if protocol == "vtg" and table.name != "blending":
        parts = {"morphbench": ("animation", "metamorphosis"), "tcbench": ("object",)}
        groups = parts.get(table.name, ("scene", "motion"))
        for group in groups:
            for seed, name in enumerate(NAMES):
                fakes.write_pair(folder / group, name, seed)
        return [f"{group}_{name}" for group in groups for name in NAMES]
    if table.name == "blending":
        for seed, name in enumerate(NAMES):
            fakes.write_pair(folder, name, seed)
    elif table.name == "vbench":
        folder.mkdir(parents=True)
        (folder / "prompts.txt").write_text("\n".join(NAMES))
    elif table.name == "vbench-i2v":
        folder.mkdir(parents=True)
        for seed, name in enumerate(NAMES):
            save_png(folder / f"{name}{min(PICTURES & {'.png'})}", fakes.clip(1, seed)[0])
    else:
        span = 3 * table.frames if table.name == "msrvtt" else table.frames + 2
        splits = any(d.kind == "inception" for d in table.distances)
        names = [f"n{i}" for i in range(10)] if splits else [*NAMES]
        for seed, name in enumerate(names):
            fakes.write_clip(folder / name, fakes.clip(span, seed))
        return names
    return [*NAMES]


TABLES = [(p.name, t.name) for p in protocols.PROTOCOLS.values() if not p.whole for t in p.tables]
LONG = {t.name for p in protocols.PROTOCOLS.values() for t in p.tables if t.frames > 25}
LONG |= {"ucf101-16-128"}  # ten clips, for the splits of its inception score


@pytest.mark.parametrize(("protocol", "name"), [each for each in TABLES if each[1] not in LONG])
def test_every_table_is_computed_of_given_clips(
    protocol: str, name: str, networks: None, small: None
) -> None:
    check_table(protocol, name)


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "name"), [each for each in TABLES if each[1] in LONG])
def test_every_long_table_is_computed_of_given_clips(
    protocol: str, name: str, networks: None, small: None
) -> None:
    check_table(protocol, name)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The papers' tables at a small size."""
    for protocol in protocols.PROTOCOLS.values():
        tables = tuple(replace(t, size=t.size and fakes.SIZE) for t in protocol.tables)
        changed = replace(protocol, tables=tables)
        monkeypatch.setitem(protocols.PROTOCOLS, protocol.name, changed)  # type: ignore[arg-type]


def check_table(protocol: str, name: str) -> None:
    (table,) = protocols.chosen(protocol, name)[1]
    cases = write_data(protocol, table, Path("data"))
    for seed, case in enumerate(cases):
        fakes.write_clip(Path("theirs", case), fakes.clip(table.frames, 50 + seed))
    answers = {case: [{"correct": i % 2, "type": "transition"}] for i, case in enumerate(cases)}
    Path("answers.json").write_text(json.dumps({"answers": answers}))
    more = ["--answers", "theirs=answers.json"] if table.judged else []
    run = ["eval", "run", protocol, "--tables", name, "--data", "data", "-o", "out", "-q"]
    assert main([*run, "--clips", "theirs=theirs", "--shown", "1", *more]) == 0
    (found,) = results()["tables"]
    figures = found["groups"][""]["theirs"]
    for distance in table.distances:
        assert np.isfinite(figures[distance.key]["mean"])
    assert {*table.clip_scores} <= {*figures}
    if table.judged:
        assert figures["tcr"]["mean"] == pytest.approx(100 * (len(cases) // 2) / len(cases))
    assert len(found["published"]) == len(table.published)
    page = Path("out/report.html").read_text()
    assert all(row.system in page.replace("&amp;", "&") for row in table.published)


def test_methods_on_a_table_of_prediction_say_what_they_were_given(
    networks: None, small: None
) -> None:
    (table,) = protocols.chosen("aid", "ssv2")[1]
    write_data("aid", table, Path("data"))
    run = ["eval", "run", "aid", "--tables", "ssv2", "--data", "data", "-o", "out", "-q"]
    assert main([*run, "--methods", "crossfade"]) == 0
    (found,) = results()["tables"]
    assert "the first and the last frame" in found["notes"]["crossfade"]


def test_what_cannot_be_is_said_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    fakes.write_clip(Path("others/x"), fakes.clip(9, 5))
    cases = [
        (["eval", "run", "fid", "--data", "windows", "-o", "out"], "there is no protocol fid"),
        ([*LOCAL], "there is nothing to evaluate"),
        ([*LOCAL, "--clips", "others"], "--clips others is not NAME=VALUE"),
        ([*LOCAL, "--clips", "o=others"], "others has no clip for y, z"),
        ([*LOCAL, "--clips", "o=none"], "there is no folder none"),
        ([*LOCAL, "--clips", "o=others", "--features", "x=y"], "no weights 'x'"),
        ([*LOCAL, "--clips", "o=others", "--features", "i3d=none"], "there is no none"),
        ([*LOCAL, "--methods", "nomodel"], "nomodel"),
        ([*LOCAL, "--clips", "o=others", "--answers", "p=f"], "there is no such system"),
    ]
    for arguments, message in cases:
        assert main(arguments) in (2, 5), arguments
        err = capfd.readouterr().err
        assert message in err
        assert len(err.splitlines()) <= 2
    assert not Path("out", "results.json").exists()


def test_a_folder_with_other_things_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    fakes.write_clip(Path("others/x"), fakes.clip(9, 5))
    Path("out").mkdir()
    Path("out/report.html").write_text("mine")
    assert main([*LOCAL, "--clips", "o=others", "--limit", "1"]) == 2
    assert "out is not empty and holds no evaluation" in capfd.readouterr().err
    assert Path("out/report.html").read_text() == "mine"


def test_another_number_of_frames_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        fakes.write_clip(Path("others", name), fakes.clip(8, 5))
    assert main([*LOCAL, "--clips", "o=others"]) == 2
    assert "o, x: the clip has 8 frames, those of local 9" in capfd.readouterr().err


def test_a_dry_run_tells_and_makes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*LOCAL, "--methods", "flow", "--dry-run", "--json"]) == 0
    plan = json.loads(capfd.readouterr().out)
    assert (plan["tables"][0]["clips"], plan["tables"][0]["systems"]) == (3, ["flow"])
    assert "ppl" in plan["tables"][0]["absent"]
    assert not Path("out").exists()


def test_a_stopped_measurement_goes_on(
    networks: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        fakes.write_clip(Path("others", name), fakes.clip(9, 5))
    whole, measured = readings.reading, Counter[str]()

    def counted(*arguments: Any) -> Any:
        measured["clips"] += 1
        if measured["clips"] == 2:
            raise MemoryError
        return whole(*arguments)

    monkeypatch.setattr("vtg_cli.evaluation.tables.reading", counted)
    assert main([*LOCAL, "--clips", "o=others"]) == 4
    assert main([*LOCAL, "--clips", "o=others"]) == 0
    assert measured["clips"] == 4  # the first one once


def begin(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "vtg_cli", *arguments, "-q"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one() -> None:
    ways = ("--methods", "flow,crossfade,minterpolate")
    run = begin(*LOCAL, *ways)
    until = time.monotonic() + 60
    while not any(Path("out/clips").glob("flow/*/*/0008.png")) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not Path("out/results.json").exists()
    assert main([*LOCAL, *ways, "-q"]) == 0
    assert main(["eval", "run", "local", "--data", "windows", "-o", "whole", *ways, "-q"]) == 0
    (ours,), (whole,) = results()["tables"], results("whole")["tables"]
    assert ours["groups"] == whole["groups"]
    assert ours["clips_of"] == whole["clips_of"]
    journal = Path("out/clips/vtg-batch.jsonl").read_text().splitlines()
    done = Counter(r["output"] for r in map(json.loads, journal) if r["event"] == "done")
    assert [*done.values()] == [1, 1, 1]


def test_finished_clips_are_scored(capfd: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(NAMES):
        fakes.write_clip(Path("ours", name), fakes.clip(9, seed + 1))
    assert main(["eval", "clips", "ours", "windows", "--truth", "windows", "-q"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split("|")[1:4] != []
    psnr = next(line for line in lines if line.startswith("| psnr:"))
    assert "100.00 [100.00, 100.00]" in psnr
    assert main(["eval", "clips", "ours", "--json", "-q"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert len(found["ours"]["x"]["steps"]) == 8
    assert main(["eval", "clips", "nothing"]) == 2


def test_the_same_from_python(capfd: pytest.CaptureFixture[str]) -> None:
    fakes.write_clip(Path("ours/x"), fakes.clip(9, 0))
    found = vtg_cli.evaluate("ours", truth="windows")
    assert found["ours"]["x"].scores["psnr"] == 100
    assert found["ours"]["x"].errors == [0] * 9


def test_two_clips_beside_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    fakes.write_clip(Path("other"), fakes.clip(5, 4, (48, 64)))
    compare = ["eval", "compare", "windows/x", "other", "-o", "beside"]
    assert main(compare) == 0
    assert capfd.readouterr().out.split() == ["beside/compare.html", "beside/compare.mp4"]
    frames, rate = read_video("beside/compare.mp4")
    assert rate == 25
    assert frames.shape == (9, *fakes.SIZE[:1], 2 * fakes.SIZE[1], 3)
    apart = np.abs(frames[0, :, : fakes.SIZE[1]].astype(int) - fakes.clip(9, 0)[0])
    assert apart.mean() < 6  # of mp4
    assert "windows/x" in Path("beside/compare.html").read_text()
    assert main(compare) == 2
    assert "--overwrite" in capfd.readouterr().err
    assert main([*compare, "--overwrite"]) == 0
    assert main(["eval", "compare", "windows/x", "nothing", "-o", "page.html"]) == 7
    assert not Path("page.html").exists()


def test_a_poll_from_clips_to_counts(capfd: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(NAMES[:2]):
        fakes.write_clip(Path("ours", name), fakes.clip(9, seed + 5))
    poll = ["eval", "poll", "truth=windows", "ours=ours", "-o", "poll.html"]
    assert main(poll) == 0
    key = json.loads(Path("poll.key.json").read_text())
    assert sorted(trial["case"] for trial in key["trials"]) == ["x", "y"]
    votes = [
        {"trial": n, "choice": "left" if trial["left"] == "truth" else "right"}
        for n, trial in enumerate(key["trials"])
    ]
    answered = {"schema": "vtg-poll-votes", "version": 1, "poll": key["poll"], "votes": votes}
    Path("votes.json").write_text(json.dumps(answered))
    capfd.readouterr()
    assert main(["eval", "votes", "poll.key.json", "votes.json"]) == 0
    assert "truth: 100.0% [34.2%, 100.0%], 2 of 2" in capfd.readouterr().out
    assert main(["eval", "votes", "poll.key.json", "poll.key.json"]) == 2
    Path("votes.json").write_text(json.dumps({**answered, "votes": [{"trial": 7}]}))
    assert main(["eval", "votes", "poll.key.json", "votes.json"]) == 2
    assert len(capfd.readouterr().err.splitlines()) <= 4
    assert main(poll) == 2
    assert main(["eval", "poll", "truth=windows", "-o", "p.html"]) == 2
