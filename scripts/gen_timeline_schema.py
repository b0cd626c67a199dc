"""Write docs/timeline.schema.json from the schema that timeline files are checked against."""

from __future__ import annotations

import json
from pathlib import Path

from vtg_cli.job.timeline.schema import SCHEMA

FILE = Path(__file__).resolve().parent.parent / "docs" / "timeline.schema.json"


def text() -> str:
    """The whole file, ending in one newline."""
    return json.dumps(SCHEMA, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
