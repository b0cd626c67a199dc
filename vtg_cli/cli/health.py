"""The checks of vtg doctor, one by one, each with what to do where something is lacking.

Every check returns findings and raises nothing: what is broken is a finding, too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from vtg_cli.backbones.base import model_of
from vtg_cli.errors import VtgError
from vtg_cli.ground.units import counted, size_text
from vtg_cli.machine import hardware
from vtg_cli.media import sound
from vtg_cli.media.ffmpeg import ffmpeg
from vtg_cli.media.formats import FORMATS
from vtg_cli.plan.model import is_engine
from vtg_cli.weights import cache, hub, layout, sizes, store
from vtg_cli.weights.catalog import CATALOG, EMBEDDED_FOLDER, LEARNED, place_of

State = Literal["ok", "note", "bad"]
ROOM = 5e9
"""Bytes that a pull of the usual model takes, about."""
NETWORKS = ("diffusers", "transformers", "safetensors")
EXTRAS = {
    "ray": ("ray", "vtg batch --engine ray"),
    "heif": ("pillow_heif", "pictures in HEIC"),
}
"""Extra of the package -> its module, and what it is for."""


@dataclass(frozen=True)
class Finding:
    """A finding about one thing.

    state: "ok"; "note": something is lacking that not everybody needs; "bad": without it nothing is
        drawn
    todo: what to do, empty if there is nothing to do
    """

    name: str
    state: State
    text: str
    todo: str = ""


def findings() -> Iterator[Finding]:
    """Check everything, in the order in which one would look."""
    for check in CHECKS:
        yield from check()


def can_draw(listed: list[Finding]) -> bool:
    return all(finding.state != "bad" for finding in listed)


def encoding() -> Iterator[Finding]:
    """Check ffmpeg: whether it runs, and whether it has what the formats need."""
    again = "pip install --force-reinstall imageio-ffmpeg, or name one in IMAGEIO_FFMPEG_EXE"
    try:
        program = ffmpeg()
        version = _said(program, "-version")
        encoders = set(re.findall(r"^ [VA]\S{5} (\S+)", _said(program, "-encoders"), re.MULTILINE))
    except VtgError as error:
        yield Finding("ffmpeg", "bad", error.message, error.hint or again)
        return
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding("ffmpeg", "bad", f"does not run: {_first_line(error)}", again)
        return
    number = re.match(r"ffmpeg version (\S+)", version)
    named = number[1] if number else "an unknown version"
    lacking = {name: needed - encoders for name, needed in needed_encoders() if needed - encoders}
    if not lacking:
        yield Finding("ffmpeg", "ok", f"{named} with all encoders, {program}")
    for name, absent in lacking.items():
        text = f"{named} lacks {', '.join(sorted(absent))}, which {name} needs"
        yield Finding("ffmpeg", "note", text, f"use another format than {name}; or {again}")


def needed_encoders() -> Iterator[tuple[str, set[str]]]:
    """Yield each format that is written: its name, and ffmpeg's encoders it takes."""
    for form in FORMATS:
        codecs = (form.codec, form.odd, form.alpha)
        used = {c.arguments[c.arguments.index("-c:v") + 1] for c in codecs if c is not None}
        heard = sound.CODECS.get(form.name)
        yield form.name, used | ({heard[1]} if heard else set())


def networks() -> Iterator[Finding]:
    """Check torch and what goes with it."""
    again = "pip install --force-reinstall torch; --model flow draws without it"
    try:
        import torch

        number, threads = str(torch.__version__), torch.get_num_threads()
        level = torch.backends.cpu.get_cpu_capability()
        assert float(torch.ones(2, 2).sum()) == 4
    except Exception as error:  # a broken library may raise anything
        yield Finding("torch", "bad", f"does not work: {_first_line(error)}", again)
    else:
        text = f"{number}, {counted(threads, 'thread')}, {level}"
        slow = level in ("DEFAULT", "NO AVX")
        yield Finding("torch", "note" if slow else "ok", text, SLOW if slow else "")
    for name in NETWORKS:
        if not _version(name):
            yield Finding(name, "bad", "is not installed", f"pip install {name}")


SLOW = "this CPU has no AVX2: everything but --model flow will be slow"


def devices() -> Iterator[Finding]:
    """Check the GPUs, as torch sees them; it is asked only where there may be one."""
    if not hardware.may_have_gpu():
        yield Finding("GPU", "note", "none: no driver on this machine", NO_GPU)
        return
    try:
        import torch

        gpus = [
            (f"cuda:{i}", torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())
        ]
        if torch.backends.mps.is_available():
            gpus.append(("mps", "Apple's GPU"))
        measured = [(*each, hardware.gpu_memory(each[0])) for each in gpus]
    except Exception as error:
        yield Finding("GPU", "note", f"cannot be asked: {_first_line(error)}", BUILD)
        return
    if not measured:
        yield Finding("GPU", "note", "a driver is here, and torch sees no GPU", BUILD)
    for device, name, memory in measured:
        has = f", {size_text(memory.total)}, {size_text(memory.free)} free" if memory else ""
        yield Finding("GPU", "ok", f"{device}: {name}{has}")


