"""The embedded model beside what else needs no download: quality where the frames are known, looks
where they are not, and cost.

    python benchmarks/bench_embedded.py --out DIR
    python benchmarks/bench_embedded.py --pairs DIR --only photographs,pairs --methods flow,gi

Methods are a cross-fade, ffmpeg's motion-compensated minterpolate, the embedded flow engine, and
the model of --model in one direction, fused (TRF) and fused with turned attention (GI), without and
with its reverse-motion delta. Flow always runs: the others are compared with it. The sets are

    scenes       held-out rendered clips; the frames between first and last are compared
    photographs  photographs (examples/ and those of --pairs) under a simulated camera, and with a
                 cut-out of another photograph moving over them
    pairs        NAME_a.jpg and NAME_b.jpg of --pairs, which have no truth
    cost         seconds and peak memory of a fresh process, two threads, at two sizes

PSNR is of all frames in between together, sharpness the deviation of the middle frame's Laplacian
by that of the ends, smoothness one less the Gini coefficient of the distances between neighbours.
Tables go to stderr, the last line of stdout is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import peak_mebibytes
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vtg_cli.evaluation.baselines import crossfade, minterpolate
from vtg_cli.evaluation.neighbours import gini
from vtg_cli.evaluation.pictures import haarpsi, ssim
from vtg_cli.flow.engine import in_between
from vtg_cli.media.image import fit, read_image
from vtg_cli.media.sheet import GAP, positions, save_png
from vtg_cli.training.scenes import HELD_OUT_SEEDS, Layer, Motion, frame_grid, render_clip
from vtg_cli.weights.catalog import EMBEDDED_FOLDER
from vtg_cli.weights.layout import REVERSE

Picture = NDArray[np.uint8]
"""[H, W, 3], or a clip [F, H, W, 3]."""
Engine = Callable[[Picture, Picture, int], Picture]
"""First and last frame, how many in all -> the clip."""
Quality = Callable[[Picture, Picture], float]
"""Clip and truth -> higher is better."""
Rows = list[list[str]]

SETS = ("scenes", "photographs", "pairs", "cost")
METHODS = {
    "crossfade": "crossfade",
    "minterpolate": "minterpolate",
    "flow": "flow",
    "flow-far": "flow, tiny's motion",
    "forward": "tiny forward",
    "trf": "tiny TRF",
    "gi-bare": "tiny GI, no deltas",
    "gi": "tiny GI",
}
"""What --methods calls them -> their rows."""
TINY = {"forward": ("i2v", False), "trf": ("trf", False), "gi-bare": ("gi", False)}
TINY["gi"] = ("gi", True)
"""Sampling method, with the delta."""
EXAMPLES = Path(__file__).parents[1] / "examples"
FRAMES, SIZE = 9, (192, 320)
PAIR_FRAMES, PAIR_SIDE = 7, 512
COST_SIZES, COST_FRAMES, COST_THREADS = ((288, 512), (720, 1280)), 16, 2
SHOWN = 6
"""Scenes of the strip picture."""
STRIP_WIDTH, LABEL_WIDTH = 224, 112
PHOTO_SEED = 20
"""Of the simulated camera and objects."""


@dataclass(frozen=True)
class Clip:
    """A task; truth: all its frames [frames, H, W, 3], where they are known."""

    name: str
    first: Picture
    last: Picture
    frames: int
    truth: Picture | None = None

    @staticmethod
    def known(name: str, truth: Picture) -> Clip:
        return Clip(name, truth[0], truth[-1], len(truth), truth)


@dataclass(frozen=True)
class Score:
    """Of one clip; None: not known or not measured."""

    sharpness: float
    smoothness: float
    psnr: float | None = None
    ssim: float | None = None
    haarpsi: float | None = None
    cpu: float | None = None
    wall: float | None = None


@dataclass(frozen=True)
class Compared:
    """A set's scores, row -> one per clip in the order of `names`; the frames of the first clips,
    row -> clip.
    """

    names: list[str]
    scores: dict[str, list[Score]]
    shown: list[tuple[str, dict[str, Picture]]]


# methods


def flow(first: Picture, last: Picture, frames: int, far: bool = False) -> Picture:
    """far: with the motion the embedded model is guided by; the rest is what its sampling adds."""
    return in_between(first, last, [i / (frames - 1) for i in range(frames)], far=far)


def tiny(folder: Path, method: str, with_delta: bool, motion: Path | None = None) -> Engine:
    """A model of its own for each method: it remembers the motion between two keyframes, which
    would save the next method the time.
    """
    from vtg_cli.backbones.base import load
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.ground.tensor import to_pixels
    from vtg_cli.job.sampling import Sampling
    from vtg_cli.methods.papers import render
    from vtg_cli.weights import delta

    reverse = delta.load(folder / REVERSE) if with_delta else None
    model = load(folder, device="cpu", reverse=reverse, motion=motion)

    def engine(first: Picture, last: Picture, frames: int) -> Picture:
        keys = Keyframes.ends(to_pixels(first), to_pixels(last), frames)
        return render(model, keys, Sampling(method=method))

    return engine


def engine(key: str, folder: Path) -> Engine:
    simple: dict[str, Engine] = {
        "crossfade": crossfade,
        "minterpolate": minterpolate,
        "flow": flow,
        "flow-far": partial(flow, far=True),
    }
    return simple[key] if key in simple else tiny(folder, *TINY[key])


# clips


def scenes(count: int, frames: int, size: tuple[int, int]) -> Iterator[Clip]:
    for i in range(count):
        clip = render_clip(HELD_OUT_SEEDS + i, frames, size, family="held-out")
        yield Clip.known(f"scene {i}", clip)


def photographs(files: Sequence[Path], frames: int, size: tuple[int, int]) -> Iterator[Clip]:
    """Two clips of each: the camera moves, and a cut-out of another one moves over it: of one far
    off in the list, as neighbours may show the same thing.
    """
    for i, file in enumerate(files):
        photo, other = read_image(file), read_image(files[(i + len(files) // 2) % len(files)])
        yield Clip.known(
            f"{file.stem} camera",
            camera(photo, [PHOTO_SEED, i, 0], frames, size, pan=0.3, zoom=0.3, degrees=8),
        )
        behind = camera(photo, [PHOTO_SEED, i, 1], frames, size, pan=0.06, zoom=0, degrees=0)
        yield Clip.known(f"{file.stem} object", with_object(behind, other, [PHOTO_SEED, i, 2]))


def camera(
    photo: Picture,
    seed: Sequence[int],
    frames: int,
    size: tuple[int, int],
    *,
    pan: float,
    zoom: float,
    degrees: float,
) -> Picture:
    """A window that moves evenly over a photograph and never sees its border.

    At most, over the clip: pan in shorter sides of the window, zoom in natural logarithms.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    tau = np.linspace(-0.5, 0.5, frames)
    turn = np.deg2rad(degrees) * _much(rng) * tau
    base = 0.6 * min(photo.shape[0] / height, photo.shape[1] / width)
    steps = base * np.exp(zoom * _much(rng) * tau)  # pixels of the photograph per pixel
    c, s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    reach = np.max(steps * [width * c + height * s, height * c + width * s], axis=1) / 2
    room = np.array(photo.shape[1::-1]) / 2 - reach - 1
    middle = rng.uniform(-0.7, 0.7, 2) * room
    travel = pan * base * min(size) * np.array([_much(rng), _much(rng)])
    start, end = (np.clip(middle + side * travel, -room, room) for side in (-0.5, 0.5))
    clip = np.empty((frames, *size, 3), np.uint8)
    for i, step in enumerate(steps):
        fine = math.ceil(step)  # drawn that much larger and averaged, against aliasing
        place = (np.array(photo.shape[1::-1]) - 1) / 2 + start + (tau[i] + 0.5) * (end - start)
        cos, sin = np.cos(turn[i]), np.sin(turn[i])
        linear = step / fine * np.array([[cos, -sin], [sin, cos]])
        offset = place - linear @ (np.array([width, height]) * fine - 1) / 2
        large = cv2.warpAffine(
            photo,
            np.column_stack([linear, offset]),
            (width * fine, height * fine),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        clip[i] = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    return clip


def with_object(clip: Picture, photo: Picture, seed: Sequence[int]) -> Picture:
    """A soft-edged ellipse out of a photograph moves over the clip and turns a little."""
    rng = np.random.default_rng(seed)
    size = clip.shape[1], clip.shape[2]
    extent = float(rng.uniform(0.45, 0.75))  # in shorter sides
    n = round(extent * min(size))
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    slim = rng.uniform(0.6, 0.9)
    inside = (1 - np.hypot(x / 0.9, y / slim)) * slim * n / 2  # pixels, roughly
    towards, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.6)
    motion = Motion(
        place=np.array(
            [rng.uniform(-0.2, 0.2, 2), length * np.array([np.cos(towards), np.sin(towards)])]
        ),
        turn=np.array([0, np.deg2rad(15) * _much(rng)]),
        zoom=np.zeros(2),
        tilt=np.zeros((2, 2)),
        bend=np.zeros(2),
        field=np.zeros((*size, 2), np.float32),
    )
    look = np.float32(fit(photo, n, n, "crop") / 255)
    layer = Layer(np.asarray(look), np.asarray(inside / 3, np.float32), extent, motion)
    grid = frame_grid(size)
    made = [
        layer.over(np.asarray(frame / 255, np.float32), grid, float(tau))
        for frame, tau in zip(clip, np.linspace(-0.5, 0.5, len(clip)), strict=True)
    ]
    return np.asarray(np.clip(np.stack(made) * 255 + 0.5, 0, 255), np.uint8)


