"""Making a model folder: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.ground import temporary
from vtg_cli.weights.layout import INDEX


def check_place(out: Path, overwrite: bool) -> None:
    """Raise UsageError for a place that is taken, or taken by other than a model folder."""
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", "--overwrite replaces it", subject=str(out))
    if out.exists() and not (out / INDEX).is_file():
        raise UsageError(
            f"{out} exists and is no model folder, so it is not replaced",
            "give another --output",
            subject=str(out),
        )


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` on a clean exit. Raise WeightsError."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with temporary.folder(out) as new:
            yield new
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"{out} cannot be written: {reason}", subject=str(out)) from error
