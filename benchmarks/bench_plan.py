"""The plan's predicted memory and time against what drawing then takes.

    python benchmarks/bench_plan.py [--only flow]

Each row is a process of its own that plans, predicts, draws and writes an mp4. Memory is its peak
resident size; time its CPU seconds, which other work on the machine disturbs less than a clock
(one thread is used). Sizes and numbers of frames are others than those the constants in
vtg_cli/machine/cost.py were fitted on. Last two lines: medians and worst, and all of it as one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import peak_mebibytes
from numpy.typing import NDArray
from PIL import Image

SVD = Path(__file__).parents[1] / "tests" / "data" / "parity" / "tiny_svd"
CASES = {
    "flow": (
        *((8, 96, 160), (12, 200, 356), (16, 288, 512)),
        *((10, 432, 768), (20, 640, 1136), (12, 900, 1600)),
    ),
    "tiny": (
        *((6, 96, 160), (12, 160, 288), (8, 240, 426)),
        *((6, 400, 700), (10, 400, 700), (5, 720, 1280)),
    ),
    "svd": (
        *((6, 48, 64), (6, 80, 112), (6, 112, 160)),
        *((6, 144, 208), (6, 176, 256), (6, 208, 304)),
    ),
}
"""Frames, height and width."""


def picture(height: int, width: int, shift: float) -> NDArray[np.uint8]:
    """Waves that move by `shift` of 1/32 of the long side."""
    unit = max(height, width) / 128
    y, x = np.mgrid[:height, :width] / unit
    waves = [np.sin((x + 4 * shift) / 6 + c) + np.cos((y - 2 * shift) / (5 + c)) for c in range(3)]
    return (np.stack(waves, -1) * 50 + 128).astype(np.uint8)


def child(kind: str, frames: int, height: int, width: int) -> dict[str, Any]:
    from vtg_cli.job.keywords import Options, job_of
    from vtg_cli.plan import needs
    from vtg_cli.plan.segments import planned
    from vtg_cli.render import draw

    with tempfile.TemporaryDirectory() as folder:
        keys = [f"{folder}/{name}.png" for name in "ab"]
        for shift, key in enumerate(keys):
            Image.fromarray(picture(height, width, shift)).save(key)
        options: Options = {"frames": frames, "output": f"{folder}/clip.mp4", "model": kind}
        if kind == "svd":
            options |= {"model": str(SVD), "steps": 1, "height": height, "width": width}
        made = planned(job_of(keys, options))
        cost = needs.checked(made).cost
        draw.render(made).save()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "model": kind,
        "size": f"{width}x{height}",
        "frames": frames,
        "evaluations": made.evaluations,
        "predicted_mib": round(cost.memory / 2**20),
        "measured_mib": peak_mebibytes(),
        "predicted_seconds": round(cost.seconds, 2),
        "measured_seconds": round(used.ru_utime + used.ru_stime, 2),
    }


def ratio(row: dict[str, Any], unit: str) -> float:
    """Predicted over measured."""
    return float(row[f"predicted_{unit}"] / row[f"measured_{unit}"])


def summary(rows: list[dict[str, Any]], unit: str) -> dict[str, float]:
    """Of the factors by which predictions are off, whichever way."""
    off = [math.exp(abs(math.log(ratio(row, unit)))) for row in rows]
    return {"median": round(statistics.median(off), 2), "worst": round(max(off), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=[*CASES], help="one of the models")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        kind, *counts = args.child
        print(json.dumps(child(kind, *map(int, counts))))
        return
    rows = []
    print(
        "| model | size | frames | MiB: predicted | measured | ratio "
        "| s: predicted | measured | ratio |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for kind, cases in CASES.items():
        for case in cases if args.only in (None, kind) else ():
            command = [sys.executable, __file__, "--child", kind, *map(str, case)]
            alone = os.environ | {"OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=alone)
            row = json.loads(done.stdout.splitlines()[-1])
            rows.append(row)
            memory = f"{row['predicted_mib']} | {row['measured_mib']} | {ratio(row, 'mib'):.2f}"
            seconds = f"{row['predicted_seconds']:.1f} | {row['measured_seconds']:.1f}"
            print(
                f"| {kind} | {row['size']} | {row['frames']} | {memory} | {seconds} | "
                f"{ratio(row, 'seconds'):.2f} |",
                flush=True,
            )
    found = {
        kind: {unit: summary(those, unit) for unit in ("mib", "seconds")}
        for kind in CASES
        if (those := [row for row in rows if row["model"] == kind])
    }
    print(json.dumps(found))
    print(json.dumps({"benchmark": "plan", "off_by": found, "rows": rows}))


if __name__ == "__main__":
    main()
