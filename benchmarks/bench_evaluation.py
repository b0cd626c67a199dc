"""What scores of sets cost: the Frechet distance of 2,048 dimensions, and features that stream.

    OMP_NUM_THREADS=1 python benchmarks/bench_evaluation.py [--clips 2000] [--runs 3]

Frechet: two sets of 4,096 features of 2,048 numbers, as FID's, by vtg and by scipy.linalg.sqrtm of
the product of the covariances, as pytorch-fid computes it, both from the features on; the least
seconds of the processor, by all threads together, of all runs, turn by turn, and how far apart the
values are: on a machine that others use, the clock would tell of them. The same for 1,000
features a set, whose covariances lack full rank; "moments" are vtg's seconds if only mean and
covariance are known.

Streaming: clips of 16 frames of 128x128 are drawn, one batch at a time, and go through a small
random network with 2,048 features into their mean and covariance; resident memory after the first
200 and after all, and the peak in between. Then the seconds a clip takes in I3D's own class, with
random weights: what FVD costs on this machine. All seconds are the processor's. Last line: all of
it as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import forget_peak, peak_mebibytes
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from torch import nn

from vtg_cli.evaluation import distances, preprocess
from vtg_cli.evaluation.features import Loaded
from vtg_cli.evaluation.moments import Moments
from vtg_cli.evaluation.networks.i3d import I3d

DIM = 2048
BATCH = 8  # clips
SHAPE = (16, 128, 128, 3)
FIRST = 200  # clips after which memory has settled


def features(seed: int, count: int) -> NDArray[np.float32]:
    """Correlated and not negative, as features after a ReLU and a mean are."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(7).normal(0, DIM**-0.5, (DIM, DIM))
    hidden = np.maximum(rng.normal(0.1 * seed, 1, (count, DIM)), 0)
    return np.maximum(hidden @ mix + 0.3, 0).astype(np.float32)


def by_root(a: Moments, b: Moments) -> float:
    s, t = a.covariance(), b.covariance()
    shift = a.mean - b.mean
    return float(shift @ shift + np.trace(s + t - 2 * sqrtm(s @ t).real))


def timed(run: Callable[[], float]) -> tuple[float, float]:
    begin = time.process_time()
    return run(), time.process_time() - begin


def frechet(count: int, runs: int) -> dict[str, Any]:
    sets = [features(seed, count) for seed in (0, 1)]
    known = [Moments.of(each) for each in sets]
    ways = {
        "vtg": lambda: distances.frechet(*sets),
        "moments": lambda: distances.frechet_of_moments(*known),
        "scipy": lambda: by_root(*(Moments.of(each) for each in sets)),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            found[name].append(timed(way))
    row: dict[str, Any] = {"features": count, "dimensions": DIM}
    for name, each in found.items():
        row |= {f"{name}_s": min(seconds for _, seconds in each), f"{name}_value": each[0][0]}
    row["relative_difference"] = abs(row["vtg_value"] / row["scipy_value"] - 1)
    return row


class Small(nn.Module):
    """A random network of clips with as many features as FID's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(3, 32, (3, 7, 7), stride=(2, 8, 8))
        self.out = nn.Linear(32, DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(x.float() / 255).relu().mean((2, 3, 4)))


def clips(count: int) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        yield rng.integers(0, 256, (size, *SHAPE), dtype=np.uint8)


def resident() -> int:
    """Mebibytes now."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) // 1024


def streaming(count: int) -> dict[str, Any]:
    network = Loaded("small", DIM, 16, Small().eval(), preprocess.channels_first)
    moments = Moments.empty(DIM)
    begin, early = time.process_time(), 0
    for batch in clips(count):
        moments.update(network(batch))
        if moments.count >= FIRST and not early:
            early = resident()
            forget_peak()
    seconds = time.process_time() - begin
    return {
        "clips": moments.count,
        "seconds": seconds,
        f"mib_after_{FIRST}": early,
        "mib_after_all": resident(),
        "peak_mib_in_between": peak_mebibytes(),
        "mib_of_all_clips": int(np.prod(SHAPE)) * count // 2**20,
    }


def i3d(runs: int) -> dict[str, Any]:
    network = Loaded("i3d", 400, 9, I3d().eval(), preprocess.debiased_i3d)
    batch = next(clips(1))
    seconds = []
    for _ in range(runs):
        begin = time.process_time()
        network(batch)
        seconds.append(time.process_time() - begin)
    return {"frames": SHAPE[0], "seconds_per_clip": min(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=2000, help="that stream (default 2000)")
    parser.add_argument("--runs", type=int, default=3, help="of what is timed (default 3)")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*singular.*")
    card = {
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "frechet": [frechet(count, options.runs) for count in (4096, 1000)],
        "streaming": streaming(options.clips),
        "i3d": i3d(options.runs),
    }
    for row in card["frechet"]:
        print(
            f"Frechet of 2 x {row['features']} features: {row['vtg_s']:.1f} s, of their moments "
            f"{row['moments_s']:.1f} s, by scipy's root {row['scipy_s']:.1f} s, "
            f"{row['relative_difference']:.1e} apart"
        )
    flow = card["streaming"]
    print(
        f"{flow['clips']} clips ({flow['mib_of_all_clips']} MiB) in {flow['seconds']:.0f} s: "
        f"{flow[f'mib_after_{FIRST}']} MiB after {FIRST}, {flow['mib_after_all']} after all, "
        f"peak {flow['peak_mib_in_between']}"
    )
    print(f"I3D: {card['i3d']['seconds_per_clip']:.2f} s a clip of {SHAPE[0]} frames")
    print(json.dumps(card))


if __name__ == "__main__":
    main()
