"""Which model draws: the one asked for, or the best one that is here and that this machine can run.

Nothing is ever downloaded. torch is imported only to ask it about a GPU, where one may be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vtg_cli.backbones.base import Spec, spec_of
from vtg_cli.hardware import device_name
from vtg_cli.weights import store
from vtg_cli.weights.catalog import CATALOG, EMBEDDED
from vtg_cli.weights.entry import Entry
from vtg_cli.weights.store import Source

FLOW = "flow"
FLOW_FRAMES, FLOW_FPS = 24, Fraction(24)


@dataclass(frozen=True)
class Choice:
    """A model and the machine's part that runs it.

    reason: why it was taken, empty where it was asked for
    source, spec: its files and facts; None for flow, which has neither
    device: "cpu", "cuda", "cuda:1", "mps"
    """

    name: str
    reason: str
    source: Source | None
    spec: Spec | None
    device: str

    @property
    def frames(self) -> int:
        """Length of a segment where nothing is said."""
        return self.spec.frames if self.spec else FLOW_FRAMES

    @property
    def fps(self) -> Fraction:
        """Frames a second where nothing is said."""
        return self.spec.fps if self.spec else FLOW_FPS


def choose(model: str, device: str) -> Choice:
    """The model of a job. WeightsError where it is not on this machine, UsageError for no name."""
    if model == "auto":
        return _best(device)
    if model == FLOW:
        return Choice(FLOW, "", None, None, "cpu")
    return _diffusion(store.resolve(model), "", device)


def _best(device: str) -> Choice:
    names = store.available()
    if not names:
        reason = "no larger model on this machine ('vtg models list' shows what there is)"
        return _embedded(reason, device)
    best = names[-1]  # the catalogue goes from the least to the most capable
    if device == "cpu":
        reason = f"{best} is here, but --device cpu rules it out ('--model {best}' insists)"
        return _embedded(reason, device)
    for name in reversed(names):
        obstacle = _obstacle(CATALOG[name], device)
        if not obstacle:
            where = "this machine" if device == "auto" else device
            return _diffusion(
                store.resolve(name), f"the best one here that {where} can run", device
            )
    return _embedded(f"{best} is here, but {obstacle} ('--model {best}' tries it anyway)", device)


def _obstacle(entry: Entry, device: str) -> str:
    """Why the device cannot run a model; empty where it can."""
    chosen = device_name(device)
    if chosen == "cpu":
        return "there is no GPU to run it on"
    if chosen.startswith("cuda") and entry.min_vram_gb is not None:
        import torch

        gb = torch.cuda.get_device_properties(chosen).total_memory / 1e9
        if gb < entry.min_vram_gb:
            return f"it wants about {entry.min_vram_gb:g} GB of GPU memory and there are {gb:.0f}"
    return ""


def _embedded(reason: str, device: str) -> Choice:
    return _diffusion(store.resolve(EMBEDDED), reason, device)


def _diffusion(source: Source, reason: str, device: str) -> Choice:
    spec = spec_of(source.folder)
    return Choice(source.name, reason, source, spec, device_name(device))
