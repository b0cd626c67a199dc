"""The report beside a clip, from which `vtg run` makes the clip again.

One JSON document: `schema` and `version` say how to read it, `job` is the whole job with nothing
left open, its paths relative to the document's folder where that can be; `inputs` are the
fingerprints of the keyframes; the rest is what was found on the way.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtg_cli import __version__
from vtg_cli.errors import MediaError, UsageError, WeightsError
from vtg_cli.ground import atomic, documents
from vtg_cli.job.document import absent, from_json, to_json
from vtg_cli.job.jobs import Job
from vtg_cli.job.times import exact
from vtg_cli.media.beside import SCHEMA, foreign, sidecar_path
from vtg_cli.plan.plan import Plan
from vtg_cli.plan.segments import TimelinePlan
from vtg_cli.plan.setup import Setup
from vtg_cli.render.report_paths import named, resolved, shown_model, worded
from vtg_cli.render.retry import plain

if TYPE_CHECKING:
    from vtg_cli.render.findings import Report

VERSION = 1
PICTURES = ("numpy", "pillow", "opencv-python-headless", "opencv-python")
NETWORKS = ("torch", "diffusers", "transformers")


def place_of(plan: Setup | TimelinePlan) -> Path | None:
    """Return where the plan's report goes; None: nowhere."""
    wanted = plan.job.encoding.sidecar and plan.job.encoding.metadata
    return sidecar_path(plan.job.output) if wanted and plan.job.output else None


def outline(plan: Plan | TimelinePlan, folder: Path | None = None) -> dict[str, Any]:
    """Return what is known before drawing. folder: the job's paths are made relative to it."""
    height, width, channels = plan.shape
    schedule = plan.schedule
    facts = {
        "inputs": [
            {"sha256": still.sha256, "height": still.size[0], "width": still.size[1]}
            for still in plan.stills
        ],
        "clip": {
            "frames": schedule.total,
            "fps": str(schedule.fps),
            "seconds": exact(schedule.duration),
            "height": height,
            "width": width,
            "alpha": channels == 4,
            "keyframes_at": list(schedule.positions),
        },
        **_models(plan, folder),
    }
    return begun(plan.job, folder, facts, plan.notes)


def _models(plan: Plan | TimelinePlan, folder: Path | None) -> dict[str, Any]:
    """Return what draws; for a timeline, in every segment."""
    drawing = [
        {
            **model(part, plan.job, folder),
            "evaluations": part.evaluations,
            "whole": part.whole,
            "inversions": part.inversions,
            "fit_steps": part.fit_steps,
        }
        for part in plan.parts
    ]
    return {"model": drawing[0]} if isinstance(plan, Plan) else {"models": drawing}


def begun(
    job: Job, folder: Path | None, facts: Mapping[str, Any], notes: Iterable[str]
) -> dict[str, Any]:
    """Return a report of any kind of job as far as it is known before drawing.

    folder: where it goes, if it is a file; facts: what this kind tells, its models among them
    """
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "job": to_json(named(job, folder)),
        **facts,
        "notes": [worded(note, job, folder) for note in notes],
    }


def finished(
    beginning: Mapping[str, Any],
    facts: Mapping[str, Any],
    report: Report,
    plan: Setup | TimelinePlan,
) -> dict[str, Any]:
    """Return the whole report of a run. beginning: see `begun`; facts: what this kind found out."""
    return {
        **beginning,
        "notes": [*beginning["notes"], *report.notes],
        **facts,
        **spent(report),
        "weights": weights_of(plan),
        "versions": versions(plan),
    }


def spent(report: Report) -> dict[str, Any]:
    """Return what a run took: seconds of each phase, rungs of the memory ladder."""
    return {
        "seconds": {phase: round(seconds, 3) for phase, seconds in report.seconds.items()},
        **({"memory": [*report.rungs]} if report.rungs else {}),
    }


def kept(
    plan: Setup | TimelinePlan, document: Callable[[Path | None], dict[str, Any]]
) -> dict[str, Any]:
    """Write the report beside the plan's clip, if that is wanted; return it.

    document: the report for a folder, None where it is no file
    """
    place = place_of(plan)
    report = document(place.parent if place else None)
    if place is not None:
        write(place, report, str(plan.job.output))
    return report


def model(plan: Setup, job: Job, folder: Path | None) -> dict[str, str]:
    """Return what draws this part of the job, why, and where."""
    return {
        "name": shown_model(plan.job.model, job, folder),
        "reason": plan.model.reason or "asked for",
        "device": plan.model.device,
    }


def document(
    plan: Plan | TimelinePlan, report: Report, folder: Path | None = None
) -> dict[str, Any]:
    """Return the whole report of a finished run."""
    judged = zip(plan.schedule.segments, report.anchors, report.outcomes, strict=False)
    segments = [
        {"frames": n, **_finite(asdict(anchor)), "quality": plain(outcome)}
        for n, anchor, outcome in judged
    ]
    return finished(outline(plan, folder), {"segments": segments}, report, plan)


def versions(plan: Setup | TimelinePlan) -> dict[str, str]:
    """Return the versions of vtg, Python, ffmpeg and the libraries that draw this plan's frames."""
    networks = NETWORKS if any(model.source for model in plan.models) else ()
    return dict(_versions((*PICTURES, *networks)))


