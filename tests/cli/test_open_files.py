"""No more files can be opened: every command ends in a line and its code, and leaves nothing."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vtg_cli.errors import MediaError, VtgError, WeightsError, explained
from vtg_cli.weights.checkpoint import open_checkpoint

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PAIR = [str(EXAMPLES / f"lake_{letter}.jpg") for letter in "ab"]
DRAFT = ("--model", "flow", "--frames", "3", "--width", "32")
FREE = (0, 1, 2, 4, 6)
"""Files that can still be opened: too few for a picture, a temporary name, ffmpeg's pipes."""

CHILD = """
import json, os, resource, sys
import av, cv2, PIL.Image, safetensors.torch, torch
import vtg_cli.backbones.base, vtg_cli.batch.local, vtg_cli.render.draw
from vtg_cli.cli import main
torch.set_num_threads(1)
limits, arguments = json.loads(sys.argv[1])
for free in limits:
    child = os.fork()
    if not child:
        lowest = os.dup(2)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + free,) * 2)
        print(f"### {free}", file=sys.stderr, flush=True)
        code = main(arguments)
        print(f"code {code}", file=sys.stderr, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def said(*arguments: object, free: tuple[int, ...] = FREE) -> list[tuple[int, list[str]]]:
    """The exit code and stderr of a command with so many files free."""
    asked = json.dumps([free, [str(argument) for argument in arguments]])
    done = subprocess.run([sys.executable, "-c", CHILD, asked], capture_output=True, text=True)
    parts = done.stderr.split("### ")[1:]
    assert len(parts) == len(free), done.stderr
    lines = [part.splitlines()[1:] for part in parts]
    return [(int(each[-1].removeprefix("code ")), each[:-1]) for each in lines]


def check(code: int, lines: list[str], expected: int) -> None:
    assert code == expected, lines
    assert any("too many files are open" in line for line in lines), lines
    assert not any("Traceback" in line or "a bug in vtg" in line for line in lines), lines


def test_interpolate(tmp_path: Path) -> None:
    for code, lines in said("interpolate", *PAIR, *DRAFT, "-o", tmp_path / "a.mp4"):
        check(code, lines, 7)
        assert lines[-1] == "     raise the limit, as in: ulimit -n 1024"
    assert [*tmp_path.iterdir()] == []


def test_batch(tmp_path: Path) -> None:
    """As a whole, or item by item."""
    pairs, out = tmp_path / "pairs", tmp_path / "out"
    pairs.mkdir()
    for name in PAIR:
        (pairs / Path(name).name).write_bytes(Path(name).read_bytes())
    for code, lines in said("batch", pairs, *DRAFT, "-o", out, "--retries", 0):
        check(code, lines, code if code == 3 else 7)
    assert {path.name for path in out.iterdir()} <= {".vtg-batch.lock", "vtg-batch.jsonl"}


def test_models(tmp_path: Path) -> None:
    file, out = tmp_path / "512.ckpt", tmp_path / "out"
    torch.save({"state_dict": {"a": torch.ones(2)}}, file)
    for arguments in (("import", file, "-o", out), ("list",), ("verify",)):
        ((code, lines),) = said("models", *arguments, free=(0,))
        check(code, lines, 7)
    assert not out.exists()


def test_a_checkpoint_that_cannot_be_opened(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}}, tmp_path / "512.ckpt")
    lowest = os.dup(2)
    os.close(lowest)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, most[1]))
    try:
        with pytest.raises(WeightsError) as caught:
            open_checkpoint(tmp_path / "512.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)
    error = explained(caught.value)
    assert error.exit_code == 5
    assert error.message == f"too many files are open, at {tmp_path / '512.ckpt'}"


def wrapped(inner: Exception, outer: type[VtgError]) -> VtgError:
    try:
        try:
            raise inner
        except Exception as error:
            raise outer("a.ckpt is damaged", "fetch it again", subject="a.ckpt") from error
    except VtgError as error:
        return explained(error)


@pytest.mark.parametrize("number", [23, 24])
@pytest.mark.parametrize("kind", [MediaError, WeightsError])
def test_the_cause_is_told_and_the_code_stays(number: int, kind: type[VtgError]) -> None:
    for inner in (OSError(number, "any"), RuntimeError(f"a.so: {os.strerror(number)}")):
        error = wrapped(inner, kind)
        assert type(error) is kind and error.subject == "a.ckpt"
        assert error.message == "too many files are open, at a.ckpt"
        plain = explained(inner)
        assert type(plain) is MediaError and plain.message == "too many files are open"
    assert wrapped(OSError(5, "input/output error"), kind).message == "a.ckpt is damaged"
