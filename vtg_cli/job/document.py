"""Jobs as plain JSON values and back. `to_json` and `from_json` are inverse: fractions travel as
"24000/1001", tuples as lists, and a document with an unknown field or one of another type is
refused by the field's name.

A document may be older than a field. So a new field has a default, and that default does what was
done before the field came; where it cannot, the report's VERSION is raised. `absent` names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vtg_cli.errors import UsageError
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import KINDS, Job
from vtg_cli.job.records import built, missing, plain


def to_json(job: Job) -> dict[str, Any]:
    """Return the job as plain JSON values, its kind first."""
    kind = next(name for name, kind_of_job in KINDS.items() if kind_of_job is type(job))
    return {"kind": kind, **plain(job)}


def from_json(document: object) -> Job:
    """Return the job of a `to_json` document, validated. Raise UsageError naming what is wrong.

    Fields that the document lacks have their defaults; those without a default are reported as
    missing.
    """
    if not isinstance(document, Mapping):
        raise UsageError("a job is a JSON object", subject="job")
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(
            f"job.kind {kind!r} is not known", f"known: {', '.join(KINDS)}", subject="job.kind"
        )
    rest = {name: value for name, value in document.items() if name != "kind"}
    return validated(built(KINDS[kind], rest, "job"))


def absent(document: Mapping[str, Any]) -> list[str]:
    """List the fields, dotted, that a document `from_json` has read left to their defaults."""
    return missing(KINDS[document["kind"]], document)
