"""The models vtg knows by name: where they live, what is fetched, what it costs, on which terms.

Plain facts, one table. Sizes are of the files fetched: half precision, diffusers folders; the 9 GB
single files beside them are left alone. No revision is pinned here: the first pull of a repository
records its commit and every file's sha256, and later pulls must match (weights/trust.py).
Models stand in the order of what they can do, the most capable last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from vtg_cli.errors import UsageError

HUB_ID = re.compile(r"(\w[\w.-]*/\w[\w.-]*)((?:/\w[\w.-]*)*)", re.ASCII)
"""ORG/NAME, and then perhaps a folder or file inside the repository."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One downloadable thing.

    kind: "model" for --model, "reverse" for --reverse; backbone: which code runs it.
    folder: where in the repository the files lie, "" for its root; files: relative to that folder.
    revision: a commit to insist on; None: whatever the first pull finds.
    gb: 10^9 bytes fetched.
    min_vram_gb: an estimate, not measured, for native size, half precision and frames decoded two
    at a time; None for what does not run by itself.
    commercial: "yes", "no" or the condition; terms: the licence in a sentence.
    reverse: the entry with this model's reverse-motion U-Net; base: what that one was tuned from.
    """

    name: str
    kind: str = "model"
    backbone: str = "svd"
    repo_id: str
    folder: str = ""
    files: tuple[str, ...]
    revision: str | None = None
    gb: float
    licence: str
    terms: str
    commercial: str
    gated: bool = False
    frames: int
    height: int = 576
    width: int = 1024
    min_vram_gb: float | None = None
    reverse: str | None = None
    base: str | None = None
    summary: str

    @property
    def page(self) -> str:
        return f"https://huggingface.co/{self.repo_id}"


_SVD_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "feature_extractor/preprocessor_config.json",
    "image_encoder/config.json",
    "image_encoder/model.fp16.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
)
_STABILITY_TERMS = (
    "Free for research and for any use by those earning below US$1M a year; "
    "above that Stability AI sells an enterprise licence."
)
_BELOW_1M = "below US$1M a year"

EMBEDDED = "tiny"
"""The model that comes with the package, and its folder."""
EMBEDDED_FOLDER = Path(__file__).parents[1] / "backbones" / "tiny" / "embedded"

CATALOG: Mapping[str, Entry] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Entry(
                name="svd",
                repo_id="stabilityai/stable-video-diffusion-img2vid",
                files=_SVD_FILES,
                gb=4.51,
                licence="Stability AI Community",
                terms=_STABILITY_TERMS,
                commercial=_BELOW_1M,
                frames=14,
                min_vram_gb=12,
                reverse="svd-reverse",
                summary="Stable Video Diffusion, 14 frames",
            ),
            Entry(
                name="svd-xt",
                repo_id="stabilityai/stable-video-diffusion-img2vid-xt",
                files=_SVD_FILES,
                gb=4.51,
                licence="Stability AI Community",
                terms=_STABILITY_TERMS,
                commercial=_BELOW_1M,
                frames=25,
                min_vram_gb=16,
                reverse="svd-reverse",
                summary="Stable Video Diffusion XT, 25 frames: the usual choice",
            ),
            Entry(
                name="svd-xt-1.1",
                repo_id="stabilityai/stable-video-diffusion-img2vid-xt-1-1",
                files=_SVD_FILES,
                gb=4.51,
                licence="Stability AI Community (SVD 1.1)",
                terms=_STABILITY_TERMS,
                commercial=_BELOW_1M,
                gated=True,
                frames=25,
                min_vram_gb=16,
                reverse="svd-reverse",
                summary="Stable Video Diffusion XT 1.1, tuned for steady motion at 1024x576",
            ),
            Entry(
                name="svd-reverse",
                kind="reverse",
                repo_id="fffiloni/svd_keyframe_interpolation",
                folder="svd_reverse_motion_with_attnflip/unet",
                files=("config.json", "diffusion_pytorch_model.safetensors"),
                gb=6.10,
                licence="Apache-2.0 (mirror), Stability AI Community (what it was tuned from)",
                terms="Tuned from Stable Video Diffusion, so Stability AI's terms bind too. "
                + _STABILITY_TERMS,
                commercial=_BELOW_1M,
                frames=14,
                base="svd",
                summary="Generative Inbetweening's reverse-motion U-Net, tuned from svd",
            ),
        )
    }
)


@dataclass(frozen=True)
class Place:
    """Where on the hub something lies; `inside`: a folder or file of the repository, "" for all."""

    repo_id: str
    inside: str = ""
    entry: Entry | None = None


def place_of(name: str) -> Place:
    """The place of a catalogue name or hub id ORG/NAME[/INSIDE]; UsageError if it is neither."""
    entry = CATALOG.get(name)
    if entry is not None:
        return Place(entry.repo_id, entry.folder, entry)
    match = HUB_ID.fullmatch(name)
    if match is None:
        raise UsageError(f"there is no model called {name!r}", suggestion(name), subject=name)
    return Place(match[1], match[2].lstrip("/"))


def suggestion(name: str) -> str:
    """A hint for a name that is none of ours: the closest one, and all there are."""
    models = [entry.name for entry in CATALOG.values() if entry.kind == "model"]
    close = get_close_matches(name.lower(), [*CATALOG, EMBEDDED, "flow"], n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    known = f"{EMBEDDED} and flow (embedded), {', '.join(models)}"
    return f"{meant}known: {known}; or a folder, or a hub id such as org/name"
