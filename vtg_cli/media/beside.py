"""The report beside an output: where it lies, and whether a file there is one of that very output.

    clip.mp4            clip.mp4.json
    out/frame_%04d.png  out/frame_%04d.png.json

So no two outputs share one. Earlier versions called it clip.json and out/frame.json; those are
still read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vtg_cli.ground import documents
from vtg_cli.ground.atomic import NUMBER, numbered

SCHEMA = "vtg-sidecar"
LARGEST = 64 << 20  # bytes of a report that are read
_LONGEST_NAME = 255  # bytes


def sidecar_path(output: str) -> Path | None:
    """Return the path of `output`'s report: its name and .json; None for stdout."""
    if output == "-":
        return None
    path = Path(output)
    name = os.fsencode(path.name)
    if len(name) + len(b".json") > _LONGEST_NAME:  # still one of its own
        digest = hashlib.sha256(name).hexdigest()[:8].encode()
        name = name[: _LONGEST_NAME - len(b"~.json") - len(digest)] + b"~" + digest
        name = name.decode(errors="ignore").encode()
    return path.with_name(os.fsdecode(name) + ".json")


def older_path(output: str) -> Path:
    """Return where earlier versions put the report: clip.json, out.json for out/%04d.png."""
    path = Path(output)
    if not NUMBER.search(path.name):
        return path.with_suffix(".json")
    stem = NUMBER.sub("", path.stem).strip(" ._-")
    if stem:
        return path.with_name(f"{stem}.json")
    if path.parent.name in ("", ".."):  # no folder name to take over
        return path.with_name("frames.json")
    return path.parent.with_name(f"{path.parent.name}.json")


def report_of(output: str, path: Path | None) -> Mapping[str, Any] | None:
    """Return the report in a file, if it is one and belongs to this very output."""
    if path is None:
        return None
    with suppress(OSError, ValueError):
        if path.is_file():
            report = documents.json_file(path, LARGEST)
            if report.get("schema") == SCHEMA:
                named = _output_of(report.get("job"))
                place = None if named is None else os.path.join(path.parent, named)
                if place and os.path.realpath(place) == os.path.realpath(output):
                    return report
    return None


def foreign(output: str) -> Path | None:
    """Return what lies where `output`'s report goes and is not its report; None if nothing."""
    path = sidecar_path(output)
    there = path is not None and os.path.lexists(path)
    return path if there and report_of(output, path) is None else None


def ours(output: str) -> frozenset[str]:
    """Return names of existing numbered files that `output`'s report says it made, and its own."""
    pattern, named = Path(output), set()
    if NUMBER.search(pattern.name):
        for path in (sidecar_path(output), older_path(output)):
            clip = (report_of(output, path) or {}).get("clip")
            frames = clip.get("frames") if isinstance(clip, dict) else None
            if path is not None and isinstance(frames, int):
                named |= {file.name for file in numbered(pattern, below=frames)}
                named |= {path.name} if path == sidecar_path(output) else set()
    return frozenset(named)


def note(output: str, frames: int) -> bytes:
    """Return a placeholder for the report of a sequence, written the moment its files are there.

    It names them, so that they are known as ours even if the run is killed before the report is
    written.
    """
    report = {"schema": SCHEMA, "job": {"output": Path(output).name}, "clip": {"frames": frames}}
    return json.dumps({**report, "finished": False}).encode() + b"\n"


def _output_of(job: object) -> str | None:
    """Return what a report's job calls its output."""
    if not isinstance(job, dict):
        return None
    between = job.get("between")
    output = between.get("output") if isinstance(between, dict) else job.get("output")
    return output if isinstance(output, str) and output != "-" else None
