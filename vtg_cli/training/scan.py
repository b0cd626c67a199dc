"""Choose clips for training: a manifest with a row for every shot, its measures and why it is out.

The row of a shot that is kept is what training.source reads: path, first, frames, caption, sha256.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vtg_cli.errors import MediaError, UsageError, VtgError
from vtg_cli.ground import temporary
from vtg_cli.media.sheet import contact_sheet, save_png
from vtg_cli.training.shots import Detector, Look, Picture, Shot, look_through
from vtg_cli.training.source import caption_beside, clips_below, sha256_of_clip

ALIKE = 4
"""Bits of 64 in which the marks of near duplicates differ at most."""
OnClip = Callable[[float, str], None]
Describe = Callable[[Sequence[Picture]], str]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a shot must have to be kept; the measures are those of training.shots.

    frames: at least; side: pixels of the shorter side, at least; fps: at least
    motion: percent of the longer side, least and most
    bars: share of the picture in bars, at most; text: share with lettering, at most
    """

    frames: int = 27
    side: int = 0
    fps: float = 0.0
    motion: tuple[float, float] = (0.05, 20.0)
    clarity: float = 0.0
    consistency: float = 0.2
    repeated: float = 0.5
    bars: float = 0.02
    text: float = 1.0
    duplicates: bool = False


@dataclass(frozen=True)
class Scan:
    """A scan: a row for every shot or clip, and a small picture of every shot that is kept."""

    rows: tuple[dict[str, Any], ...]
    pictures: tuple[Picture, ...]

    @property
    def kept(self) -> int:
        """Number of shots that are kept."""
        return sum(row["kept"] for row in self.rows)

    def reasons(self) -> list[tuple[str, int]]:
        """Return why shots are out, the most frequent first, with their numbers."""
        return Counter(
            why.partition(":")[0] for row in self.rows for why in row["why"]
        ).most_common()


def scan(
    sources: Sequence[str],
    limits: Limits,
    *,
    detector: Detector = "adaptive",
    describe: Describe | None = None,
    progress: OnClip = lambda *_: None,
) -> Scan:
    """Look through clips and folders of clips. describe: captions a shot by its pictures.

    Raises UsageError if there is nothing to look through.
    """
    paths = [path for source in sources for path in _paths(source)]
    rows: list[dict[str, Any]] = []
    pictures: list[Picture] = []
    marks: dict[int, str] = {}
    for n, path in enumerate(paths):
        progress(n / len(paths), path.name)
        try:
            look = look_through(path, detector)
        except VtgError as error:
            why = f"cannot be read: {error.message}"
            rows.append({"path": str(path), "frames": 0, "kept": False, "why": [why]})
            continue
        caption, digest = caption_beside(path), sha256_of_clip(path)
        if not look.shots:
            why = "empty: nothing but black, white or fades"
            rows.append({"path": str(path), "frames": 0, "kept": False, "why": [why]})
        for shot in look.shots:
            why_not = list(_why_not(look, shot, limits))
            twin = next((name for mark, name in marks.items() if _near(mark, shot.mark)), None)
            if twin is not None and not limits.duplicates:
                why_not.append(f"duplicate: of {twin}")
            row = _row(path, look, shot, digest) | {"kept": not why_not, "why": why_not}
            if not why_not:
                marks[shot.mark] = f"{path.name} from frame {shot.first}"
                pictures.append(shot.middle)
                row["caption"] = caption or (describe([shot.middle]) if describe else "")
            rows.append(row)
    progress(1.0, "done")
    return Scan(tuple(rows), tuple(pictures))


def write(found: Scan, manifest: Path, *, overwrite: bool = False) -> None:
    """Write the manifest, a row a line, whole or not at all.

    Raises UsageError if the file exists, MediaError if no shot is kept: then it tells why.
    """
    if manifest.exists() and not overwrite:
        raise UsageError(f"{manifest} exists", "--overwrite replaces it", subject=str(manifest))
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows)
    temporary.write(manifest, text.encode())
    if not found.kept:
        reasons = ", ".join(f"{why} ({count})" for why, count in found.reasons())
        raise MediaError(f"no shot is kept: {reasons}", f"see {manifest}", subject=str(manifest))


