"""Standard streams that are closed, full or without a reader, and Ctrl-C at any time."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import read_video

from vtg_cli.cli import main
from vtg_cli.render import draw

ROOT = Path(__file__).resolve().parents[2]
SEARCHED = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
ALONE = {**os.environ, "PYTHONPATH": SEARCHED}
DRAW = ["interpolate", "a.png", "b.png", "--frames", "3", "--model", "flow"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, shade in (("a", 0), ("b", 250)):
        Image.fromarray(np.full((36, 64, 3), shade, np.uint8)).save(f"{name}.png")
    return tmp_path


def shell(command: str) -> subprocess.CompletedProcess[bytes]:
    """What a shell makes of the command; $vtg is vtg."""
    variables = {**ALONE, "vtg": f"{sys.executable} -m vtg_cli"}
    return subprocess.run(["bash", "-c", command], env=variables, capture_output=True, check=False)


def test_with_all_three_closed_the_clip_is_the_same() -> None:
    """A file would get their numbers, and what is printed would go into it."""
    assert main([*DRAW, "-o", "open.mkv", "--no-sidecar"]) == 0
    done = shell(f"$vtg {' '.join(DRAW)} -o closed.mkv --no-sidecar <&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert Path("closed.mkv").read_bytes() == Path("open.mkv").read_bytes()
    assert sorted(os.listdir()) == ["a.png", "b.png", "closed.mkv", "open.mkv"]
    assert read_video("closed.mkv")[0].shape == (3, 36, 64, 3)


@pytest.mark.parametrize("closed", [c for c in product([False, True], repeat=3) if any(c)])
def test_a_closed_stream_has_its_number_taken(closed: tuple[bool, ...]) -> None:
    """In every combination: by what takes and gives nothing, for child processes as well."""
    look = (
        "from vtg_cli.__main__ import _open_closed_streams as opened; opened(); import os, sys; "
        "null = os.stat(os.devnull); "
        "told = [os.path.samestat(os.fstat(n), null) and os.get_inheritable(n) for n in range(3)]; "
        "streams = [each.fileno() for each in (sys.stdin, sys.stdout, sys.stderr)]; "
        f"sys.exit((told, streams) != ({[*closed]}, [0, 1, 2]))"
    )
    how = " ".join(f"{number}>&-" for number in range(3) if closed[number])
    done = shell(f'echo | {sys.executable} -c "{look}" {how}')
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (f"$vtg {' '.join(DRAW)} -o - --format y4m >&-", 7, "-o - has nowhere to go: stdout is"),
        ("$vtg slow - --factor 2 -o c.mp4 <&-", 7, "standard input is not a video that"),
        ("$vtg models list >/dev/full", 7, "cannot write to standard output: No space left on d"),
        (f"$vtg {' '.join(DRAW)} -o no/c.mp4 2>/dev/full", 7, None),
        (f"$vtg {' '.join(DRAW)} -o no/c.mp4 2>&-", 7, None),
        ("$vtg --version >&- 2>&-", 0, None),
        ("$vtg models list | true; exit ${PIPESTATUS[0]}", 0, None),
    ],
)
def test_one_line_or_as_with_them_open(command: str, code: int, said: str | None) -> None:
    done = shell(command)
    assert (done.returncode, done.stdout) == (code, b"")
    lines = done.stderr.decode().splitlines()
    if said is None:
        assert lines == []
    else:
        assert lines[0].startswith(f"vtg: {said}") and len(lines) <= 2
    assert sorted(os.listdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "command",
    [
        [*DRAW, "-o", "-", "--format", "y4m"],
        ["slow", "old.mkv", "--factor", "2", "-o", "-", "--format", "nut"],
        ["bridge", "old.mkv", "old.mkv", "--frames", "4", "-o", "-", "--format", "y4m"],
    ],
    ids=lambda command: str(command[0]),
)
def test_nothing_is_drawn_for_a_reader_that_is_gone(
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main([*DRAW, "-o", "old.mkv", "-q"]) == 0
    drawn: list[object] = []
    monkeypatch.setattr("vtg_cli.render.draw.renderers", lambda *_: drawn.append(1) or [])
    monkeypatch.setattr("vtg_cli.clips.retime._draw", lambda *_: drawn.append(1))
    kept = os.dup(1)
    reading, writing = os.pipe()
    os.dup2(writing, 1)
    os.close(writing)
    os.close(reading)
    try:
        assert main(command) == 0
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert drawn == []
    assert "Traceback" not in capfd.readouterr().err


def test_a_reader_that_leaves_between_segments_ends_the_drawing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is gone while the first segment is drawn: the second is not."""
    kept = os.dup(1)
    reading, writing = os.pipe()
    os.dup2(writing, 1)
    os.close(writing)
    taken: list[int] = []
    whole = draw._take

    def take(*arguments: object) -> object:
        taken.append(len(taken))
        if len(taken) == 1:
            os.close(reading)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(draw, "_take", take)
    try:
        command = ["interpolate", "a.png", "b.png", "a.png", *DRAW[3:], "-o", "-"]
        assert main([*command, "--format", "y4m"]) == 0
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert taken == [0]


@pytest.mark.parametrize(
    "command",
    [
        [*DRAW[:4], "40", *DRAW[5:], "-o", "-"],
        ["slow", "old.mkv", "--factor", "8", "-o", "-"],
        ["bridge", "old.mkv", "old.mkv", "--frames", "40", "--model", "flow", "-o", "-"],
    ],
    ids=lambda command: str(command[0]),
)
def test_a_reader_that_leaves_while_a_segment_is_drawn_ends_it(
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It leaves at the third frame that is drawn: there is no fourth."""
    from vtg_cli.flow import engine as flow

    assert main([*DRAW[:4], "9", *DRAW[5:], "-o", "old.mkv", "-q"]) == 0
    kept = os.dup(1)
    reading, writing = os.pipe()
    drawn: list[float] = []
    whole = flow.each_between

    def counted(*arguments: object, **named: object) -> object:
        for frame in whole(*arguments, **named):  # type: ignore[arg-type]
            drawn.append(1.0)
            if len(drawn) == 3:
                os.close(reading)
            yield frame

    monkeypatch.setattr(flow, "each_between", counted)
    os.dup2(writing, 1)
    os.close(writing)
    try:
        assert main([*command, "--format", "y4m", "-q"]) == 0
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert len(drawn) == 3
    assert capfd.readouterr().err == ""


STRIKE = """
import os, sys
class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Strike())
sys.argv = ["vtg", *{arguments!r}]
from vtg_cli.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["typer", "vtg_cli.cli.create", "numpy", "PIL.PngImagePlugin"])
def test_interrupted_while_importing(module: str) -> None:
    code = STRIKE.format(module=module, number=2, arguments=[*DRAW, "-o", "c.mp4"])
    done = subprocess.run([sys.executable, "-c", code], env=ALONE, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr == b"vtg: interrupted\n"
    assert sorted(os.listdir()) == ["a.png", "b.png"]


def test_what_guards_the_start_imports_nothing() -> None:
    """Ctrl-C before it is there ends in Python's own words."""
    code = "import sys; old = {*sys.modules}; import vtg_cli.__main__; print(*{*sys.modules} - old)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=ALONE, capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.split()) == ["__future__", "vtg_cli", "vtg_cli.__main__"]
