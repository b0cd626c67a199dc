"""Real windows of nine frames: every engine draws what lies between, and the truth is known.

    python benchmarks/bench_real.py WINDOWS --out benchmarks/results/real.md --strips out/strips

WINDOWS holds a folder for each, with 0.jpg to 8.jpg. Given the first and the last frame, frames 2,
4 and 6 are scored (gap 8); given each two that have one between them, that one (gap 2). PSNR, SSIM
and HaarPSI of the whole frame, and of what moves unlike the camera: where the truth differs from
either given frame after the dominant homography (PSNR over those pixels, the other two in the box
around them). The largest step is the largest of the four differences between frames 0, 2, 4, 6 and
8, as a share of all four: 0.25 is even, and the truth's stands beside it. Seconds are CPU time for
each frame drawn.

rife and tiny+rife need `vtg models pull rife`. Tables go to stderr, the last line of stdout is
JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from bench_embedded import (
    TINY,
    Engine,
    Picture,
    Quality,
    cpu_seconds,
    engine,
    perceptual,
    psnr,
    rounded,
    sharpness,
    strips,
    table,
    tiny,
)
from numpy.typing import NDArray

from vtg_cli.evaluation.baselines import crossfade, minterpolate
from vtg_cli.media.image import read_image
from vtg_cli.media.sheet import save_png
from vtg_cli.weights import store
from vtg_cli.weights.catalog import EMBEDDED_FOLDER

Mask = NDArray[np.bool_]
ENGINES = ("cross-fade", "minterpolate", "flow", "tiny", "rife", "tiny+rife")
SCORED = (2, 4, 6)
DIFFERS, BLUR, AROUND = 24, 2.0, 9
"""Of 255, after blurring so many pixels: what moves unlike the camera; pixels taken in around."""
LEAST = 32
"""Pixels along the side of the box around what moves, from which it is scored."""


def windows(folder: Path) -> Iterator[tuple[str, Picture]]:
    """Name and frames [9, H, W, 3] of every window."""
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        yield place.name, np.stack([read_image(str(place / f"{i}.jpg"))[..., :3] for i in range(9)])


def rife() -> Engine:
    from vtg_cli.flow.rife.weights import load

    network = load(store.resolve("rife").folder, device="cpu")
    return lambda first, last, frames: network.in_between(
        first, last, [i / (frames - 1) for i in range(frames)]
    )


def engine_of(name: str) -> Engine:
    if name == "rife":
        return rife()
    if name == "tiny":
        return engine("gi", EMBEDDED_FOLDER)
    if name == "tiny+rife":
        return tiny(EMBEDDED_FOLDER, *TINY["gi"], store.resolve("rife").folder)
    simple: dict[str, Engine] = {"cross-fade": crossfade, "minterpolate": minterpolate}
    return simple.get(name) or engine(name, EMBEDDED_FOLDER)


def camera(source: Picture, target: Picture) -> NDArray[np.float64]:
    """The homography that most of a picture follows to another, or the identity."""
    sift = cv2.SIFT.create(3000)
    (a, first), (b, last) = (
        sift.detectAndCompute(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), None) for x in (source, target)
    )
    if first is None or last is None or len(first) < 8 or len(last) < 8:
        return np.eye(3)
    near = cv2.BFMatcher().knnMatch(first, last, k=2)
    good = [m for m, *other in near if other and m.distance < 0.75 * other[0].distance]
    if len(good) < 8:
        return np.eye(3)
    ends = (
        np.float32([a[m.queryIdx].pt for m in good]),
        np.float32([b[m.trainIdx].pt for m in good]),
    )
    found, _ = cv2.findHomography(*ends, cv2.RANSAC, 3.0)
    return np.eye(3) if found is None else found


def moving(truth: Picture, given: Sequence[Picture]) -> Mask:
    """Where a frame differs from one of the given ones after the camera's motion, [H, W]."""
    height, width = truth.shape[:2]
    mask = np.zeros((height, width), bool)
    blurred = cv2.GaussianBlur(truth, (0, 0), BLUR).astype(int)
    for other in given:
        way = camera(other, truth)
        moved = cv2.warpPerspective(other, way, (width, height))
        seen = cv2.warpPerspective(np.ones((height, width), np.uint8), way, (width, height)) > 0
        apart = np.abs(cv2.GaussianBlur(moved, (0, 0), BLUR).astype(int) - blurred).max(-1)
        mask |= (apart > DIFFERS) & seen
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (AROUND, AROUND))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc)
    return cv2.dilate(opened, disc) > 0


def scores(
    drawn: Picture, truth: Picture, mask: Mask, qualities: Mapping[str, Quality]
) -> dict[str, float]:
    """Of one frame [H, W, 3], whole and where it moves."""
    found = {name: q(drawn[None], truth[None]) for name, q in qualities.items()}
    if not mask.any():
        return found
    found["moving_psnr"] = psnr(drawn[mask], truth[mask])
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    if min(drawn[box].shape[:2]) >= LEAST:
        more = {f"moving_{name}": q for name, q in qualities.items() if name != "psnr"}
        found |= {name: q(drawn[box][None], truth[box][None]) for name, q in more.items()}
    return found