NO_GPU = "tiny and flow draw on the CPU; larger models take hours there"
BUILD = "install the build of torch for this driver: https://pytorch.org/get-started"


def memory() -> Iterator[Finding]:
    """Check the memory of this machine."""
    machine, cores = hardware.memory(), hardware.cores()
    if machine is None:
        yield Finding("memory", "note", "this system does not report it")
        return
    text = f"{size_text(machine.total)}, {size_text(machine.free)} free; {counted(cores, 'core')}"
    little = machine.free < 1e9
    yield Finding("memory", "note" if little else "ok", text, FREE_SOME if little else "")


FREE_SOME = "close other programs, or ask for small pictures"


def caches() -> Iterator[Finding]:
    """Check the folders that models go to."""
    for name, folder in (("models", cache.repo_folder("").parent), ("imports", cache.own_folder())):
        place = next(p for p in (folder, *folder.parents) if p.exists())
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            text = f"{name} cannot be kept: {place} cannot be written"
            yield Finding("cache", "note", text, "let HF_HOME point to a folder of yours")
            continue
        free = shutil.disk_usage(place).free
        text = f"{name} go to {folder}, {size_text(free)} free"
        little = free < ROOM
        todo = f"a model takes {size_text(ROOM)}: free some space, or let HF_HOME point elsewhere"
        yield Finding("cache", "note" if little else "ok", text, todo if little else "")


def models() -> Iterator[Finding]:
    """Check the embedded model, and those of the catalogue of which something is here."""
    try:
        _measure(EMBEDDED_FOLDER)
        more = (
            "" if store.usable(CATALOG[LEARNED]) else "; 'vtg models pull rife' adds learned motion"
        )
        yield Finding("model", "ok", f"tiny and flow are embedded{more}")
    except (VtgError, OSError) as error:
        text = error.message if isinstance(error, VtgError) else _first_line(error)
        again = "pip install --force-reinstall vtg-cli"
        yield Finding("model", "bad", f"tiny is damaged: {text}", again)
    for entry in CATALOG.values():
        copy = store.cached(place_of(entry.name))
        imported = store.imported(entry) if entry.variant else None
        if copy is None and imported is None:
            continue
        fetch = f"vtg models pull {entry.name}"
        if imported is None and copy is not None and copy.lacking:
            text = f"{entry.name} is not complete: it lacks {layout.listed(copy.lacking)}"
            yield Finding("model", "note", text, fetch)
        elif entry.variant and imported is None:
            yield Finding("model", "note", f"{entry.name} is here, not imported yet", fetch)
        elif entry.kind in ("model", "engine"):
            folder = imported or copy.folder  # type: ignore[union-attr]
            yield _whole(entry.name, folder, fetch)
        else:
            yield Finding("model", "ok", f"{entry.name} is here")


def _measure(folder: Path) -> None:
    """Read the headers of a model's files. Raise WeightsError or OSError for what is damaged."""
    if is_engine(folder):
        sizes.shapes_in(folder / layout.NETWORK)
    else:
        model_of(folder).parts(folder)


def _whole(name: str, folder: Path, fetch: str) -> Finding:
    try:
        _measure(folder)
    except (VtgError, OSError) as error:
        text = error.message if isinstance(error, VtgError) else _first_line(error)
        return Finding(
            "model", "note", f"{name}: {text}", f"vtg models verify {name}, then {fetch}"
        )
    total = sum(file.stat().st_size for file in layout.used_files(folder))
    return Finding("model", "ok", f"{name} is complete, {size_text(total)}")


def reach() -> Iterator[Finding]:
    """Check whether models can be fetched; what is here runs without."""
    if hub.offline():
        yield Finding("hub", "ok", "not asked: HF_HUB_OFFLINE is set")
        return
    place, obstacle = hub.reachable()
    if not obstacle:
        yield Finding("hub", "ok", f"{place} answers")
    else:
        todo = "what is here runs without; to fetch models see HF_ENDPOINT and the proxy's settings"
        yield Finding("hub", "note", f"{place} does not answer: {obstacle}", todo)


def extras() -> Iterator[Finding]:
    """Check what some commands need beside."""
    for extra, (module, purpose) in EXTRAS.items():
        if find_spec(module) is None:
            todo = f"for {purpose}: pip install 'vtg-cli[{extra}]'"
            yield Finding(extra, "note", "is not installed", todo)
        else:
            yield Finding(extra, "ok", _version(module.replace("_", "-")))


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    *(encoding, networks, devices, memory, caches, models, reach, extras),
)


def _said(program: str, option: str) -> str:
    """Return what ffmpeg prints. Raise SubprocessError if it fails or hangs."""
    done = subprocess.run(
        [program, "-hide_banner", option] if option != "-version" else [program, option],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=20,
        check=True,
    )
    return done.stdout


def _version(name: str) -> str:
    """Return the version of an installed distribution, "" if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
