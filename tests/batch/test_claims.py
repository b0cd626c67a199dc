"""Locks between processes: held, given back, and free again when their holder is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtg_cli.batch.claims import Claims
from vtg_cli.errors import MediaError

HOLDER = """
import sys
from pathlib import Path
from vtg_cli.batch.claims import Claims
claims = Claims(Path(sys.argv[1]))
with claims.held("x") as ours:
    print(ours, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds x."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_name_belongs_to_one_process(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    claims = Claims(tmp_path / "lock")
    with claims.held("x") as ours, claims.held("y") as other:
        assert (ours, other) == (False, True)
    holder.send_signal(signal.SIGKILL)
    with claims.held("x", wait=True) as ours:  # as soon as the kernel has taken it from the dead
        assert ours
    claims.close()


def test_a_lock_file_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cannot lock .*: No such file or directory"):
        Claims(tmp_path / "none" / "lock")
