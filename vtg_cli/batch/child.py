"""The process behind local.LocalCrew: items on stdin, outcomes on stdout, a line of JSON each."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from vtg_cli.batch.item import Item
from vtg_cli.batch.store import open_store
from vtg_cli.batch.worker import Settings, Worker


def main(setup: str) -> int:
    """Make the items that arrive on stdin, until it ends. setup: settings and device, as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is its parent's business
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is for people
    begin = json.loads(setup)
    settings = Settings(**begin["settings"])
    worker = Worker(open_store(settings.place), settings, begin["device"])
    try:
        _tell(answers, {"ready": True})
        for line in sys.stdin:
            request = json.loads(line)
            outcome = worker.make(Item.from_json(request["item"]), wait=request["wait"])
            _tell(answers, outcome.to_json())
    except BrokenPipeError:  # its parent is gone; the journal has what it did
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())  # for what is not flushed
    return 0


def _tell(answers: TextIO, message: Mapping[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
