"""The embedded engine: time at 1280x720, and quality against scenes known in closed form.

    python benchmarks/bench_flow.py
    python benchmarks/bench_flow.py --pair first.jpg last.jpg --strip strip.png

Quality is the mean PSNR of the frames at 1/4, 1/2 and 3/4 against the truth, beside a cross-fade
and beside the usual backward warp (DIS flow both ways, each keyframe looked up along its own flow,
the two averaged). A pair has no truth: its strip shows the three in this order, eight frames each,
to be looked at.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from measure import peak_mebibytes
from numpy.typing import NDArray

from vtg_cli.flow.correspondence import correspond
from vtg_cli.flow.engine import in_between
from vtg_cli.media.image import read_image
from vtg_cli.media.sheet import contact_sheet, save_png

Picture = NDArray[np.uint8]
Engine = Callable[[Picture, Picture, Sequence[float]], Picture]
Scene = Callable[[float], Picture]

TIMES = [0.25, 0.5, 0.75]
waves = np.random.default_rng(5)
WAVES = waves.uniform(-1, 1, (14, 2)) * np.geomspace(0.02, 0.45, 14)[:, None]  # radians per pixel
PHASES, HEIGHTS = waves.uniform(0, 7, (14, 3)), np.geomspace(26, 9, 14)


def texture(x: NDArray[np.float64], y: NDArray[np.float64], turn: float = 0) -> NDArray[np.float64]:
    colour = np.full((*x.shape, 3), 128.0)
    for (u, v), phase, height in zip(WAVES, PHASES, HEIGHTS, strict=True):
        colour += height * np.sin(u * x[..., None] + v * y[..., None] + phase + turn)
    return colour


def picture(colour: NDArray[np.floating]) -> Picture:
    return np.clip(np.round(colour), 0, 255).astype(np.uint8)


def camera(height: int, width: int, degrees: float, zoom: float, dx: float, dy: float) -> Scene:
    """Every point on a straight line to where a turn, a zoom and a shift put it."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    turn = np.deg2rad(degrees)
    whole = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def at(t: float) -> Picture:
        (a, b), (c, d) = np.linalg.inv((1 - t) * np.eye(2) + t * whole)
        u, v = x - width / 2 - dx * t, y - height / 2 - dy * t
        return picture(texture(a * u + b * v + width / 2, c * u + d * v + height / 2))

    return at


def discs(height: int, width: int, travel: float) -> Scene:
    """Two discs cross a background that moves the other way; travel: share of the width."""
    y, x = np.mgrid[0:height, 0:width].astype(float)

    def at(t: float) -> Picture:
        out = 0.7 * texture(x + 0.02 * width * t, y) + 40
        for k, tint in enumerate(((70, 10, -30), (-40, 30, 90))):
            cx = width * (0.25 + travel * t if k == 0 else 0.75 - travel * t)
            cy = height * (0.3 + 0.4 * k)
            cover = np.clip(height / 7 + 0.5 - np.hypot(x - cx, y - cy), 0, 1)[..., None]
            front = 0.6 * texture(1.3 * (x - cx), 1.3 * (y - cy), 1 + k) + tint
            out = cover * front + (1 - cover) * out
        return picture(out)

    return at


def dimmed(scene: Scene) -> Scene:
    return lambda t: picture(scene(t) * (1 - 0.25 * t) + 8 * t)


SCENES: dict[str, Scene] = {
    "shift 2 %": camera(288, 512, 0, 1, 10.3, -5.7),
    "shift 20 %": camera(288, 512, 0, 1, 102, 12),
    "turn 8 degrees": camera(288, 512, 8, 1, 0, 0),
    "zoom 1.2": camera(288, 512, 0, 1.2, 0, 0),
    "discs 5 %": discs(288, 512, 0.05),
    "discs 15 %": discs(288, 512, 0.15),
    "shift 2 % dimmed": dimmed(camera(288, 512, 0, 1, 10.3, -5.7)),
    "discs 5 % dimmed": dimmed(discs(288, 512, 0.05)),
}


def crossfade(first: Picture, last: Picture, times: Sequence[float]) -> Picture:
    return np.stack([picture((1 - t) * first + t * last) for t in times])


def backward_warp(first: Picture, last: Picture, times: Sequence[float]) -> Picture:
    a, b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (first, last))
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    still = np.zeros((*a.shape, 2), np.float32)
    ahead, back = np.asarray(dis.calc(a, b, still.copy())), np.asarray(dis.calc(b, a, still))
    y, x = np.mgrid[0 : a.shape[0], 0 : a.shape[1]].astype(np.float32)

    def looked_up(key: Picture, flow: NDArray[np.floating]) -> NDArray[np.floating]:
        u, v = (np.float32(x + flow[..., 0]), np.float32(y + flow[..., 1]))
        return np.asarray(cv2.remap(key, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))

    return np.stack(
        [
            picture((1 - t) * looked_up(first, -t * ahead) + t * looked_up(last, (t - 1) * back))
            for t in times
        ]
    )


ENGINES: dict[str, Engine] = {
    "flow": in_between,
    "crossfade": crossfade,
    "backward warp": backward_warp,
}


def psnr(a: Picture, b: Picture) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def quality(scene: Scene, engine: Engine) -> float:
    frames = engine(scene(0), scene(1), TIMES)
    return float(np.mean([psnr(f, scene(t)) for f, t in zip(frames, TIMES, strict=True)]))


def seconds(frames: int, repeats: int) -> list[float]:
    scene = discs(720, 1280, 0.1)
    first, last = scene(0), scene(1)
    times = [i / (frames - 1) for i in range(frames)]
    spent = []
    for _ in range(repeats):
        begin = time.perf_counter()
        in_between(first, last, times)
        spent.append(time.perf_counter() - begin)
    return spent


def strip(first: Path, last: Path, out: Path) -> float:
    """Writes eight frames of each engine, two rows of four; the share that corresponds."""
    a, b = read_image(str(first)), read_image(str(last))
    times = [i / 7 for i in range(8)]
    rows = np.concatenate([engine(a, b, times) for engine in ENGINES.values()])
    save_png(str(out), contact_sheet(rows, columns=4, width=2048))
    return correspond(a, b).share


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pair", nargs=2, type=Path, help="two pictures of one size")
    parser.add_argument("--strip", type=Path, default=Path("strip.png"), help="written for --pair")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.pair:
        share = strip(args.pair[0], args.pair[1], args.strip)
        print(f"{args.strip}: {share:.0%} of the pictures corresponds")
        print(json.dumps({"pair": [p.name for p in args.pair], "share": round(share, 3)}))
        return
    spent = seconds(16, args.repeats)
    print(f"16 frames of 1280x720: {', '.join(f'{s:.2f} s' for s in spent)}")
    print(f"{'PSNR in dB':<20}" + "".join(f"{name:>15}" for name in ENGINES))
    table = {}
    for name, scene in SCENES.items():
        table[name] = {kind: round(quality(scene, engine), 2) for kind, engine in ENGINES.items()}
        print(f"{name:<20}" + "".join(f"{value:>15.2f}" for value in table[name].values()))
    card = {
        "seconds_16_frames_720p": [round(s, 2) for s in spent],
        "psnr": table,
        "peak_mebibytes": peak_mebibytes(),
        "threads": cv2.getNumThreads(),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }
    print(json.dumps(card))


if __name__ == "__main__":
    main()
