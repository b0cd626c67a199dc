"""Manifests and reports as items: every format says the same, every mistake is named."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from vtg_cli import interpolate
from vtg_cli.batch.item import Item
from vtg_cli.batch.manifest import read, shard
from vtg_cli.errors import MediaError, UsageError, VtgError

CSV = """name,first,last,frames,ease,seed,fps,prompts,metadata
one,a.png,b.png,8,ease-in,,24000/1001,,no
two,b.png,c.png,,,5,,a lion|a truck,
"""
JSONL = """{"name": "one", "keyframes": ["a.png", "b.png"], "frames": 8, "ease": "ease-in",
"fps": "24000/1001", "metadata": false}
{"name": "two", "first": "b.png", "last": "c.png", "seed": 5, "from": "a lion", "to": "a truck"}
""".replace(",\n", ", ")
TOML = """
crf = 20
[[item]]
name = "one"
keyframes = ["a.png", "b.png"]
frames = 8
ease = "ease-in"
fps = "24000/1001"
metadata = false
[[item]]
name = "two"
keyframes = "b.png | c.png"
seed = 5
prompts = ["a lion", "a truck"]
"""


@pytest.mark.parametrize(("name", "text"), [("m.csv", CSV), ("m.jsonl", JSONL), ("m.toml", TOML)])
def test_the_three_formats_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    """Paths are the manifest's, options of the command line hold where it says nothing."""
    (tmp_path / name).write_text(text)
    items = read([str(tmp_path / name)], {"model": "flow", "crf": 20, "frames": "16"}).items
    one, two = items
    assert (one.name, one.output, two.name, two.output) == ("one", "one.mp4", "two", "two.mp4")
    assert one.job.keyframes == (str(tmp_path / "a.png"), str(tmp_path / "b.png"))
    assert (one.job.frames, two.job.frames) == ((8,), (16,))
    assert (one.job.ease, two.job.ease) == ("ease-in", "linear")
    assert (one.job.fps, two.job.fps) == (Fraction(24000, 1001), None)
    assert (one.job.sampling.seed, two.job.sampling.seed) == (0, 5)
    assert (one.job.encoding.metadata, two.job.encoding.metadata) == (False, True)
    assert two.job.prompts == ("a lion", "a truck")
    assert {item.job.encoding.crf for item in items} == {20}
    assert {item.job.model for item in items} == {"flow"}
    assert Item.from_json(json.loads(json.dumps(two.to_json()))) == two


def row(**values: Any) -> dict[str, Any]:
    return {"first": "a.png", "last": "b.png", **values}


