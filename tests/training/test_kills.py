"""A kill at any call of a save leaves a whole checkpoint, and nothing else for long."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("killed_saves.py")


def test_a_kill_at_any_call_leaves_the_step_before_or_this_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    states = [tuple(state) for state in found["steps"]]
    assert [step for step, _ in states] == [4, 5] and states[0][1] != states[1][1]
    steps, ends = [], []
    for case, status, step, numbers, left, after in found["cases"]:
        assert (step, numbers) in states, case
        assert any(name.startswith("checkpoint-") for name in left), case
        assert after == [f"checkpoint-{step + 1:09}", "log.jsonl"], case  # what was left is swept
        steps.append(step)
        ends.append(status)
    calls = [i for i, case in enumerate(found["cases"]) if case[0].startswith("call")]
    # killed at every call, until one save was through; from the rename on it is the new step
    assert len(calls) > 25 and ends[len(calls) - 1] == 0
    assert all(status >> 8 == 9 for status in ends[: len(calls) - 1])
    assert steps[: len(calls)] == sorted(steps[: len(calls)])
    assert {4, 5} == set(steps[: len(calls) - 1])
    sizes = ends[len(calls) :]
    assert sizes.count(signal.SIGXFSZ) > 8  # torn in the middle of a file
    torn = steps[len(calls) :]
    assert all(step == 4 for step, end in zip(torn, sizes, strict=True) if end)
