"""The quality check against labelled cases: how its thresholds were chosen, and how it does.

    python benchmarks/bench_quality.py
    python benchmarks/bench_quality.py --plot docs/images/quality_measures.png
    python benchmarks/bench_quality.py --sheet docs/images/quality.jpg

Every source is a moving scene known at any time: rendered scenes of both texture families, the
painted lake, and the example pictures under a moving camera. Its true in-betweens are clean; the
same frames held, cut, mixed or disturbed at several strengths are flawed; and there are real
outputs: of flow and tiny (clean; between unrelated pictures a dissolve is), and of an SVD network
with random weights (flawed, whatever it is called).
Thresholds are chosen on one half of the sources and checked on the other.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import process_time

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli import interpolate
from vtg_cli.flow.engine import in_between, retime
from vtg_cli.job.easing import easing, segment_times
from vtg_cli.media.image import read_image
from vtg_cli.quality.segment import THRESHOLDS, Verdict, judge
from vtg_cli.training.scenes import HELD_OUT_SEEDS, KINDS, render_clip

ROOT = Path(__file__).resolve().parent.parent
RANDOM_SVD = ROOT / "tests" / "data" / "parity" / "tiny_svd"
FRAMES, DENSE = 24, 4  # frames of a case; moments known of each step between two of them
MEASURES = {
    "slideshow": "held",
    "frozen": "paused",
    "flicker": "swing",
    "hard-cut": "jump",
    "cross-fade": "fade",
}

Clip = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """expected: a label, "clean", or "flawed" where any label will do."""

    source: str
    name: str
    expected: str
    frames: Clip
    times: Sequence[float] | None = None


# ----------------------------------------------------------------------------------------- sources
def scenes(count: int, size: tuple[int, int]) -> Iterator[tuple[str, Clip]]:
    """Rendered scenes that move; those that dissolve or morph by design are passed over."""
    seed, found = HELD_OUT_SEEDS + 500, 0
    while found < count:
        seed += 1
        kinds = np.random.default_rng(seed).choice(list(KINDS), p=list(KINDS.values()))
        if kinds == "motion":
            family = ("mixed", "held-out")[found % 2]
            yield f"scene {seed - HELD_OUT_SEEDS}", render_clip(seed, moments(), size, family)
            found += 1


def moments() -> int:
    return DENSE * (FRAMES - 1) + 1


def photographed(name: str, turn: float, zoom: float, pan: float) -> Clip:
    """An example picture under a camera that turns (radians), zooms and pans (share of width)."""
    picture = cv2.resize(read_image(str(ROOT / "examples" / name)), (640, 360))
    frames = []
    for t in np.linspace(-0.5, 0.5, moments()):
        scale = 1.35 * math.exp(zoom * t) / 2
        c, s = scale * math.cos(turn * t), scale * math.sin(turn * t)
        x, y = 320 + 640 * pan * t, 180
        matrix = np.array([[c, -s, 160 - c * x + s * y], [s, c, 96 - s * x - c * y]])
        frames.append(cv2.warpAffine(picture, matrix, (320, 192), flags=cv2.INTER_AREA))
    return np.stack(frames)


def lake() -> Clip:
    spec = importlib.util.spec_from_file_location("paint", ROOT / "scripts" / "make_examples.py")
    assert spec is not None and spec.loader is not None
    paint = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(paint)
    times = np.linspace(0, 1, 13)  # three seconds a picture; the steps between are small
    painted = [cv2.resize(paint.lake(float(t)), (320, 180), interpolation=3) for t in times]
    return retime(np.stack(painted), list(np.linspace(0, 1, moments())))


# ------------------------------------------------------------------------------------------- cases
EVEN = np.linspace(0, 1, FRAMES)


def at(clip: Clip, times: Sequence[float] | NDArray[np.float64]) -> Clip:
    """The known moments nearest to some times."""
    return np.asarray(clip[np.round(np.asarray(times) * (len(clip) - 1)).astype(int)])


def mixed(first: Clip, last: Clip, weights: Sequence[float] | NDArray[np.float64]) -> Clip:
    return np.stack([np.round((1 - w) * first + w * last).astype(np.uint8) for w in weights])


def plus(clip: Clip, change: NDArray[np.float64]) -> Clip:
    return np.clip(np.round(clip + change), 0, 255).astype(np.uint8)


def made(source: str, clip: Clip, other: Clip, seed: int) -> Iterator[Case]:
    """The cases of one source: clip and other known at all moments, [moments, H, W, 3]."""
    rng = np.random.default_rng(seed)
    first, last, truth = clip[0], clip[-1], at(clip, EVEN)
    eased = segment_times(FRAMES, easing("ease-in-out"))
    grain = rng.normal(0, 2, (FRAMES, *first.shape))
    # clean
    yield Case(source, "true", "clean", truth)
    yield Case(source, "true, eased", "clean", at(clip, eased), eased)
    yield Case(source, "true, 9 frames", "clean", at(clip, np.linspace(0, 1, 9)))
    yield Case(source, "true, 5 frames", "clean", at(clip, np.linspace(0, 1, 5)))
    yield Case(source, "true, a third of the motion", "clean", at(clip, (1 + EVEN) / 3))
    yield Case(source, "true, grain of 2", "clean", plus(truth, grain))
    yield Case(source, "dissolve of two scenes", "clean", mixed(first, other[-1], EVEN))
    yield Case(source, "one picture held", "clean", np.stack([first] * FRAMES))
    # flawed
    for share in (0.25, 0.5):
        yield Case(source, f"cut at {share}", "slideshow", mixed(first, last, share < EVEN))
    brief = mixed(first, last, np.clip((EVEN - 0.375) / 0.25, 0, 1))
    yield Case(source, "fade of a quarter", "slideshow", brief)
    yield Case(source, "cut, with grain of 2", "slideshow", plus(brief, grain))
    for pause in (0.4, 0.7):
        a, b = 0.5 - pause / 2, 0.5 + pause / 2
        held = np.interp(EVEN, [0, a, b, 1], [0, 0.5, 0.5, 1])
        yield Case(source, f"held for {pause} of the way", "frozen", at(clip, held))
    late = np.interp(EVEN, [0, 0.6, 1], [0, 0, 1])
    yield Case(source, "starts after 0.6", "frozen", at(clip, late))
    yield Case(source, "first until the last", "frozen", mixed(first, last, EVEN == 1))
    turns = (-1.0) ** np.arange(FRAMES)[:, None, None, None]
    half = np.arange(first.shape[1])[None, None, :, None] < first.shape[1] // 2
    shaky = rng.normal(0, 4, (FRAMES, 1, 1, 1))
    yield Case(source, "brightness +-2", "flicker", plus(truth, 2 * turns))
    yield Case(source, "brightness of half +-5", "flicker", plus(truth, 5 * turns * half))
    yield Case(source, "tint +-4", "flicker", plus(truth, turns * np.array([4.0, 0, -4])))
    yield Case(source, "random brightness, 4", "flicker", plus(truth, shaky))
    middle = FRAMES // 2
    joined = np.concatenate([truth[:middle], at(other, EVEN)[middle:]])
    yield Case(source, "into another scene", "hard-cut", joined)
    for gap in (0.3, 0.6):
        a, b = np.linspace(0, 0.5 - gap / 2, middle), np.linspace(0.5 + gap / 2, 1, middle)
        yield Case(source, f"skips {gap}", "hard-cut", at(clip, [*a, *b]))
    flash = truth.copy()
    flash[7] = other[40]
    yield Case(source, "one foreign frame", "hard-cut", flash)
    yield Case(source, "linear", "cross-fade", mixed(first, last, EVEN))
    yield Case(source, "eased", "cross-fade", mixed(first, last, eased), eased)
    faint = 0.9 * mixed(first, last, EVEN) + 0.1 * truth
    yield Case(source, "nine tenths of it", "cross-fade", plus(faint, np.zeros(1)))


def drawn(source: str, clip: Clip, other: Clip, models: Sequence[str]) -> Iterator[Case]:
    """What models draw between the ends of one source."""
    first, last, times = clip[0], clip[-1], list(EVEN)
    yield Case(source, "flow", "clean", in_between(first, last, times))
    yield Case(source, "flow, unrelated", "clean", in_between(first, other[-1], times))
    for model in models:
        name = "random SVD" if model == str(RANDOM_SVD) else model
        frames = np.stack([*interpolate(first, last, model=model, frames=14)])
        yield Case(source, name, "flawed" if name == "random SVD" else "clean", frames)


# ------------------------------------------------------------------------------------------ result
def found(verdict: Verdict) -> str:
    return verdict.labels[0] if verdict.labels else "clean"


def right(case: Case, verdict: Verdict) -> bool:
    return bool(verdict.labels) if case.expected == "flawed" else found(verdict) == case.expected


def separation(results: Sequence[tuple[Case, Verdict]], label: str) -> tuple[float, float, float]:
    """The largest measure of the clean, the smallest of the flawed, and the threshold between that
    gets most of both right (the middle of the best range).
    """
    name = MEASURES[label]
    values = [
        (float(getattr(verdict.measures, name)), case.expected == label)
        for case, verdict in results
        if case.expected in ("clean", label)
        and verdict.measures is not None
        and not (label == "cross-fade" and "dissolve" in verdict.notes)
        and not (case.name == "one picture held" and label in ("frozen", "cross-fade"))
    ]
    places = sorted({value for value, _ in values})
    middles = [(a + b) / 2 for a, b in pairwise(places)]
    errors = [sum((value >= m) != flawed for value, flawed in values) for m in middles]
    best = [m for m, e in zip(middles, errors, strict=True) if e == min(errors)]
    clean = max(value for value, flawed in values if not flawed)
    return clean, min(value for value, flawed in values if flawed), (best[0] + best[-1]) / 2


def table(results: Sequence[tuple[Case, Verdict]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for case, verdict in results:
        counts.setdefault(case.expected, Counter())[found(verdict)] += 1
    return {expected: dict(row) for expected, row in counts.items()}


def show(title: str, results: Sequence[tuple[Case, Verdict]]) -> None:
    columns = ["clean", *THRESHOLDS]
    counts = table(results)
    print(f"\n{title}: {len(results)} cases\n")
    print("| is | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for expected in [*columns, "flawed"]:
        if expected in counts:
            row = (str(counts[expected].get(name, "")) for name in columns)
            print(f"| {expected} | " + " | ".join(row) + " |")
    for case, verdict in results:
        if not right(case, verdict):
            said = ", ".join(verdict.labels) or "clean"
            print(f"\nwrong: {case.source}, {case.name}: {case.expected}, found {said}")
            print(f"  {verdict.measures}")


SHOWN = {
    "clean": "true",
    "slideshow": "cut at 0.5",
    "frozen": "held for 0.7 of the way",
    "flicker": "brightness of half +-5",
    "hard-cut": "into another scene",
    "cross-fade": "linear",
}


def sheet(out: Path) -> None:
    """One row of seven frames for each label: the first, five around the middle, the last."""
    other = photographed("city.jpg", 0.1, 0.2, 0.1)
    cases = [*made("lake_a, camera", photographed("lake_a.jpg", 0.0, 0.05, -0.2), other, 0)]
    picked = [0, *range(9, 14), FRAMES - 1]
    rows = []
    for name in SHOWN.values():
        frames = next(case.frames for case in cases if case.name == name)
        small = [cv2.resize(frames[i], (192, 115), interpolation=3) for i in picked]
        rows.append(np.concatenate([np.pad(x, ((4, 0), (4, 0), (0, 0))) for x in small], 1))
    cv2.imwrite(str(out), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 78])


def plot(results: Sequence[tuple[Case, Verdict]], out: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(MEASURES), figsize=(12, 2.6))
    for axis, (label, name) in zip(axes, MEASURES.items(), strict=True):
        for height, kind in enumerate((label, "clean")):
            of_kind = [v for case, v in results if case.expected == kind and v.measures]
            x = [getattr(v.measures, name) for v in of_kind if "dissolve" not in v.notes]
            spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(x))
            axis.plot(x, height + spread, ".", markersize=3)
        axis.axvline(THRESHOLDS[label], color="black", linewidth=1)
        axis.set(title=label, xlabel=name, yticks=[0, 1], yticklabels=["flawed", "clean"])
        if label == "hard-cut":
            axis.set_xscale("log")
        if label == "flicker":
            axis.set_xscale("symlog", linthresh=1)
    figure.tight_layout()
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=12, help="rendered ones")
    parser.add_argument("--drawn", type=int, default=3, help="sources tiny and random SVD draw")
    parser.add_argument("--sheet", type=Path, help="only write a picture of every label, .jpg")
    parser.add_argument("--plot", type=Path, help="write the measures beside the thresholds")
    args = parser.parse_args()
    if args.sheet:
        sheet(args.sheet)
        return
    sources = [
        *scenes(args.scenes, (192, 320)),
        ("city, camera", photographed("city.jpg", 0.1, 0.2, 0.1)),
        ("lake_a, camera", photographed("lake_a.jpg", 0.0, 0.05, -0.2)),
        ("lake, painted", lake()),
    ]
    halves: list[list[tuple[Case, Verdict]]] = [[], []]
    spent, judged = 0.0, 0
    for number, (name, clip) in enumerate(sources):
        other = sources[(number + 2) % len(sources)][1]
        if other.shape != clip.shape:
            other = np.stack([cv2.resize(f, clip.shape[2:0:-1]) for f in other])
        models = ["tiny", str(RANDOM_SVD)] if number < 2 * args.drawn and number % 2 else []
        cases = [*made(name, clip, other, number), *drawn(name, clip, other, models)]
        start = process_time()
        verdicts = [judge(case.frames, case.times) for case in cases]
        spent, judged = spent + process_time() - start, judged + len(cases)
        # neighbours differ in family, so both halves have both
        halves[number // 2 % 2] += zip(cases, verdicts, strict=True)
    chosen = {}
    print("| label | measure | clean, at most | flawed, at least | best | used |")
    print("|---|---|---:|---:|---:|---:|")
    for label, used in THRESHOLDS.items():
        clean, flawed, best = separation(halves[0], label)
        chosen[label] = round(best, 3)
        print(f"| {label} | {MEASURES[label]} | {clean:.2f} | {flawed:.2f} | {best:.2f} | {used} |")
    for title, half in zip(("Chosen on", "Checked on"), halves, strict=True):
        show(title, half)
    if args.plot:
        plot([*halves[0], *halves[1]], args.plot)
    milliseconds = 1000 * spent / judged
    print(f"\n{judged} segments of up to {FRAMES} frames: {milliseconds:.0f} CPU ms each")
    card = {
        "cases": judged,
        "chosen_on": table(halves[0]),
        "checked_on": table(halves[1]),
        "wrong": [sum(not right(c, v) for c, v in half) for half in halves],
        "best_thresholds": chosen,
        "thresholds": THRESHOLDS,
        "cpu_milliseconds_a_segment": round(milliseconds),
    }
    print(json.dumps(card))


if __name__ == "__main__":
    main()
