"""The choice of the model: the one asked for, or the best one that is here and that this machine
can run.

Nothing is ever downloaded. torch is imported only to ask it about a GPU, where one may be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vtg_cli.backbones import footprint
from vtg_cli.backbones.base import Spec, model_of, spec_of
from vtg_cli.ground import documents
from vtg_cli.ground.units import size_text
from vtg_cli.machine.cost import Work, fits, on_device
from vtg_cli.machine.hardware import device_name, gpu_memory
from vtg_cli.machine.rungs import AWAY, RUNGS, Rung
from vtg_cli.weights import layout, store
from vtg_cli.weights.catalog import CATALOG, EMBEDDED, FLOW, GUIDED, LEARNED
from vtg_cli.weights.reverse import Reverse
from vtg_cli.weights.store import Source

FLOW_FRAMES, FLOW_FPS = 24, Fraction(24)


@dataclass(frozen=True)
class Choice:
    """A model and the part of the machine that runs it.

    reason: why it was taken, empty where it was asked for
    source, spec: its files and the facts of a diffusion model; flow has neither, an engine of
    learned motion files alone
    device: "cpu", "cuda", "cuda:1", "mps"
    reverse: its reverse-motion weights, if any
    motion: the folder of learned motion that guides it, if any
    """

    name: str
    reason: str
    source: Source | None
    spec: Spec | None
    device: str
    reverse: Reverse | None = None
    motion: Path | None = None

    @property
    def folder(self) -> Path:
        """Return where its files lie. ValueError for flow, which has none."""
        if self.source is None:
            raise ValueError(f"{self.name} has no files")
        return self.source.folder

    @property
    def folders(self) -> dict[str, Path]:
        """Role -> place of all weights that its frames depend on; empty for flow."""
        folders = {"model": self.source.folder} if self.source else {}
        folders |= {"motion": self.motion} if self.motion else {}
        if self.reverse:
            folders["reverse"] = self.reverse.path
            folders |= {"reverse_base": self.reverse.base} if self.reverse.base else {}
        return folders

    @property
    def frames(self) -> int:
        """Default length of a segment."""
        return self.spec.frames if self.spec else FLOW_FRAMES

    @property
    def fps(self) -> Fraction:
        """Default frames a second."""
        return self.spec.fps if self.spec else FLOW_FPS


def choose(model: str, device: str, rungs: Sequence[Rung] = RUNGS) -> Choice:
    """Choose the model of a job. rungs: of the memory ladder that it may use.

    Raises WeightsError if it is not on this machine, UsageError for an unknown name.
    """
    if model == "auto":
        return _best(device, rungs)
    if model == FLOW:
        return Choice(FLOW, "", None, None, "cpu")
    if model == GUIDED:
        return _guided("", device)
    source = store.resolve(model)
    if is_engine(source.folder):
        return Choice(source.name, "", source, None, device_name(device))
    return _diffusion(source, "", device)


def between_frames(device: str) -> Choice:
    """Choose what draws between the frames of a clip by default."""
    entry = CATALOG[LEARNED]
    if store.usable(entry):
        return replace(choose(LEARNED, device), reason="made for frames that follow each other")
    size = size_text(round(entry.gb * 1e9))
    reason = f"{LEARNED}, which is better, is not here: 'vtg models pull {LEARNED}', {size}"
    return replace(choose(FLOW, device), reason=reason)


def is_engine(folder: Path) -> bool:
    """Return whether a model folder holds an engine of learned motion, not a diffusion model."""
    try:
        index = documents.json_file(folder / layout.INDEX)
    except (OSError, ValueError):  # which is told by who reads its facts
        return False
    return isinstance(index, dict) and index.get("_class_name") == layout.RIFE


def _best(device: str, rungs: Sequence[Rung]) -> Choice:
    names = store.available()
    if not names:
        reason = "no larger model on this machine ('vtg models list' shows what there is)"
        return _embedded(reason, device)
    best = names[-1]  # the catalogue goes from the least to the most capable
    if device == "cpu":
        reason = f"{best} is here, but --device cpu rules it out ('--model {best}' insists)"
        return _embedded(reason, device)
    where = "this machine" if device == "auto" else device
    obstacle = ""
    for name in reversed(names):
        source = store.resolve(name)
        rung, lacking = _least(source, device_name(device), rungs)
        if rung is not None:
            how = f", by --memory {rung.name}" if rung.name in AWAY else ""
            return _diffusion(source, f"the best one here that {where} can run{how}", device)
        obstacle = obstacle or lacking
    return _embedded(f"{best} is here, but {obstacle} ('--model {best}' tries it anyway)", device)


def _least(source: Source, device: str, rungs: Sequence[Rung]) -> tuple[Rung | None, str]:
    """Return the first rung at which the device can run a model at its native size in half
    precision, with both directions of time and guidance; or None, and what stands against it.
    """
    if device == "cpu":
        return None, "there is no GPU to run it on"
    spec, room = spec_of(source.folder), gpu_memory(device)
    if room is None:
        return rungs[0], ""
    model = footprint.in_memory(source.folder, footprint.ITEM["fp16"], spec.factor)
    side = round((spec.area or 0) ** 0.5)
    work = Work(
        rates=model_of(source.folder).rates,
        device=device,
        segments=(spec.frames,),
        drawn=(spec.frames,),
        size=(side, side),
        canvas=(side, side),
        model=model,
        batch=2,
        terms=2,
        item=footprint.ITEM["fp16"],
    )
    for rung in rungs:
        work = replace(work, rung=rung)
        if fits(work, room.total, room.total):
            return rung, ""
    return None, (
        f"at --memory {rungs[-1].name} it wants about {size_text(on_device(work))} of GPU memory "
        f"and there are {size_text(room.total)}"
    )


def _embedded(reason: str, device: str) -> Choice:
    entry = CATALOG[LEARNED]
    if store.usable(entry):
        return _guided(reason, device)
    size = size_text(round(entry.gb * 1e9))
    reason += f"; 'vtg models pull {LEARNED}', {size}, would add learned motion"
    return _diffusion(store.resolve(EMBEDDED), reason, device)


def _guided(reason: str, device: str) -> Choice:
    motion = store.resolve(LEARNED).folder
    return replace(_diffusion(store.resolve(EMBEDDED), reason, device), name=GUIDED, motion=motion)


def _diffusion(source: Source, reason: str, device: str) -> Choice:
    spec = spec_of(source.folder)
    return Choice(source.name, reason, source, spec, device_name(device))
