"""Fixtures that tests of more than one folder share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# the test networks are tiny: threads would mostly wait for each other, and for other processes
os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parent / "weights"))

pytest_plugins = ["hub_server"]
