"""Fixtures that tests of more than one folder share."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

# the test networks are tiny: threads would mostly wait for each other, and for other processes
os.environ.setdefault("OMP_NUM_THREADS", "1")

# what is tested of the command line is seldom what draws: the draft engine starts at once
os.environ.setdefault("VTG_MODEL", "flow")

# a run in the background may have been told to ignore Ctrl-C, which child processes would inherit
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "weights")]

pytest_plugins = ["hub_server", "index_server"]


@pytest.fixture(scope="module", autouse=True)
def _settled_heap() -> None:
    """Leaves what stands out of later collections: imageio collects at the end of every clip it
    reads, and with torch and 4,000 tests in memory that took a tenth of the suite."""
    gc.collect()
    gc.freeze()