@pytest.mark.parametrize(
    ("row", "said", "hint"),
    [
        (row(sed=1), "sed is not known", "did you mean seed?"),
        (row(output="x.mp4"), "output is not known", ""),
        (row(width="x"), "job.width should be a whole number, not 'x'", ""),
        (row(seed=1.0), "job.sampling.seed should be a whole number, not 1.0", ""),
        (row(frames=2.5), "a value is of the wrong kind", ""),
        (row(frames=True), "job.frames[0] should be a whole number, not True", ""),
        (row(fit="crp"), "job.fit should be crop or pad or stretch, not 'crp'", ""),
        (row(ease="easy"), "easy", ""),
        (row(seed=-1), "--seed -1 is out of range", ""),
        ({"first": "a.png"}, "no keyframes", "give first and last"),
        (row(keyframes=["c.png", "d.png"]), "keyframes excludes first and last", ""),
        ({"keyframes": ["a.png"]}, "in-betweening needs two keyframes or more, 1 given", ""),
        ({"keyframes": [1, 2]}, "no keyframes", ""),
        (row(prompt="x", prompts=["y"]), "exclude each other", ""),
        ({**row(), "from": "x"}, "from and to need each other", "give both"),
        (row(name="../x"), "the output ../x.mp4 is not a plain name", ""),
        (row(name=3), "name should be text, not 3", ""),
        (row(crf=99), "--crf 99 is outside mp4's range", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, row: dict[str, Any], said: str, hint: str
) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"first": "a.png", "last": "b.png", "name": "ok"}) + "\n\n")
    with path.open("a") as file:
        file.write(json.dumps(row))
    with pytest.raises(UsageError) as error:
        read([str(path)], {})
    assert error.value.message.startswith(f"{path} line 3: ")
    assert said in error.value.message
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "first,last\na.png,b.png,c.png\n", "line 2: more cells than the header has"),
        ("m.csv", "first,last,width\na.png,b.png,wide\n", "line 2: job.width should be a whole"),
        ("m.csv", "first,last,loop\na.png,b.png,perhaps\n", "line 2: job.loop should be true or"),
        ("m.csv", "first,last\n", "there is nothing to make"),
        ("m.jsonl", "{}\n{", "line 1: no keyframes"),
        ("m.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("m.jsonl", "{\n", "line 1 is not JSON"),
        ("m.toml", "a = [", "m.toml:1: "),
        ("m.toml", "a = 1\na = 2", "m.toml:2: Cannot overwrite a value"),
        ("m.toml", "fps = 0x" + "f" * 5000, "m.toml:1: a number is too long"),
        ("m.toml", "a = " + "[" * 3000 + "]" * 3000, "m.toml:1: nested deeper than 64 levels"),
        ("m.jsonl", "[" * 100_000, "line 1 is not JSON: nested deeper than 64 levels"),
        ("m.jsonl", f'{{"guidance": [1{"0" * 400}, 1]}}', "is not JSON: a number of 401 digits"),
        ("m.toml", "item = 3", "item is not a list of tables"),
        ("m.toml", 'first = "a.png"\n[[item]]', "first stands outside of an [[item]]"),
        ("m.toml", '[[item]]\nfirst = "a"\nlast = "b"\nseed = "x"', "item 1: job.sampling.seed"),
        ("m.txt", "", "m.txt is no folder and no manifest"),
    ],
)
def test_broken_manifests(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as error:
        read([str(tmp_path / name)], {})
    assert said in error.value.message


def test_unreadable_manifests(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"there is no file .*none\.csv"):
        read([str(tmp_path / "none.csv")], {})
    (tmp_path / "m.csv").write_bytes(b"first,last\n\xff,b.png\n")
    with pytest.raises(MediaError, match="it is not UTF-8 text"):
        read([str(tmp_path / "m.csv")], {})


def test_two_items_may_not_write_one_clip_or_one_report(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text((json.dumps({"first": "a.png", "last": "b.png"}) + "\n") * 2)
    with pytest.raises(UsageError) as error:
        read([str(path)], {})
    assert error.value.message == f"{path} line 2: a-b.mp4 is already written by {path} line 1"
    outputs = [item.output for item in read([str(path)], {}, template="{name}_{index}.mp4").items]
    assert outputs == ["a-b_1.mp4", "a-b_2.mp4"]


def test_reports_of_earlier_runs(tmp_path: Path, paint: Any) -> None:
    keys = str(paint("a.png")), str(paint("b.png", 5))
    interpolate(*keys, frames=5, model="flow", ease="ease-in", output=tmp_path / "x.mkv")
    interpolate(*keys, frames=3, model="flow", crf=30, output=tmp_path / "y.mp4")
    interpolate(*keys, frames=3, model="flow", output=tmp_path / "z/%03d.png")
    reports = [str(tmp_path / f"{name}.json") for name in ("x.mkv", "y.mp4", "z/%03d.png")]
    x, y, z = read(reports, {}).items
    assert (x.output, y.output, z.output) == ("x.mkv", "y.mp4", "z/%04d.png")
    assert (x.job.frames, x.job.ease, x.sidecar) == ((5,), "ease-in", reports[0])
    assert [Path(k).resolve() for k in x.job.keyframes] == [Path(k).resolve() for k in keys]
    y = read(reports[1:2], {}, template="{name}.mov").items[0]
    assert (y.output, y.job.encoding.crf) == ("y.mov", None)  # mov has no crf
    with pytest.raises(VtgError, match="one folder or one manifest makes a batch, 2 given"):
        read([reports[0], str(tmp_path)], {})


def test_a_folder_of_pairs_and_one_of_reports(tmp_path: Path, paint: Any) -> None:
    paint("in/x_a.png"), paint("in/x_b.png")
    source = read([str(tmp_path / "in")], {"model": "flow"}, template="{name}/%02d.png")
    assert [item.output for item in source.items] == ["x/%02d.png"]
    assert source.rules == ("NAME_a with NAME_b: 1 pair",)
    interpolate(*source.items[0].job.keyframes, model="flow", frames=2, output=tmp_path / "c.mp4")
    assert [item.name for item in read([str(tmp_path)], {}).items] == ["c"]
    with pytest.raises(UsageError, match="--chain is for a folder of pictures"):
        read([str(tmp_path / "m.csv")], {}, chain=True)


def test_shards_are_parts_of_the_whole(item: Any) -> None:
    items = [Item(str(k), item("x").job) for k in range(7)]
    names = [[each.name for each in shard(items, f"{i}/3")] for i in (1, 2, 3)]
    assert names == [["0", "3", "6"], ["1", "4"], ["2", "5"]]
    for wrong in ("0/3", "4/3", "1", "1/", "/3", "a/b", "1/0", "-1/3"):
        with pytest.raises(UsageError, match=f"--shard {wrong} is not a part of the whole"):
            shard(items, wrong)
