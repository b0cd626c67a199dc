"""The clips a model is trained on: a folder, a manifest of `vtg data scan`, or rendered ones.

Clip number i of a run follows from the seed and i alone: clips come in another order in every
epoch, and of each a window is taken that starts anywhere. Clips that cannot be used are named and
left out; if none is left, that is an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import MediaError, UsageError, VtgError
from vtg_cli.ground import documents
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.media.image import fit, sha256_of
from vtg_cli.media.sequence import SUFFIXES
from vtg_cli.training.scenes import HELD_OUT_SEEDS, render_clip

PROCEDURAL = "procedural"
RENDERED = 1000
"""Rendered clips by default."""
HELD_OUT = 0.1
"""Share of the clips that is never trained on, at most."""
VIDEO = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".y4m", ".mpg", ".ts"}
Frames = NDArray[np.uint8]
OnNote = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Window:
    """What is taken of a clip: `frames` frames, every `stride`-th of its own, fitted to a size.

    size: (height, width); how: "crop", "stretch" or "pad", as media.image.fit
    """

    frames: int
    stride: int
    size: tuple[int, int]
    how: str = "crop"

    @property
    def length(self) -> int:
        """Return the frames of the clip that a window spans."""
        return (self.frames - 1) * self.stride + 1


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A clip that can be trained on.

    count: its frames from `first` on; sha256: of its file, "" until it is asked for
    """

    path: Path
    count: int
    first: int = 0
    caption: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A window of a clip: uint8 [F, H, W, 3], its caption, its name and first frame; the entry it
    is of, None for a rendered one.
    """

    frames: Frames
    caption: str
    name: str
    first: int
    entry: Entry | None = None


class Files:
    """Clips in files. take(i): window i of the endless stream; held(i): of those kept apart."""

    def __init__(
        self, entries: Sequence[Entry], window: Window, *, seed: int, held: int, note: OnNote
    ) -> None:
        self.window, self._seed, self._note = window, seed, note
        order = np.random.default_rng([seed, 1]).permutation(len(entries))
        shuffled = [entries[i] for i in order]
        self.held_out, self.entries = shuffled[:held], shuffled[held:]
        self._bad: set[Path] = set()

    def __len__(self) -> int:
        return len(self.entries)

    def take(self, index: int) -> Taken:
        """Return window `index`; a clip that cannot be read is named once and passed over."""
        epoch, place = divmod(index, len(self.entries))
        order = np.random.default_rng([self._seed, 2, epoch]).permutation(len(self.entries))
        start = np.random.default_rng([self._seed, 3, index]).uniform()
        for k in range(len(self.entries)):
            entry = self.entries[order[(place + k) % len(self.entries)]]
            try:
                return self._window(entry, float(start))
            except MediaError as error:
                if entry.path not in self._bad:
                    self._bad.add(entry.path)
                    self._note(f"{error.message}: passed over")
        raise MediaError("no clip can be read any more", subject=str(self.entries[0].path))

    def held(self, index: int) -> Taken:
        """Return the middle window of a clip that is never trained on, or of one of the others
        where there are too few clips to keep any apart."""
        chosen = self.held_out or self.entries
        return self._window(chosen[index % len(chosen)], 0.5)

    def identity(self) -> str:
        """Return a hash over all clips and what is taken of them."""
        clips = [
            [entry.sha256 or sha256_of_clip(entry.path), entry.first, entry.count, entry.caption]
            for entry in (*self.held_out, *self.entries)
        ]
        return _hash(["files", self.window.frames, self.window.stride, clips])

    def _window(self, entry: Entry, start: float) -> Taken:
        window = self.window
        first = entry.first + int(start * (entry.count - window.length + 1))
        frames = read_frames(entry.path, first, window.length)[:: window.stride]
        if len(frames) < window.frames:
            raise MediaError(f"{entry.path} ends before frame {first + window.length}")
        fitted = [fit(frame, *window.size, window.how) for frame in frames]
        return Taken(
            frames=np.stack(fitted),
            caption=entry.caption,
            name=str(entry.path),
            first=first,
            entry=entry,
        )


class Rendered:
    """Clips that training.scenes renders; those held out are of textures not trained on."""

    def __init__(self, count: int, window: Window, *, seed: int) -> None:
        self.window, self._count, self._seed = window, count, seed

    def __len__(self) -> int:
        return self._count

    def take(self, index: int) -> Taken:
        """Return window `index` of the endless stream."""
        epoch, place = divmod(index, self._count)
        order = np.random.default_rng([self._seed, 2, epoch]).permutation(self._count)
        number = int(np.random.default_rng([self._seed, int(order[place])]).integers(2**40))
        return self._rendered(number, "mixed")

    def held(self, index: int) -> Taken:
        """Return a clip that is never trained on."""
        return self._rendered(HELD_OUT_SEEDS + index, "held-out")

    def identity(self) -> str:
        """Return a hash over what is rendered."""
        return _hash([PROCEDURAL, self._count, self._seed, self.window.frames])

    def _rendered(self, number: int, family: str) -> Taken:
        frames = render_clip(number, self.window.frames, self.window.size, family)
        return Taken(frames=frames, caption=family, name=f"{PROCEDURAL}:{number}", first=0)


Source = Files | Rendered


def open_source(data: str, window: Window, *, seed: int, note: OnNote) -> Source:
    """Return the clips that DATA names: a folder, a manifest.jsonl, or procedural[:COUNT].

    Raises UsageError for what names none, MediaError if not one clip can be used.
    """
    if data.partition(":")[0] == PROCEDURAL:
        count = data.partition(":")[2] or str(RENDERED)
        if not count.isdecimal() or not int(count):
            raise UsageError(
                f"{data} names no number of clips", f"such as {PROCEDURAL}:100", subject=data
            )
        return Rendered(int(count), window, seed=seed)
    path = Path(data).expanduser()
    listed = entries_of_manifest(path) if path.is_file() else entries_of_folder(path, note)
    entries = [entry for entry in listed if entry.count >= window.length]
    short = len(listed) - len(entries)
    for entry in listed:
        if entry not in entries:
            note(f"{entry.path} has {entry.count} frames of {window.length} that are wanted")
    if short and entries:
        note(f"{short} of {len(listed)} clips are too short and left out")
    if not entries:
        raise MediaError(
            f"{data} holds no clip of {window.length} frames",
            "--frames and --stride say how many are wanted, 'vtg data scan' what is there",
            subject=data,
        )
    held = min(max(1, round(HELD_OUT * len(entries))), 16) if len(entries) > 4 else 0
    return Files(entries, window, seed=seed, held=held, note=note)


def entries_of_folder(folder: Path, note: OnNote) -> list[Entry]:
    """Return the clips in a folder and those below, each read once; broken ones are told."""
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is no folder of clips, no manifest and not {PROCEDURAL}",
            "vtg data scan SOURCES -o manifest.jsonl makes a manifest",
            subject=str(folder),
        )
    entries, broken = [], 0
    for path in clips_below(folder):
        try:
            count = sum(1 for _ in _frames(path))
            entries.append(Entry(path=path, count=count, caption=caption_beside(path)))
        except VtgError as error:
            broken += 1
            note(error.message)
    if broken and entries:
        note(f"{broken} of {broken + len(entries)} clips cannot be read and are left out")
    if not entries:
        raise MediaError(f"there is no clip in {folder} that can be read", subject=str(folder))
    return entries


def entries_of_manifest(file: Path) -> list[Entry]:
    """Return the clips that a manifest keeps. Raise MediaError for what is no manifest."""
    entries = []
    with documents.reading(file, MediaError, "vtg data scan makes a manifest", "is no manifest"):
        for line in documents.content_of(file).splitlines():
            row = documents.json_object(line)
            if row.get("kept", True):
                path = Path(row["path"])
                entries.append(
                    Entry(
                        path=path if path.is_absolute() else file.parent / path,
                        count=documents.whole_number(row["frames"], "frames", 1 << 40),
                        first=int(row.get("first", 0)),
                        caption=str(row.get("caption", "")),
                        sha256=str(row.get("sha256", "")),
                    )
                )
    if not entries:
        raise MediaError(f"{file} keeps no clip", "choose other limits", subject=str(file))
    return entries


def clips_below(folder: Path) -> list[Path]:
    """Return clips in a folder and those below: videos, and folders of numbered pictures."""
    found: list[Path] = []
    for place in sorted([folder, *(each for each in folder.rglob("*") if each.is_dir())]):
        files = sorted(each for each in place.iterdir() if each.is_file())
        found += [file for file in files if file.suffix.lower() in VIDEO]
        if sum(file.suffix.lower() in SUFFIXES for file in files) > 1:
            found.append(place)
    return sorted(found)


def caption_beside(path: Path) -> str:
    """Return the caption beside a clip: the text of NAME.txt or "caption" of NAME.json, or ""."""
    text, document = path.with_suffix(".txt"), path.with_suffix(".json")
    if text.is_file():
        with documents.reading(text, MediaError):
            return documents.content_of(text).decode().strip()
    if document.is_file():
        with documents.reading(document, MediaError):
            return str(documents.json_file(document).get("caption", "")).strip()
    return ""


def read_frames(path: Path, first: int, count: int) -> list[Frames]:
    """Read `count` frames from `first` on, or as many as there are. Raise MediaError."""
    return list(islice(_frames(path), first, first + count))


def sha256_of_clip(path: Path) -> str:
    """Return a hash of a clip's file, or of all pictures of its folder."""
    if not path.is_dir():
        return sha256_of(path)
    return _hash([[each.name, sha256_of(each)] for each in sorted(path.iterdir())])


def with_hashes(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries with the hashes of their files."""
    return [replace(each, sha256=each.sha256 or sha256_of_clip(each.path)) for each in entries]


def _frames(path: Path) -> Iterator[Frames]:
    with open_clip(Input(path=str(path))) as clip:
        for frame in clip.frames():
            yield frame.pixels


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