def _much(rng: np.random.Generator) -> float:
    """Either way, never so little that nothing is seen to move."""
    return float(rng.choice([-1, 1]) * rng.uniform(0.4, 1))


def pairs(folder: Path) -> Iterator[Clip]:
    """The last picture is cut to the first one's shape. ValueError where there are none."""
    files = sorted(folder.glob("*_a.jpg"))
    if not files:
        raise ValueError(f"{folder} has no NAME_a.jpg")
    for file in files:
        name = file.stem.removesuffix("_a")
        first, last = read_image(file), read_image(folder / f"{name}_b.jpg")
        rows, columns = first.shape[0], first.shape[1]
        scale = min(1, PAIR_SIDE / max(rows, columns))
        height, width = round(rows * scale), round(columns * scale)
        first, last = (fit(picture, height, width, "crop") for picture in (first, last))
        yield Clip(name, first, last, PAIR_FRAMES)


# measures


def psnr(clip: Picture, truth: Picture) -> float:
    """In dB, of all frames together; 100 where they are the same, so that means stay finite."""
    error = float(np.mean((clip.astype(float) - truth) ** 2))
    return float(10 * np.log10(255**2 / max(error, 255**2 / 1e10)))


def sharpness(middle: Picture, first: Picture, last: Picture) -> float:
    def detail(picture: Picture) -> float:
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        return float(cv2.Laplacian(luma, cv2.CV_64F).std())

    return detail(middle) / max((detail(first) + detail(last)) / 2, 1e-9)


