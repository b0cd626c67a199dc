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
    """The report of `output`: its name and .json; None for stdout."""
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
    """Where earlier versions put it: clip.json, out.json of out/%04d.png."""
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
    """The report in a file, if it is one and of this very output."""
    if path is None:
        return None
    with suppress(OSError, ValueError):
        if path.is_file():
            found = documents.json_file(path, LARGEST)
            if found.get("schema") == SCHEMA:
                named = _output_of(found.get("job"))
                place = None if named is None else os.path.join(path.parent, named)
                if place and os.path.realpath(place) == os.path.realpath(output):
                    return found
    return None


def foreign(output: str) -> Path | None:
    """What lies where the report of `output` goes and is not its report; None: nothing."""
    path = sidecar_path(output)
    there = path is not None and os.path.lexists(path)
    return path if there and report_of(output, path) is None else None


def ours(output: str) -> frozenset[str]:
    """Names of the numbered files that are there and that a report of `output` says it made, and
    of that report.
    """
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
    """What stands in for the report of a sequence from the moment its files are there: it names
    them, so that they are known as ours even if the run is killed before the report is written.
    """
    said = {"schema": SCHEMA, "job": {"output": Path(output).name}, "clip": {"frames": frames}}
    return json.dumps({**said, "finished": False}).encode() + b"\n"


def _output_of(job: object) -> str | None:
    """What a report's job calls its output."""
    if not isinstance(job, dict):
        return None
    between = job.get("between")
    output = between.get("output") if isinstance(between, dict) else job.get("output")
    return output if isinstance(output, str) and output != "-" else None