def write_sheet(found: Scan, picture: Path) -> None:
    """Write a contact sheet of shots that are kept, at most 24 of them."""
    if found.pictures:
        sides = {p.shape for p in found.pictures}
        height = max(side[0] for side in sides)
        width = max(side[1] for side in sides)
        framed = [_framed(p, height, width) for p in found.pictures]
        save_png(picture, contact_sheet(framed))


def write_histograms(found: Scan, picture: Path) -> None:
    """Write histograms of all measures, of shots kept and left out. UsageError without matplotlib
    (the extra `train`).
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "--histograms needs matplotlib", "pip install 'vtg-cli[train]'", subject="--histograms"
        ) from None
    names = ("frames", "motion", "clarity", "consistency", "repeated", "bars", "text")
    rows = [row for row in found.rows if "motion" in row]
    figure = Figure(figsize=(14, 6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(2, 4).flat, names, strict=False):
        values = [[row[name] for row in rows if row["kept"] is kept] for kept in (True, False)]
        axes.hist(values, bins=20, stacked=True, label=["kept", "left out"])
        axes.set(title=name, ylabel="shots")
        if name == "frames":
            axes.legend(frameon=False)
    draft = temporary.Draft(picture)
    try:
        figure.savefig(draft.path, dpi=80, format="png")
        draft.publish(overwrite=True)
    finally:
        draft.close()


def _paths(source: str) -> list[Path]:
    path = Path(source).expanduser()
    found = clips_below(path) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"there is no clip in {path}", "name clips or folders", subject=source)
    return found


def _row(path: Path, look: Look, shot: Shot, digest: str) -> dict[str, Any]:
    height, width = look.size
    top, bottom, left, right = shot.letterbox
    shape = "landscape" if width > height else "portrait" if width < height else "square"
    return {
        "path": str(path.absolute()),
        "first": shot.first,
        "frames": shot.frames,
        "faded": shot.faded,
        "fps": round(float(look.fps), 3),
        "width": width,
        "height": height,
        "orientation": shape,
        "motion": round(shot.motion, 4),
        "clarity": round(shot.clarity, 4),
        "consistency": round(shot.consistency, 4),
        "repeated": round(shot.repeated, 4),
        "letterbox": [round(side, 4) for side in shot.letterbox],
        "bars": round(1 - max(0.0, 1 - top - bottom) * max(0.0, 1 - left - right), 4),
        "text": round(shot.text, 4),
        "sha256": digest,
    }


def _why_not(look: Look, shot: Shot, limits: Limits) -> Iterator[str]:
    """Yield the reasons that leave a shot out: a word, and the figure that decides."""
    least, most = limits.motion
    row = _row(Path(), look, shot, "")
    if shot.frames < limits.frames:
        yield f"short: {shot.frames} frames of {limits.frames}"
    if shot.motion < least or shot.repeated > limits.repeated:
        yield f"still: motion {shot.motion:.3g}, {shot.repeated:.0%} of frames repeated"
    elif shot.motion > most:
        yield f"fast: motion {shot.motion:.3g}"
    if row["bars"] > limits.bars:
        yield f"letterbox: {row['bars']:.0%} of the picture"
    if shot.clarity < limits.clarity:
        yield f"blurred: clarity {shot.clarity:.3g}"
    if shot.consistency < limits.consistency:
        yield f"inconsistent: consistency {shot.consistency:.3g}"
    if shot.text > limits.text:
        yield f"text: {shot.text:.0%} of the picture"
    if min(look.size) < limits.side:
        yield f"small: {look.size[1]}x{look.size[0]}"
    if look.fps < limits.fps:
        yield f"slow: {float(look.fps):g} frames a second"


def _near(one: int, other: int) -> bool:
    return (one ^ other).bit_count() <= ALIKE


def _framed(picture: Picture, height: int, width: int) -> Picture:
    framed = np.full((height, width, 3), 255, np.uint8)
    framed[: picture.shape[0], : picture.shape[1]] = picture
    return framed