def smoothness(clip: Picture) -> float:
    steps = [np.abs(b.astype(float) - a).mean() for a, b in pairwise(clip)]
    return 1 - gini(np.array(steps))


def perceptual() -> dict[str, Quality]:
    """SSIM and HaarPSI, means over the frames."""

    def of(alike: Callable[[Picture, Picture], float]) -> Quality:
        return lambda clip, truth: float(np.mean([*map(alike, clip, truth)]))

    return {"ssim": of(ssim), "haarpsi": of(haarpsi)}


def score(
    clip: Clip,
    made: Picture,
    qualities: Mapping[str, Quality],
    cpu: float | None = None,
    wall: float | None = None,
) -> Score:
    found: dict[str, float] = {}
    if clip.truth is not None:
        between = slice(1, -1)
        found = {name: q(made[between], clip.truth[between]) for name, q in qualities.items()}
    sharp = sharpness(made[clip.frames // 2], clip.first, clip.last)
    return Score(sharp, smoothness(made), **found, cpu=cpu, wall=wall)


# runs


def compare(
    title: str,
    clips: Iterable[Clip],
    engines: Mapping[str, Engine],
    qualities: Mapping[str, Quality],
    show: int,
) -> Compared:
    """Every engine on every clip; the truth is a row of its own, for its looks."""
    names: list[str] = []
    scores: dict[str, list[Score]] = {}
    shown: list[tuple[str, dict[str, Picture]]] = []
    for clip in clips:
        print(f"{title}: {clip.name}", file=sys.stderr)
        names.append(clip.name)
        made: dict[str, Picture] = {}
        if clip.truth is not None:
            made["truth"] = clip.truth
            scores.setdefault("truth", []).append(score(clip, clip.truth, {}))
        for row, run in engines.items():
            cpu, wall = cpu_seconds(), time.perf_counter()
            made[row] = run(clip.first, clip.last, clip.frames)
            cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
            if made[row].shape != (clip.frames, *clip.first.shape):
                raise RuntimeError(f"{row}, {clip.name}: frames of shape {made[row].shape}")
            scores.setdefault(row, []).append(score(clip, made[row], qualities, cpu, wall))
        if len(shown) < show:
            shown.append((clip.name, made))
    return Compared(names, scores, shown)


def cpu_seconds() -> float:
    """Of this process and of those it has waited for (ffmpeg)."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def summary(scores: Sequence[Score], flow_scores: Sequence[Score]) -> dict[str, float]:
    """Means over the clips, of sharpness the median; measures that were not taken are left out."""
    found: dict[str, float] = {}
    for name in ("psnr", "ssim", "haarpsi", "smoothness", "cpu", "wall"):
        values = [getattr(s, name) for s in scores]
        if None not in values:
            found[name] = float(np.mean(values))
    found["sharpness"] = float(np.median([s.sharpness for s in scores]))
    if "psnr" in found and scores is not flow_scores:
        gains = [
            s.psnr - f.psnr
            for s, f in zip(scores, flow_scores, strict=True)
            if s.psnr is not None and f.psnr is not None
        ]
        found["gain"] = float(np.mean(gains))
        found["above"] = float(np.mean(np.array(gains) > 0))
    return found


def cost(key: str, folder: Path, size: str) -> dict[str, float]:
    """Of a fresh process; its memory includes what the imports take."""
    command = [sys.executable, __file__, "--cost-of", key, size, "--model", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def cost_here(key: str, folder: Path, size: str) -> dict[str, float]:
    """Seconds of rendering, without loading."""
    use_threads(COST_THREADS, with_torch=key in TINY)
    height, width = (int(side) for side in size.split("x"))
    first, last = (
        fit(read_image(EXAMPLES / f"lake_{end}.jpg"), height, width, "crop") for end in "ab"
    )
    run = engine(key, folder)
    cpu, wall = cpu_seconds(), time.perf_counter()
    run(first, last, COST_FRAMES)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    return {"wall": wall, "cpu": cpu, "peak_mebibytes": peak_mebibytes()}


def use_threads(count: int, with_torch: bool) -> None:
    """torch is not even imported where it is not needed: flow does without."""
    cv2.setNumThreads(count)
    if with_torch:
        import torch

        torch.set_num_threads(count)


# what comes out

COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "psnr": ("PSNR, dB", "{:.2f}".format),
    "gain": ("against flow, dB", "{:+.2f}".format),
    "above": ("share above flow", "{:.0%}".format),
    "ssim": ("SSIM", "{:.4f}".format),
    "haarpsi": ("HaarPSI", "{:.4f}".format),
    "sharpness": ("sharpness", "{:.2f}".format),
    "smoothness": ("smoothness", "{:.3f}".format),
    "cpu": ("CPU s", "{:.2f}".format),
    "wall": ("wall s", "{:.2f}".format),
}


def quality_rows(summaries: Mapping[str, Mapping[str, float]]) -> Rows:
    """Only columns that some row has."""
    names = [name for name in COLUMNS if any(name in found for found in summaries.values())]
    rows = [["method", *(COLUMNS[name][0] for name in names)]]
    for row, found in summaries.items():
        cells = [COLUMNS[name][1](found[name]) if name in found else "" for name in names]
        rows.append([row, *cells])
    return rows


def cost_rows(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Rows:
    rows = [["size, method", "wall s", "CPU s", "peak MiB"]]
    for size, methods in found.items():
        for method, f in methods.items():
            numbers = [f"{f['wall']:.2f}", f"{f['cpu']:.2f}", f"{f['peak_mebibytes']:.0f}"]
            rows.append([f"{size}, {method}", *numbers])
    return rows


def table(title: str, rows: Rows) -> str:
    """Markdown that reads well as plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join([f"## {title}", "", *lines, ""])


def strips(
    shown: Sequence[tuple[str, Mapping[str, Picture]]], rows: Sequence[str], columns: int
) -> Picture:
    """Clips below each other, of each the rows given, with their names on the left."""
    across = STRIP_WIDTH
    lines: list[tuple[str, list[Image.Image]]] = []
    for name, made in shown:
        for row in rows:
            chosen = [Image.fromarray(made[row][i]) for i in positions(len(made[row]), columns)]
            down = max(1, round(chosen[0].height * across / chosen[0].width))
            small = [p.resize((across, down), Image.Resampling.LANCZOS) for p in chosen]
            lines.append((f"{name}\n{row}", small))
    height = sum(small[0].height + GAP for _, small in lines) - GAP
    sheet = Image.new("RGB", (LABEL_WIDTH + columns * (across + GAP) - GAP, height), "white")
    pen, top = ImageDraw.Draw(sheet), 0
    for label, small in lines:
        pen.multiline_text((4, top + 4), label, fill="black")
        for i, frame in enumerate(small):
            sheet.paste(frame, (LABEL_WIDTH + i * (across + GAP), top))
        top += small[0].height + GAP
    return np.array(sheet)


def rounded(value: Any) -> Any:
    """Numbers to five digits after the point, what is None left out."""
    if isinstance(value, dict):
        return {key: rounded(v) for key, v in value.items() if v is not None}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value


# command line


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    chosen = partial(_chosen, parser)
    parser.add_argument("--model", type=Path, default=EMBEDDED_FOLDER, help="a tiny model's folder")
    parser.add_argument("--scenes", type=int, default=40, help="how many")
    parser.add_argument("--pairs", type=Path, help="folder of NAME_a.jpg and NAME_b.jpg")
    parser.add_argument("--only", default=",".join(SETS), help="sets, with commas between")
    parser.add_argument(
        "--methods", default=",".join(METHODS), help="rows, with commas between: %(default)s"
    )
    parser.add_argument("--no-cost", action="store_true", help="without the set `cost`")
    parser.add_argument("--threads", type=int, default=1, help="of all sets but cost")
    parser.add_argument("--out", type=Path, help="folder for the tables and strips")
    parser.add_argument("--cost-of", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    args.only = chosen("--only", args.only, SETS)
    args.methods = chosen("--methods", f"flow,{args.methods}", METHODS)
    if args.no_cost:
        args.only = [name for name in args.only if name != "cost"]
    if args.scenes < 1:
        parser.error("--scenes must be 1 or more")
    return args


def _chosen(
    parser: argparse.ArgumentParser, option: str, given: str, known: Iterable[str]
) -> list[str]:
    """In the order of `known`, each once."""
    wanted = set(given.split(","))
    unknown = wanted - set(known)
    if unknown:
        parser.error(f"{option}: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [name for name in known if name in wanted]


def clips_of(name: str, args: argparse.Namespace) -> Iterator[Clip]:
    if name == "scenes":
        return scenes(args.scenes, FRAMES, SIZE)
    if name == "pairs":
        return pairs(args.pairs)
    folders = [EXAMPLES] + ([args.pairs] if args.pairs else [])
    files = [file.resolve() for folder in folders for file in sorted(folder.glob("*.jpg"))]
    return photographs(list(dict.fromkeys(files)), FRAMES, SIZE)


def main(arguments: Sequence[str] | None = None) -> None:
    args = options(arguments)
    if args.cost_of:
        print(json.dumps(cost_here(args.cost_of[0], args.model, args.cost_of[1])))
        return
    keys = list(args.methods)
    if "gi" in keys and not (args.model / REVERSE).is_file():
        print(f"{args.model} has no {REVERSE}: no row {METHODS['gi']}", file=sys.stderr)
        keys.remove("gi")
    default = next((key for key in ("gi", "trf") if key in keys), None)
    if "pairs" in args.only and args.pairs is None:
        print("no --pairs: no set pairs", file=sys.stderr)
        args.only.remove("pairs")

    tables: list[str] = []
    card: dict[str, Any] = {"threads": args.threads, "methods": {k: METHODS[k] for k in keys}}
    rows_shown = ["flow"] + ([METHODS[default]] if default else [])
    visual = [name for name in args.only if name != "cost"]
    if visual:
        use_threads(args.threads, with_torch=True)
        engines = {METHODS[key]: engine(key, args.model) for key in keys}
        qualities: dict[str, Quality] = {"psnr": psnr, **perceptual()}
        for name in visual:
            # all pairs are shown, of the other sets the first few clips
            show = sys.maxsize if name == "pairs" else SHOWN
            found = compare(name, clips_of(name, args), engines, qualities, show)
            summaries = {
                row: summary(scores, found.scores["flow"]) for row, scores in found.scores.items()
            }
            tables.append(table(f"{name} ({len(found.names)})", quality_rows(summaries)))
            print(tables[-1], file=sys.stderr)
            card[name] = {
                "clips": found.names,
                "summary": summaries,
                "scores": {row: [asdict(s) for s in kept] for row, kept in found.scores.items()},
            }
            if args.out and name == "scenes":
                rows = ["truth", *(["crossfade"] if "crossfade" in keys else []), *rows_shown]
                save(args.out / "embedded_scenes.png", strips(found.shown, rows, 5))
            if args.out and name == "pairs":
                save(args.out / "embedded_pairs.png", strips(found.shown, rows_shown, PAIR_FRAMES))
    if "cost" in args.only:
        card["cost"] = {
            f"{width}x{height}": {
                METHODS[key]: cost(key, args.model, f"{height}x{width}")
                for key in ("flow", default)
                if key
            }
            for height, width in COST_SIZES
        }
        title = f"cost, {COST_FRAMES} frames, {COST_THREADS} threads"
        tables.append(table(title, cost_rows(card["cost"])))
        print(tables[-1], file=sys.stderr)
    if args.out:
        given = sys.argv[1:] if arguments is None else arguments
        command = shlex.join(["python", "benchmarks/bench_embedded.py", *given])
        args.out.mkdir(parents=True, exist_ok=True)
        text = "\n".join(["# The embedded model", "", f"    {command}", "", *tables])
        (args.out / "embedded.md").write_text(text, encoding="utf-8")
    print(json.dumps(rounded(card)))


def save(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(path, picture)


if __name__ == "__main__":
    main()