@cache
def _versions(names: tuple[str, ...]) -> dict[str, str]:
    """Look versions up once for a batch: ffmpeg has to be run to tell its own."""
    import imageio_ffmpeg

    numbers = {"vtg": __version__, "python": platform.python_version()}
    for name in names:
        try:
            numbers[name.removesuffix("-headless")] = metadata.version(name)
        except metadata.PackageNotFoundError:  # another build of OpenCV
            continue
    return {**numbers, "ffmpeg": imageio_ffmpeg.get_ffmpeg_version()}


def weights_of(plan: Setup | TimelinePlan) -> dict[str, dict[str, str]]:
    """Return role -> file -> sha256 of all weights the frames depend on; empty for flow."""
    from vtg_cli.weights import store

    single = isinstance(plan, Setup)
    folders: dict[str, Path] = {}
    for i, part in enumerate(plan.parts, start=1):
        where = "" if single else f" of segment {i}"
        folders |= {f"{role}{where}": place for role, place in part.model.folders.items()}
    identities = {folder: store.identity(folder) for folder in set(folders.values())}
    return {role: identities[folder] for role, folder in folders.items()}


def write(path: Path, report: Mapping[str, Any], output: str) -> None:
    r"""Write the report of `output` as a file, whole or not at all.

    A byte of a file name that is not UTF-8 stands in it as an escape, \udc80 to \udcff, and reading
    restores it. Raises MediaError if it cannot be written, or another file came to lie there
    meanwhile.
    """
    if foreign(output) is not None:
        raise MediaError(
            f"cannot write {path}: it appeared meanwhile and is not a report of {output}",
            f"{output} is there and whole; only its report is lacking",
            subject=str(path),
        )
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    atomic.write(path, f"{text}\n".encode("utf-8", "backslashreplace"))


@dataclass(frozen=True)
class Recorded:
    """A report read again: its job, with paths that hold from here, and what it was made with.

    absent: fields of a job that are younger than the report; the job has their defaults
    """

    path: Path
    job: Job
    absent: tuple[str, ...]
    inputs: tuple[str, ...]
    weights: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]


def read(path: Path) -> Recorded:
    """Read the report in a file. Raise MediaError if unreadable, UsageError if it is none."""
    try:
        content = documents.json_file(path)
    except OSError as error:
        raise documents.unreadable(path, error, "report") from None
    except ValueError:
        raise _foreign(path) from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise _foreign(path)
    if content.get("version") != VERSION:
        raise UsageError(
            f"{path} is a report of version {content.get('version')}, this vtg reads {VERSION}",
            "update vtg",
            subject=str(path),
        )
    try:
        job = resolved(from_json(content["job"]), path.parent)
        inputs = tuple(str(each["sha256"]) for each in content["inputs"])
        made_with = dict(content["weights"]), dict(content["versions"])
        return Recorded(path, job, tuple(absent(content["job"])), inputs, *made_with)
    except (KeyError, TypeError, ValueError):
        raise _foreign(path) from None
    except UsageError as error:
        error.message = f"{path}: {error.message}"
        raise


def compare(recorded: Recorded, plan: Plan | TimelinePlan) -> list[str]:
    """Refuse a plan that cannot make the recorded clip again; return notes on differences.

    Raises MediaError if a keyframe has changed since, WeightsError if weights have.
    """
    if len(plan.stills) != len(recorded.inputs):
        raise _foreign(recorded.path)
    for still, sha256 in zip(plan.stills, recorded.inputs, strict=True):
        if still.sha256 != sha256:
            raise _changed(recorded, still.name, "picture", "vtg interpolate")
    weights = weights_of(plan)
    for role, files in recorded.weights.items():
        if weights.get(role) != files:
            raise WeightsError(
                f"the {role} weights are not those {recorded.path} was made with",
                "bring the old ones back, or start anew with vtg interpolate",
                subject=role,
            )
    current = versions(plan)
    younger = [
        f"{recorded.path} says nothing of {', '.join(recorded.absent)}, which came later: "
        "done as before them"
    ]
    return (younger if recorded.absent else []) + [
        f"made with {name} {old}, this is {current[name]}: frames may differ slightly"
        for name, old in recorded.versions.items()
        if name in current and current[name] != old and name != "python"
    ]


def unchanged(recorded: Recorded, clips: Sequence[str]) -> None:
    """Refuse to make a clip again from other clips, where it is made of some. MediaError."""
    from vtg_cli.media.sequence import fingerprint

    if not clips:
        return
    if len(clips) != len(recorded.inputs):
        raise _foreign(recorded.path)
    for name, sha256 in zip(clips, recorded.inputs, strict=True):
        if fingerprint(name) != sha256:
            raise _changed(recorded, name, "clip", "the command")


def _changed(recorded: Recorded, name: str, what: str, command: str) -> MediaError:
    return MediaError(
        f"{name} has changed since {recorded.path} was written",
        f"bring the old {what} back, or start anew with {command}",
        subject=name,
    )


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replace infinities, which JSON lacks, by None: an exact match has no PSNR."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def _foreign(path: Path) -> UsageError:
    return UsageError(
        f"{path} is not a report of vtg", "it is the .json beside a clip", subject=str(path)
    )
