"""What is run depends on what the folder holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from recordings import FOLDER, sampling_cases, training_cases

CASES = {kind: sampling_cases(kind) for kind in ("gi", "dc")}
if not any(CASES.values()) and not training_cases():
    raise pytest.UsageError(f"no gi_*.json and no dc_*.json sampling case in {FOLDER}")

NEEDS = {"test_gi.py": "gi", "test_dc_sampling.py": "dc"}
collect_ignore = [name for name, kind in NEEDS.items() if not CASES[kind]]
if not training_cases():
    collect_ignore.append("test_gi_train.py")
