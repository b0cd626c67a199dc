"""RIFE's network: CPU time of a frame, beside the same network run plainly for each time.

    python benchmarks/bench_rife.py
    python benchmarks/bench_rife.py --size 720x1280 --frames 3 --threads 2

Plainly is as the network is told in words: both heads, five stages at full size, four carried
pictures before each, again for every time. Ours is flow/rife: what the times share once, features
carried with their pictures, and of the full size what the stages look at. Process time, which other
work on the machine changes little; the two take turns, the least of each counts. Weights are drawn
at random: the time does not depend on them. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vtg_cli.flow.rife.engine import Rife
from vtg_cli.flow.rife.network import SCALES, IFNet, Motion, carried

GATE = 0.8
"""Of our time over the plain one, at most."""


def plainly(
    network: IFNet, first: Tensor, last: Tensor, t: float, scales: Sequence[int] = SCALES
) -> Motion:
    """The motion at one time, all of it computed at full size."""

    def sized(x: Tensor, factor: float) -> Tensor:
        if factor == 1:
            return x
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    heads = [network.encode(each) for each in (first, last)]
    now = torch.full_like(first[:, :1], t)
    seen = torch.cat((first, last, *heads, now), dim=1)
    flow, more = torch.zeros(1, 4, *first.shape[2:], dtype=first.dtype), None
    for stage, scale in zip(network.stages, scales, strict=True):
        if more is not None:
            pair = [carried(first, flow[:, :2]), carried(last, flow[:, 2:])]
            pair += [carried(heads[0], flow[:, :2]), carried(heads[1], flow[:, 2:])]
            seen = torch.cat((*pair, now, more, flow / scale), dim=1)
        said = sized(stage(sized(seen, 1 / scale)), scale)
        flow, more = flow + scale * said[:, :4], said[:, 4:]
    assert more is not None
    return Motion(flow, more[:, :1])


def least(runs: int, *work: Callable[[], object]) -> list[float]:
    """Seconds of process time of each, which take turns."""
    found = [float("inf")] * len(work)
    for _ in range(runs):
        for i, each in enumerate(work):
            begin = time.process_time()
            each()
            found[i] = min(found[i], time.process_time() - begin)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", default="320x512", help="HxW, multiples of 64")
    parser.add_argument("--frames", type=int, default=7, help="between the two pictures")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    height, width = map(int, args.size.split("x"))
    torch.manual_seed(0)
    rife = Rife(IFNet())
    pair = [np.random.default_rng(i).integers(0, 256, (height, width, 3), np.uint8) for i in (0, 1)]
    first, last = (torch.from_numpy(each).movedim(-1, 0)[None].float() / 255 for each in pair)
    times = [(i + 1) / (args.frames + 1) for i in range(args.frames)]

    @torch.inference_mode()
    def plain() -> list[Tensor]:
        return [plainly(rife.network, first, last, t).merged(first, last) for t in times]

    plain_time, ours = least(args.runs, plain, lambda: rife.in_between(*pair, times))
    made = torch.from_numpy(rife.in_between(*pair, times)).movedim(-1, 1) / 255
    apart = float((torch.cat(plain()).clamp(0, 1) - made).abs().max())
    found = {
        "size": args.size,
        "frames": args.frames,
        "threads": args.threads,
        "plain_seconds_a_frame": round(plain_time / args.frames, 3),
        "ours_seconds_a_frame": round(ours / args.frames, 3),
        "ratio": round(ours / plain_time, 3),
        "gate": GATE,
        "largest_difference": round(apart, 5),  # half a step of 255 is 0.002
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
