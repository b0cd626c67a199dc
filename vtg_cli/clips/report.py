"""The reports of clips: what `vtg slow`, `retime` and `bridge` write beside what they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtg_cli.job.times import exact
from vtg_cli.media.sequence import fingerprint
from vtg_cli.render import report as reports

if TYPE_CHECKING:
    from vtg_cli.clips.bridging import Bridging
    from vtg_cli.clips.bridging import Found as Joined
    from vtg_cli.clips.retiming import Found, Retiming
    from vtg_cli.render.findings import Report


def retimed(made: Retiming, folder: Path | None = None) -> dict[str, Any]:
    """What is known before drawing. folder: what the job's paths are made relative to, if any."""
    height, width = made.size
    total = made.frames
    facts = {
        "source": {
            "fps": str(made.rate),
            "frames": made.extent.frames if made.extent else None,
            "seconds": exact(made.extent.seconds) if made.extent else None,
        },
        "clip": {
            "frames": total,
            "fps": str(made.fps),
            "seconds": None if total is None else exact(total / made.fps),
            "height": height,
            "width": width,
            "alpha": made.base.shape[2] == 4,
            "audio": made.sound is not None,
        },
        "model": reports.model(made.base, made.job, folder),
    }
    return reports.begun(made.job, folder, facts, made.notes)


def of_retimed(
    made: Retiming, found: Found, report: Report, folder: Path | None = None
) -> dict[str, Any]:
    """The whole report of a finished run."""
    told = retimed(made, folder)
    told["clip"] |= {"frames": found.written, "seconds": exact(found.written / made.fps)}
    height, width = made.size
    digest = fingerprint(made.job.clip.path) if made.source and folder is not None else None
    facts = {
        "inputs": [{"sha256": digest, "height": height, "width": width}],
        "found": {
            "read": found.read,
            "drawn": found.drawn,
            "cuts": found.cuts,
            "cut_at": found.cut_at,
            "still": float(found.still),
        },
    }
    return reports.finished(told, facts, report, made.base)


def bridged(made: Bridging, folder: Path | None = None) -> dict[str, Any]:
    """What is known beforehand. folder: what the job's paths are made relative to, if any."""
    height, width, channels = made.base.shape
    first, last = made.first, made.last
    inner = made.base.schedule.total - 2
    facts = {
        "clip": {
            "fps": str(made.fps),
            "height": height,
            "width": width,
            "alpha": channels == 4,
            "leaves_at": first.end and first.end - 1,
            "between": inner,
            "arrives_at": last.begin,
        },
        "copied": {"first": made.kept[0], "last": made.kept[1]},
        "model": reports.model(made.base, made.job, folder),
    }
    return reports.begun(made.job, folder, facts, made.notes)


def of_bridged(
    made: Bridging, found: Joined, report: Report, folder: Path | None = None
) -> dict[str, Any]:
    """The whole report of a finished run."""
    told = bridged(made, folder)
    told["clip"] |= {
        "frames": found.total,
        "seconds": exact(found.total / made.fps),
        "first": found.first,
        "last": found.last,
    }
    sides = (made.first, made.last)
    facts = {
        "inputs": [
            {
                "sha256": None if side.facts is None else fingerprint(side.clip.path),
                "height": side.size[0],
                "width": side.size[1],
            }
            for side in sides
        ],
    }
    return reports.finished(told, facts, report, made.base)
