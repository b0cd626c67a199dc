"""Names of files in a report: as seen from its own folder, or by their last names alone.

Names of models and of what else may be a catalogue's or the hub's are paths there if they begin
with a dot; of older reports, if they are absolute.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from vtg_cli.errors import MediaError, WeightsError
from vtg_cli.job.jobs import Job, Rename


def named(job: Job, folder: Path | None) -> Job:
    """Return the job with its file names as the report in `folder` has them.

    folder: None: for a report that is no file, where they stay, unless only names are wanted
    """
    return job.renamed(_shown(job, folder), lambda name: shown_model(name, job, folder))


def shown_model(name: str, job: Job, folder: Path | None) -> str:
    """Return the report's name of a model or weights: paths never look like catalogue names."""
    if not os.path.isabs(name):
        return name
    shown = _shown(job, folder)(name)
    return shown if os.path.isabs(shown) or shown.startswith("../") else f"./{shown}"


def worded(text: str, job: Job, folder: Path | None) -> str:
    """Return a note with the job's files named as in the report, where it would tell too much."""
    shown = _shown(job, folder)
    for name in sorted(_names(job), key=len, reverse=True):
        if os.path.isabs(name) or (not job.encoding.paths and PurePath(name).name != name):
            text = text.replace(name, shown(name))
    return text


def resolved(job: Job, folder: Path) -> Job:
    """Return the job of a report in `folder` with names that hold from the current one."""

    def model(name: str) -> str:
        return os.path.abspath(folder / name) if name.startswith(("./", "../")) else name

    return job.renamed(lambda name: str(folder / name), model)


def check_there(job: Job, path: Path) -> None:
    """Raise MediaError or WeightsError for the first input of the report in `path` that is not
    beside it, if that holds names only.
    """
    if job.encoding.paths:
        return
    for name in (*job.inputs, *sorted(_names(job) - {*job.inputs, job.output})):
        picture = name in job.inputs
        if not os.path.exists(name) and (picture or os.path.isabs(name)):
            kind = MediaError if picture else WeightsError
            raise kind(
                f"{path} names {PurePath(name).name} without its folder, and it is not in "
                f"{path.absolute().parent}",
                "put it there, or a link to it",
                subject=name,
            )


def _names(job: Job) -> set[str]:
    """Return every name in the job that may be a file's or a folder's."""
    names: set[str] = set()

    def collect(name: str) -> str:
        names.add(name)
        return name

    job.renamed(collect, collect)
    return names


def _shown(job: Job, folder: Path | None) -> Rename:
    def seen(name: str) -> str:
        path = Path(name).absolute()
        if not job.encoding.paths:
            return path.name
        if folder is None:
            return name
        try:
            shared = Path(os.path.commonpath([path, folder.absolute()]))
        except ValueError:  # another drive
            return str(path)
        far = shared == Path(
            shared.anchor
        )  # nothing but the root in common: they will not move together
        return str(path) if far else Path(os.path.relpath(path, folder)).as_posix()

    return seen