def largest_step(clip: Picture) -> float:
    """Of frames 0, 2, 4, 6, 8."""
    steps = [np.abs(b.astype(float) - a).mean() for a, b in pairwise(clip[::2])]
    return float(max(steps) / max(sum(steps), 1e-9))


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def wide(
    clip: Picture, draw: Engine, masks: Sequence[Mask], qualities: Mapping[str, Quality]
) -> tuple[dict[str, float], Picture]:
    """Gap 8 of a window: its scores, and the nine frames drawn."""
    begin = cpu_seconds()
    drawn = draw(clip[0], clip[8], 9)
    spent = (cpu_seconds() - begin) / 7
    rows = [
        scores(drawn[k], clip[k], mask, qualities) for k, mask in zip(SCORED, masks, strict=True)
    ]
    found = means(rows) | {
        "sharpness": sharpness(drawn[4], clip[0], clip[8]),
        "step": largest_step(drawn),
        "truth_step": largest_step(clip),
        "seconds": spent,
    }
    return found, drawn


def narrow(
    clip: Picture, draw: Engine, masks: Sequence[Mask], qualities: Mapping[str, Quality]
) -> dict[str, float]:
    """Gap 2 of a window."""
    rows = []
    for k, mask in zip((1, 3, 5, 7), masks, strict=True):
        drawn = draw(clip[k - 1], clip[k + 1], 3)[1]
        rows.append(scores(drawn, clip[k], mask, qualities))
    return means(rows)


COLUMNS = {
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 4),
    "haarpsi": ("HaarPSI", 4),
    "moving_psnr": ("moving PSNR", 2),
    "moving_ssim": ("moving SSIM", 4),
    "moving_haarpsi": ("moving HaarPSI", 4),
    "sharpness": ("sharpness", 3),
    "step": ("largest step", 3),
    "seconds": ("CPU s a frame", 2),
}


def report(found: Mapping[str, Mapping[str, Mapping[str, dict[str, float]]]]) -> Iterator[str]:
    """found: gap -> engine -> window -> scores. Tables of means, then of every window."""
    for gap, engines in found.items():
        summaries = {name: means([*rows.values()]) for name, rows in engines.items()}
        shown = [key for key in COLUMNS if any(key in each for each in summaries.values())]
        lines = [["engine", *(COLUMNS[key][0] for key in shown)]]
        for name, each in summaries.items():
            lines.append([name, *(f"{each[key]:.{COLUMNS[key][1]}f}" for key in shown)])
        count = len(next(iter(engines.values())))
        yield table(f"{gap}: means of {count} windows", lines)
        if "step" in shown:
            truth = next(iter(summaries.values()))["truth_step"]
            yield f"The truth's largest step: {truth:.3f}.\n"
        each_window = [["PSNR / HaarPSI of", *engines]]
        for window in next(iter(engines.values())):
            cells = (engines[name][window] for name in engines)
            each_window.append(
                [window, *(f"{c['psnr']:.2f} / {c.get('haarpsi', 0):.3f}" for c in cells)]
            )
        yield table(f"{gap}: each window", each_window)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("windows", type=Path)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--gaps", default="8,2")
    parser.add_argument("--out", type=Path, help="the tables as a file")
    parser.add_argument("--strips", type=Path, help="a folder for a picture of each window")
    args = parser.parse_args(arguments)
    names, gaps = args.engines.split(","), args.gaps.split(",")
    qualities: dict[str, Quality] = {"psnr": psnr, **perceptual()}
    draws = {name: engine_of(name) for name in names}
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {
        f"gap {gap}": {name: {} for name in names} for gap in gaps
    }
    text = ""
    for window, clip in windows(args.windows):
        shown = {"truth": clip}
        if "8" in gaps:
            masks = [moving(clip[k], (clip[0], clip[8])) for k in SCORED]
            for name, draw in draws.items():
                found["gap 8"][name][window], shown[name] = wide(clip, draw, masks, qualities)
        if "2" in gaps:
            masks = [moving(clip[k], (clip[k - 1], clip[k + 1])) for k in (1, 3, 5, 7)]
            for name, draw in draws.items():
                found["gap 2"][name][window] = narrow(clip, draw, masks, qualities)
        if args.strips is not None and "8" in gaps:
            args.strips.mkdir(parents=True, exist_ok=True)
            save_png(args.strips / f"{window}.png", strips([(window, shown)], [*shown], 5))
        text = "\n".join(report(found))
        if args.out is not None:  # after each: a run takes long
            args.out.write_text(f"# Real windows of nine frames\n\n{text}", encoding="utf-8")
        print(f"{window} done", file=sys.stderr)
    print(text, file=sys.stderr)
    print(json.dumps(rounded(found)))


if __name__ == "__main__":
    main()
