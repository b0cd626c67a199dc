"""Names that speak to the terminal: no command lets one of them through, whichever way it ends."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hub_server import Hub
from PIL import Image

from vtg_cli.cli import main
from vtg_cli.ground.printable import printable
from vtg_cli.job.timeline.document import read as read_timeline

OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f]")
HOSTILE = "h\x1b]0;owned\x07\x1b[31m\x9b5m\u202ered\u2066[red]m[\n\u2028\r\x7f\U000e0041"
"""OSC and CSI, a C1 introducer, marks of direction, markup, ends of lines, DEL, a tag."""
SHOWN = r"h\x1b]0;owned\x07\x1b[31m\u009b5m\u202ered\u2066[red]m[\n\u2028\r\x7f" + "\\U000e0041"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Path:
    monkeypatch.chdir(tmp_path)
    pairs = Path(HOSTILE)
    pairs.mkdir()
    for name, colour in (("_a", "white"), ("_b", "black")):
        Image.new("RGB", (32, 18), colour).save(pairs / f"{HOSTILE}{name}.png")
    return tmp_path


def pictures() -> list[str]:
    return [f"{HOSTILE}/{HOSTILE}_{which}.png" for which in "ab"]


class Said:
    """What a command wrote, bytes for bytes."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._capfd.readouterr()
        code = main(list(arguments))
        out, err = self._capfd.readouterr()
        for text in (out, err):
            assert not OBEYED.search(text), (arguments[0], ascii(text))
        assert "Traceback" not in err and "bug in vtg" not in err, err
        return code, out, err


