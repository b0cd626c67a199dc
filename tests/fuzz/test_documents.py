"""Damaged manifests, timelines, reports and journals."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzzing import COMMAND, cases, command, hold
from mutators import HOSTILE, as_json, lines, odd
from PIL import Image

from vtg_cli.batch import manifest
from vtg_cli.batch.journal import Journal
from vtg_cli.job.jobs import Bridge, Interpolate, Retime, Timeline
from vtg_cli.job.sampling import Sampling
from vtg_cli.job.timeline import document
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.render import report as sidecar

LITERALS = (
    *("true", "false", "0", "-1", "nan", "inf", "1e999", "9" * 30, "0.5", "1979-05-27", "07:32:00"),
    *('""', '"x"', '"\\ud800"', '"""', "[]", "{}", "[1, 2]", '["a", "b", "c"]', "{a = {b = 1}}"),
    *("[" * 3000 + "]" * 3000, "0x" + "f" * 5000, "9" * 6000, '"1s"', '"24/0"', '"99999f"'),
    *("[[keyframe]]", "[defaults]", "[a.b.c]", "a.b.c = 1", "=", '"'),
)
"""What a value in TOML, or a line of it, may be replaced by."""
CELLS = (
    *("x", "1", "-1", "nan", "1e999", "9" * 5000, '"', '"a', "a|b|c", "true", "24/0"),
    *HOSTILE,
)

