"""What carrying motion through a keyframe gains, on scenes whose truth is known.

Three keyframes of a painted disc on a painted ground; between them the flow engine draws 15 frames
a segment, once with straight tracks and once carried. Printed for each path: PSNR of the frames
drawn against the scene as painted, the disc's distance from where it is in truth (its centroid, in
pixels), and the jump of its velocity at the middle keyframe, in pixels a frame, beside the truth's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vtg_cli.flow.engine import in_between
from vtg_cli.flow.tracks import Tracks
from vtg_cli.job.easing import easing, segment_times

SIZE, FRAMES, RADIUS = (192, 320), 17, 26
Path = Callable[[float], tuple[float, float]]


def ease_in_out(t: float) -> float:
    """Two eased halves: the pause at the keyframe that a curve of each segment makes."""
    ease = easing("ease-in-out")
    return (ease(min(2 * t, 1.0)) + ease(max(2 * t - 1, 0.0))) / 2


PATHS: dict[str, Path] = {
    # x and y in pixels at t in [0, 1]; keyframes stand at 0, 1/2 and 1
    "straight": lambda t: (80 + 120 * t, 96),
    "accelerating": lambda t: (70 + 30 * t + 110 * t * t, 96),
    "thrown": lambda t: (90 + 130 * t, 120 - 200 * t * (1 - t)),
    "quarter circle": lambda t: (
        110 + 90 * np.sin(np.pi / 2 * t),
        60 + 90 * (1 - np.cos(np.pi / 2 * t)),
    ),
    "half circle": lambda t: (160 - 60 * np.cos(np.pi * t), 75 + 60 * np.sin(np.pi * t)),
    "stops": lambda t: (90 + 120 * min(t, 0.5), 96),
    "turns back": lambda t: (90 + 80 * (1 - abs(2 * t - 1)), 96),
}


def ground() -> NDArray[Any]:
    noise = np.random.default_rng(1).uniform(90, 165, (*SIZE, 1))
    return cv2.GaussianBlur(noise, (0, 0), 4)[..., None] * 4 - 380 + np.zeros(3)


def painted(path: Path, t: float) -> NDArray[np.uint8]:
    """The disc: red, with stripes for the search to hold on to, at sub-pixel places."""
    x, y = path(t)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    dx, dy = columns - x, rows - y
    cover = np.clip(RADIUS + 0.5 - np.hypot(dx, dy), 0, 1)[..., None]
    shade = 0.5 + 0.25 * (np.sin(dx / 4) + np.cos(dy / 5))[..., None] / 2
    disc = np.array([255.0, 0, 0]) * shade + np.array([60.0, 10, 10])
    return np.uint8(np.clip(np.round(ground() * (1 - cover) + disc * cover), 0, 255))


def place(frame: NDArray[np.uint8]) -> NDArray[Any]:
    """Centroid (x, y) of what is red."""
    red = np.clip(frame[..., 0].astype(float) - frame[..., 1] - 20, 0, 40)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.array([(red * columns).sum(), (red * rows).sum()]) / red.sum()


def clip(path: Path, *, carried: bool) -> list[NDArray[np.uint8]]:
    keys = [painted(path, t) for t in (0, 0.5, 1)]
    times = segment_times(FRAMES, easing("linear"))
    tracks = Tracks(lambda i: (keys[i], keys[i + 1]), [1, 1], [carried, False])
    drawn = [in_between(keys[i], keys[i + 1], times, track=tracks.of(i)) for i in (0, 1)]
    return [*drawn[0], *drawn[1][1:]]


def figures(frames: list[NDArray[np.uint8]], path: Path) -> dict[str, float]:
    at = np.linspace(0, 1, len(frames))
    truth = [painted(path, float(t)) for t in at]
    between = [i for i in range(len(frames)) if i % (FRAMES - 1)]
    error = [np.mean((frames[i].astype(float) - truth[i]) ** 2) for i in between]
    places = np.array([place(frame) for frame in frames])
    off = np.linalg.norm(places - [place(frame) for frame in truth], axis=1)[between]
    middle, step = FRAMES - 1, 3  # frames over which a velocity is measured
    after = (places[middle + step] - places[middle]) / step
    before = (places[middle] - places[middle - step]) / step
    return {
        "psnr": float(np.mean(10 * np.log10(255**2 / np.maximum(error, 1e-9)))),
        "off": float(off.mean()),
        "worst": float(off.max()),
        "jump": float(np.linalg.norm(after - before)),
    }


def main() -> None:
    found = {}
    print(f"{'path':16}{'':9}{'PSNR dB':>9}{'off px':>9}{'worst':>9}{'jump':>9}")
    for name, path in PATHS.items():
        truth = [painted(path, float(t)) for t in np.linspace(0, 1, 2 * FRAMES - 1)]
        rows = {
            "straight": figures(clip(path, carried=False), path),
            "carried": figures(clip(path, carried=True), path),
            "truth": figures(truth, path),
        }
        found[name] = rows
        for how, row in rows.items():
            psnr = f"{row['psnr']:9.2f}" if how != "truth" else " " * 9
            print(f"{name:16}{how:9}{psnr}{row['off']:9.2f}{row['worst']:9.2f}{row['jump']:9.2f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