@pytest.fixture
def vtg(capfd: pytest.CaptureFixture[str]) -> Said:
    return Said(capfd)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, SHOWN),
        ("plain \u00fc \u6587 \U0001f600.png", "plain \u00fc \u6587 \U0001f600.png"),
        ("3\u202fPM \u00a0\u3000", "3\u202fPM \u00a0\u3000"),  # spaces as macOS writes them
        (
            "\u0646\u0627\u0645\u0647\u200c\u0647\u0627",
            "\u0646\u0627\u0645\u0647\u200c\u0647\u0627",
        ),
        (os.fsdecode(b"not-utf8-\xff\x9b"), r"not-utf8-\xff\x9b"),
        ("\ud83d half", r"\ud83d half"),
        ("C:\\n", "C:\\n"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_commands_that_draw(vtg: Said) -> None:
    a, b = pictures()
    clip = f"{HOSTILE}.mp4"
    code, out, _ = vtg("interpolate", a, b, "-o", clip, "--frames", "4")
    assert (code, out) == (0, f"{SHOWN}.mp4\n")
    code, out, _ = vtg("interpolate", a, b, "-o", clip, "--frames", "4", "--dry-run")
    assert code == 2  # it is there
    code, out, _ = vtg("interpolate", a, b, "-o", f"{HOSTILE}k.mkv", "--dry-run")
    assert code == 0 and f"clip      {SHOWN}k.mkv: " in out
    code, out, _ = vtg("interpolate", a, b, "-o", f"{HOSTILE}g.gif", "--frames", "3", "--json")
    assert code == 0 and json.loads(out)["job"]["output"] == f"{HOSTILE}g.gif"
    assert vtg("slow", clip, "--factor", "2", "-o", f"{HOSTILE}s.mp4")[:2] == (0, f"{SHOWN}s.mp4\n")
    assert vtg("retime", clip, "--fps", "30", "-o", f"{HOSTILE}r.mp4", "--dry-run")[0] == 0
    assert vtg("bridge", clip, clip, "--frames", "4", "-o", f"{HOSTILE}b.mp4", "--dry-run")[0] == 0
    (report,) = (each for each in os.listdir() if each.endswith("json") and "g." in each)
    assert vtg("run", report, "-o", f"{HOSTILE}2.gif", "--dry-run")[0] == 0
    code, out, _ = vtg("inspect", a, b)
    assert code == 0 and f"{SHOWN}/{SHOWN}_a.png to {SHOWN}/{SHOWN}_b.png: " in out
    assert json.loads(vtg("inspect", a, b, "--json")[1])["pairs"][0]["first"] == a


def test_timelines(vtg: Said) -> None:
    a, b = pictures()
    path = f"{HOSTILE}.toml"
    assert vtg("timeline", "init", a, b, "-o", path)[:2] == (0, f"{SHOWN}.toml\n")
    assert read_timeline(path).keyframes == (a, b)
    code, out, _ = vtg("timeline", "init", a, b, "-o", "-")
    Path("other.toml").write_text(out, encoding="utf-8")
    assert code == 0 and read_timeline("other.toml").keyframes == (a, b)
    assert vtg("timeline", "validate", path)[0] == 0
    assert vtg("render", path, "-o", f"{HOSTILE}k.mkv", "--dry-run")[0] == 0
    Path(path).write_text('"fps\\u001b[31m" = 3\n', encoding="utf-8")
    assert vtg("timeline", "validate", path)[0] == 2


def test_batches(vtg: Said) -> None:
    rows = [
        {"first": pictures()[0], "last": last, "name": HOSTILE + name, "frames": 3}
        for name, last in (("1", pictures()[1]), ("2", "missing\x1b[5m.png"))
    ]
    Path("m.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    code, out, err = vtg("batch", "m.jsonl", "-o", f"{HOSTILE}out")
    assert (code, out) == (3, f"{SHOWN}out/{SHOWN}1.mp4\n") and r"missing\x1b[5m.png" in err
    code, out, _ = vtg("batch", HOSTILE, "-o", "out", "--dry-run")
    assert code == 0 and out.splitlines()[1].startswith(f"{SHOWN}  {SHOWN}_a.png {SHOWN}_b.png  ")
    code, out, _ = vtg("batch", "m.jsonl", "-o", f"{HOSTILE}out", "--dry-run", "--json")
    assert code == 3 and [each["name"] for each in json.loads(out)["items"]] == [
        f"{HOSTILE}1",
        f"{HOSTILE}2",
    ]
    for text in (
        'name,"fi\x1b[31mrst"\na,b\n',
        f'first,last,model\na.png,b.png,"no\x9b31m{HOSTILE}"\n',
        "first,last,frames\na.png,b.png,\x1b[31m4\n",
    ):
        Path("m.csv").write_text(text, encoding="utf-8")
        assert vtg("batch", "m.csv", "-o", "out3")[0] in (2, 3, 5)


@pytest.mark.parametrize(
    "arguments",
    [
        ["interpolate", "{}.png", "{}.png", "-o", "x.mp4"],
        ["interpolate", "a.png", "b.png", "-o", "{}/{}.mp4"],
        ["interpolate", "a.png", "b.png", "-o", "x{}"],
        ["interpolate", "a.png", "b.png", "-o", "x.mp4", "--model", "{}"],
        ["interpolate", "a.png", "b.png", "-o", "x.mp4", "--frames", "{}"],
        ["interpolate", "a.png", "b.png", "-o", "x.mp4", "--ease", "{}"],
        ["interpolate", "a.png", "b.png", "-o", "x.mp4", "--sheet", "{}"],
        ["interpolate", "a.png", "b.png", "-o", "x.mp4", "--{}"],
        ["morph", "{}", "{}", "--from", "{}", "--to", "{}", "-o", "x.mp4"],
        ["slow", "{}", "-o", "x.mp4"],
        ["slow", "{}", "--factor", "{}", "-o", "x.mp4"],
        ["bridge", "{}", "{}", "-o", "x.mp4", "--from", "{}"],
        ["run", "{}"],
        ["render", "{}"],
        ["timeline", "validate", "{}"],
        ["timeline", "{}"],
        ["batch", "{}.csv", "-o", "out"],
        ["batch", "{}", "-o", "out", "--output-template", "{}"],
        ["batch", "{}", "-o", "out", "--shard", "{}"],
        ["inspect", "{}", "{}"],
        ["models", "info", "{}"],
        ["models", "path", "{}"],
        ["models", "licence", "{}"],
        ["models", "pull", "{}"],
        ["models", "verify", "{}"],
        ["models", "rm", "{}", "--yes"],
        ["models", "import", "{}", "-o", "{}/x"],
        ["models", "delta", "--tuned", "{}", "--base", "{}", "-o", "{}"],
        ["{}"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_refusals(arguments: list[str], vtg: Said) -> None:
    code, _, err = vtg(*(each.replace("{}", f"no{HOSTILE}") for each in arguments))
    assert code in (2, 3, 5, 7) or arguments[1] in ("info", "licence")
    assert code == 0 or "vtg: " in err


def test_a_pulled_folder_of_that_name(vtg: Said) -> None:
    assert vtg("models", "pull", HOSTILE)[0] in (2, 5)