CSV = """\
name,first,last,frames,fps,ease,prompt,alpha,crf
one,a.png,b.png,9,24,ease-in,"a lion, and more",false,20
two,b.png,a.png,"16",24000/1001,,,,
three,a.png,b.png,8,12.5,"cubic-bezier(0,0,1,1)",x,yes,0
"""
JSONL = (
    {"first": "a.png", "last": "b.png", "name": "one", "frames": [9], "guidance": [1.0, 3.0]},
    {"keyframes": ["a.png", "b.png", "a.png"], "fps": "24000/1001", "prompts": ["x", "y", "z"]},
    {"keyframes": "a.png|b.png", "duration": 1.5, "seed": 3, "at": [0, 1.5], "background": "red"},
)
TOML = """\
model = "flow"
fps = 24
guidance = [1.0, 3.0]

[[item]]
first = "a.png"
last = "b.png"
frames = 9

[[item]]
name = "second"
keyframes = ["a.png", "b.png"]
duration = "1.5s"
"""
TIMELINE = """\
fps = "24000/1001"
width = 64
output = "o.mp4"
crf = 20

[defaults]
model = "tiny"
seed = 7
guidance = 2

[[keyframe]]
picture = "a.png"

[[segment]]
strength = 0.5
prompt = ["a lion", "a truck"]

[[keyframe]]
picture = "b.png"
at = "1.5s"

[[segment]]
model = "flow"
duration = 1.5
ease = "ease-in"

[[keyframe]]
picture = "a.png"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the case lies; two pictures are in the folder above."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (20, 12), colour).save(tmp_path / name)
    (tmp_path / "case").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "case"


def above(text: str) -> str:
    return text.replace("a.png", "../a.png").replace("b.png", "../b.png")


def manifest_of(kind: str, rng: Random) -> bytes:
    if kind == "csv":
        return lines(rng, above(CSV), CELLS)
    if kind == "toml":
        return lines(rng, above(TOML), LITERALS)
    rows = [json.loads(above(json.dumps(row))) for row in JSONL]
    return b"\n".join(as_json(rng, odd(rng, row) if rng.random() < 0.6 else row) for row in rows)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "toml"])
@cases()
def test_manifests(kind: str, numbers: range, folder: Path) -> None:
    place = folder / f"case.{kind}"

    def make(rng: Random) -> None:
        place.write_bytes(manifest_of(kind, rng))

    hold(kind, numbers, make, lambda _: manifest.read([str(place)], {}), folder)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "toml"])
@cases(COMMAND)
def test_manifests_by_command(kind: str, numbers: range, folder: Path) -> None:
    place = folder / f"case.{kind}"

    def make(rng: Random) -> list[str]:
        place.write_bytes(manifest_of(kind, rng))
        return ["batch", str(place), "-o", str(folder / "clips"), "--model", "flow", "--dry-run"]

    hold(f"{kind} by command", numbers, make, command, folder)


@cases()
def test_timelines(numbers: range, folder: Path) -> None:
    place = folder / "case.toml"

    def make(rng: Random) -> None:
        place.write_bytes(lines(rng, above(TIMELINE), LITERALS))

    hold("timeline", numbers, make, lambda _: document.read(str(place)), folder)


@cases(COMMAND)
def test_timelines_by_command(numbers: range, folder: Path) -> None:
    place = folder / "case.toml"

    def make(rng: Random) -> list[str]:
        place.write_bytes(lines(rng, above(TIMELINE), LITERALS))
        return ["render", str(place), "-o", str(folder / "clip.mp4"), "--dry-run"]

    hold("timeline by command", numbers, make, command, folder)


def reports() -> list[dict[str, Any]]:
    """One of each kind of job."""
    flow = Interpolate(keyframes=("../a.png", "../b.png"), model="flow", output="clip.mp4")
    tiny = Interpolate(
        keyframes=("../a.png", "../b.png"), frames=(9,), sampling=Sampling(guidance=(1.0, 2.0))
    )
    clip = Input(path="../a.mp4")
    jobs = [
        flow,
        tiny,
        Timeline(segments=(flow, tiny), output="clip.mkv", encoding=Encoding(crf=3)),
        Retime(clip=clip, between=Interpolate(keyframes=(), model="flow")),
        Bridge(first=clip, last=clip, between=Interpolate(keyframes=(), model="flow")),
    ]
    return [
        {
            **sidecar.begun(job, None, {}, ()),
            "inputs": [{"sha256": "0" * 64, "height": 12, "width": 20}] * 2,
            "clip": {"frames": 9, "fps": "24", "seconds": 0.375},
            "weights": {"model": {"network.safetensors": "0" * 64}},
            "versions": {"vtg": "0.1", "numpy": "2.0"},
        }
        for job in jobs
    ]


@cases()
def test_reports(numbers: range, folder: Path) -> None:
    place, seeds = folder / "case.json", reports()

    def make(rng: Random) -> None:
        place.write_bytes(as_json(rng, odd(rng, rng.choice(seeds))))

    hold("report", numbers, make, lambda _: sidecar.read(place), folder)


@cases()
def test_reports_in_a_batch(numbers: range, folder: Path) -> None:
    place, seeds = folder / "case.json", reports()

    def make(rng: Random) -> None:
        place.write_bytes(as_json(rng, odd(rng, rng.choice(seeds[:2]))))

    hold("report in a batch", numbers, make, lambda _: manifest.read([str(place)], {}), folder)


@cases(COMMAND)
def test_reports_by_command(numbers: range, folder: Path) -> None:
    place, seeds = folder / "case.json", reports()

    def make(rng: Random) -> list[str]:
        place.write_bytes(as_json(rng, odd(rng, rng.choice(seeds))))
        return ["run", str(place), "-o", str(folder / "clip.mp4"), "--dry-run"]

    hold("report by command", numbers, make, command, folder)


def records() -> list[dict[str, Any]]:
    """Lines of a journal."""
    about = {"at": "2026-01-01T00:00:00.000+00:00", "output": "one.mp4", "host": "h", "pid": 7}
    return [
        {**about, "event": "start", "replaces": "0" * 64, "key": "k"},
        {**about, "event": "retry", "error": "it failed", "attempt": 1},
        {**about, "event": "done", "sha256": "0" * 64, "key": "k", "seconds": 1.5},
        {**about, "event": "failed", "error": "it failed", "code": 7},
    ]


def journal_of(rng: Random) -> bytes:
    kept = [json.dumps(each).encode() for each in records()]
    return b"\n".join([kept[0], as_json(rng, odd(rng, rng.choice(records()))), *kept[1:], b""])


@cases()
def test_journals(numbers: range, folder: Path) -> None:
    place = folder / "vtg-batch.jsonl"

    def read(_: object) -> None:
        journal = Journal(place)
        history = journal.of("one.mp4")
        for record in (history.start, history.done):
            assert record is None or isinstance(record, dict)

    hold("journal", numbers, lambda rng: place.write_bytes(journal_of(rng)), read, folder)


@cases(COMMAND)
def test_journals_by_command(numbers: range, folder: Path) -> None:
    place = folder.parent / "pairs.csv"
    place.write_text("name,first,last\none,a.png,b.png\n", encoding="utf-8")

    def make(rng: Random) -> list[str]:
        (folder / "vtg-batch.jsonl").write_bytes(journal_of(rng))
        return ["batch", str(place), "-o", str(folder), "--model", "flow", "--dry-run"]

    hold("journal by command", numbers, make, command, folder)
