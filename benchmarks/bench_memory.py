"""Every rung of the memory ladder: its peak on the device and its seconds a step.

    python benchmarks/bench_memory.py --device cuda                         # SVD-XT's real size
    python benchmarks/bench_memory.py --device cpu --tiny                   # proves the script

Builds the real configuration of Stable Video Diffusion XT with random weights in a folder (--tiny:
the recordings' small one) and draws in-betweens with time reversal fusion and guidance, each rung
in a process of its own. On CUDA the peak is the allocator's (what tensors hold at most, and what it
has reserved), on a CPU the peak resident size of the process. PSNR is against rung full's frames,
with one --decode-chunk for all rungs, if given. The last line is one JSON object. The frames mean
nothing: nothing here is trained.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_svd_full_size import build
from measure import peak_mebibytes

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests" / "data" / "parity" / "tiny_svd"
SIZES = {False: ("576x1024", 25), True: ("32x48", 6)}
NAMES = ("full", "chunked", "offload", "sequential", "tiny-vram", "tiled")
PASSED_ON = ("folder", "device", "dtype", "size", "frames", "steps", "decode_chunk")


def child(args: argparse.Namespace) -> None:
    """One rung: its card as JSON on stdout, its frames in a file beside the model."""
    from vtg_cli.backbones import base
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.job.sampling import Sampling
    from vtg_cli.lowmem.ladder import Ladder
    from vtg_cli.machine.rungs import NAMED, ran_out
    from vtg_cli.methods import papers, walk

    rung = NAMED[args.rung]
    device = torch.device(args.device)
    height, width = map(int, args.size.split("x"))
    chunk = args.decode_chunk or None
    # guidance terms reach the ladder in one batch, on a CPU too, so that it has what to take apart
    walk.term_by_term = lambda m: False
    begin = time.perf_counter()
    where = args.device if rung.weights == "here" else "cpu"
    card: dict[str, Any] = {"rung": rung.name}
    marks: list[tuple[float, str]] = []
    try:
        m: Any = base.load(args.folder, device=where, dtype=args.dtype, decode_chunk=chunk)
        ladder: Any = Ladder(m, (rung,), device, decode_chunk=chunk)
        card["load_seconds"] = round(time.perf_counter() - begin, 1)
        generator = torch.Generator().manual_seed(0)
        first, last = torch.rand(2, 3, height, width, generator=generator) * 2 - 1
        frames = papers.render(
            ladder,
            Keyframes.ends(first, last, args.frames),
            Sampling(method="trf", steps=args.steps, renoise=0),
            progress=lambda share, phase: marks.append((_now(device), phase)),
        )
    except Exception as error:
        if not ran_out(error):
            raise
        print(json.dumps(card | {"out_of_memory": True, **_peaks(device)}))
        return
    sampling = [at for at, phase in marks if phase == "sampling"]
    steps = np.diff(sampling)  # the first has the conditions in it
    card["step_seconds"] = round(float(steps[1:].min() if len(steps) > 1 else steps.min()), 3)
    card["decode_seconds"] = round(marks[-1][0] - sampling[-1], 3)
    np.save(args.frames_file, frames)
    print(json.dumps(card | _peaks(device)))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _peaks(device: torch.device) -> dict[str, int]:
    host = {"host_peak_mebibytes": peak_mebibytes()}
    if device.type != "cuda":
        return host
    return host | {
        "peak_mebibytes": torch.cuda.max_memory_allocated() // 2**20,
        "reserved_mebibytes": torch.cuda.max_memory_reserved() // 2**20,
    }


def psnr(a: np.ndarray, b: np.ndarray) -> float | None:
    """None: the same."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return round(10 * math.log10(255**2 / error), 2) if error else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="built here and kept; default: a temporary one")
    parser.add_argument("--tiny", action="store_true", help="the recordings' small configuration")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", help="default: fp16, on a CPU fp32")
    parser.add_argument("--size", help="height x width in pixels; default: the model's")
    parser.add_argument("--frames", type=int, help="default: the model's")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--decode-chunk", type=int, default=0, help="0: the rung's own")
    parser.add_argument("--rungs", default=",".join(NAMES))
    parser.add_argument("--rung", help=argparse.SUPPRESS)
    parser.add_argument("--frames-file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rung:
        return child(args)
    size, frames = SIZES[args.tiny]
    args.size, args.frames = args.size or size, args.frames or frames
    args.dtype = args.dtype or ("fp32" if args.device == "cpu" else "fp16")
    cards: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        args.folder = TINY if args.tiny else args.folder or Path(temporary) / "svd-xt-random"
        if not args.folder.exists():
            build(args.folder)
        drawn: dict[str, np.ndarray] = {}
        for rung in args.rungs.split(","):
            file = Path(temporary) / f"{rung}.npy"
            command = [sys.executable, __file__, "--rung", rung, "--frames-file", str(file)]
            for name in PASSED_ON:
                command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            cards.append(json.loads(out.splitlines()[-1]))
            if file.exists():
                drawn[rung] = np.load(file)
                first = next(iter(drawn.values()))
                cards[-1]["psnr_db"] = psnr(drawn[rung], first)
            print("  ".join(f"{name} {value}" for name, value in cards[-1].items()), flush=True)
    summary = {
        "benchmark": "memory",
        "device": args.device,
        "dtype": args.dtype,
        "size": args.size,
        "frames": args.frames,
        "decode_chunk": args.decode_chunk or None,
        "rungs": cards,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if args.device.startswith("cuda"):
        summary["gpu"] = torch.cuda.get_device_name(args.device)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
