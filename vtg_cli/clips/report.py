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


def retimed(retiming: Retiming, folder: Path | None = None) -> dict[str, Any]:
    """Return what is known before drawing. folder: the job's paths are made relative to it."""
    height, width = retiming.size
    total = retiming.frames
    facts = {
        "source": {
            "fps": str(retiming.rate),
            "frames": retiming.extent.frames if retiming.extent else None,
            "seconds": exact(retiming.extent.seconds) if retiming.extent else None,
        },
        "clip": {
            "frames": total,
            "fps": str(retiming.fps),
            "seconds": None if total is None else exact(total / retiming.fps),
            "height": height,
            "width": width,
            "alpha": retiming.base.shape[2] == 4,
            "audio": retiming.sound is not None,
        },
        "model": reports.model(retiming.base, retiming.job, folder),
    }
    return reports.begun(retiming.job, folder, facts, retiming.notes)


def of_retimed(
    retiming: Retiming, counts: Found, report: Report, folder: Path | None = None
) -> dict[str, Any]:
    """Return the whole report of a finished run."""
    document = retimed(retiming, folder)
    document["clip"] |= {"frames": counts.written, "seconds": exact(counts.written / retiming.fps)}
    height, width = retiming.size
    digest = fingerprint(retiming.job.clip.path) if retiming.source and folder is not None else None
    facts = {
        "inputs": [{"sha256": digest, "height": height, "width": width}],
        "found": {
            "read": counts.read,
            "drawn": counts.drawn,
            "cuts": counts.cuts,
            "cut_at": counts.cut_at,
            "still": float(counts.still),
        },
    }
    return reports.finished(document, facts, report, retiming.base)


def bridged(bridging: Bridging, folder: Path | None = None) -> dict[str, Any]:
    """Return what is known beforehand. folder: the job's paths are made relative to it."""
    height, width, channels = bridging.base.shape
    first, last = bridging.first, bridging.last
    inner = bridging.base.schedule.total - 2
    facts = {
        "clip": {
            "fps": str(bridging.fps),
            "height": height,
            "width": width,
            "alpha": channels == 4,
            "leaves_at": first.end and first.end - 1,
            "between": inner,
            "arrives_at": last.begin,
        },
        "copied": {"first": bridging.kept[0], "last": bridging.kept[1]},
        "model": reports.model(bridging.base, bridging.job, folder),
    }
    return reports.begun(bridging.job, folder, facts, bridging.notes)


def of_bridged(
    bridging: Bridging, counts: Joined, report: Report, folder: Path | None = None
) -> dict[str, Any]:
    """Return the whole report of a finished run."""
    document = bridged(bridging, folder)
    document["clip"] |= {
        "frames": counts.total,
        "seconds": exact(counts.total / bridging.fps),
        "first": counts.first,
        "last": counts.last,
    }
    sides = (bridging.first, bridging.last)
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
    return reports.finished(document, facts, report, bridging.base)
