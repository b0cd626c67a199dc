"""What it costs to look for numbers that are none: after a step, before the cast, when loading.

    nice python benchmarks/bench_finite.py --svd DIR [--runs 9]

DIR: a model folder of Stable Video Diffusion's kind, such as tests/data/parity/tiny_svd, whose
small network makes the share of the check large. Its latents are as many as the released model's of
a clip of 512x288, whatever the pixels. CPU seconds on one thread, medians of the runs, in
which what is checked and the check take turns. Last line: all of it as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vtg_cli.backbones import base
from vtg_cli.backbones.finite import check_weights
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.tensor import check_finite
from vtg_cli.sampling.fusion import bidirectional
from vtg_cli.sampling.guidance import bind
from vtg_cli.sampling.solvers import euler
from vtg_cli.weights.catalog import EMBEDDED
from vtg_cli.weights.store import resolve

HEIGHT, WIDTH = 288, 512
FACTOR = 8
"""Pixels to a latent of the released model."""
TINY = "`tiny`"
Work = Callable[[], object]


def seconds(work: Work) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def row(name: str, work: Work, check: Work, runs: int) -> dict[str, Any]:
    """Take turns between what is checked and its check."""
    work(), check()  # the first ones fill caches
    turns = [(seconds(work), seconds(check)) for _ in range(runs)]
    whole, part = (statistics.median(column) for column in zip(*turns, strict=True))
    shares = [check / work for work, check in turns]
    share = statistics.median(shares)
    print(f"| {name} | {whole:.4f} | {part:.6f} | {share:.3%} | {max(shares):.3%} |", flush=True)
    return {"name": name, "seconds": whole, "check": part, "share": share, "most": max(shares)}


def rows_of(name: str, folder: Path, runs: int) -> list[dict[str, Any]]:
    m: Any = base.load(folder, device="cpu", dtype="fp32")
    factor = FACTOR if name == TINY else m.spec.factor
    height, width = HEIGHT // FACTOR * factor, WIDTH // FACTOR * factor
    keys = Keyframes.ends(*torch.rand(2, 3, height, width) * 2 - 1, m.spec.drawn(14))
    both = (keys, keys.reversed())
    pair = Cond.stack([m.condition(k if m.spec.both_ends else k.only(0)) for k in both])
    predict, path = bidirectional(bind(m, pair), 0.5), m.path(4)
    size = m.latent_size(height, width)
    x = path[0].scale * torch.randn(1, keys.length, m.spec.channels, *size)
    clean = torch.zeros_like(x)
    pixels = m.decode(clean, keys)
    parts = m.parts() if hasattr(m, "parts") else {"network": m.network}

    def step() -> None:
        euler(predict, x, path[0], path[1], [], torch.randn_like)

    def load() -> None:
        base.load(folder, device="cpu", dtype="fp32")

    return [
        row(f"{name}: a step, {keys.length} frames", step, lambda: check_finite(x, ""), runs),
        row(
            f"{name}: decoding them",
            lambda: m.decode(clean, keys),
            lambda: check_finite(pixels, ""),
            runs,
        ),
        row(f"{name}: loading", load, lambda: check_weights(folder, parts), runs),
    ]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--svd", type=Path, required=True, help="a folder of SVD's kind")
    parser.add_argument("--runs", type=int, default=9)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"| at {WIDTH}x{HEIGHT} | s | s of the check | share | most of {args.runs} runs |")
    print("|---|---:|---:|---:|---:|")
    rows = [
        *rows_of(TINY, resolve(EMBEDDED).folder, args.runs),
        *rows_of("small SVD", args.svd, args.runs),
    ]
    print(json.dumps({"benchmark": "finite", "runs": args.runs, "rows": rows}))


if __name__ == "__main__":
    main()
