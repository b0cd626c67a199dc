"""DynamiCrafter's 512_interp at its real size with random weights: does it load and step on this
machine?

    python benchmarks/bench_dynamicrafter_full_size.py [--folder DIR] [--size 128x128] [--steps 1]

Builds all networks of the released configuration (U-Net, resampler, autoencoder, CLIP's image and
text towers), one after another and in bf16 from the start, in a folder as `vtg models import` makes
it. Then it loads that folder through the package in a process of its own, makes 16 frames from two
keyframes with DynamiCrafter's own sampling, and reports times and the peak resident size. The last
line is one JSON object. The frames mean nothing: nothing here is trained.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measure import counted, peak_mebibytes

VARIANT = "512_interp"
DEVIATION = 0.02
"""Of random weights of more than one dimension; norms and biases are what they are at first."""


def build(folder: Path) -> dict[str, int]:
    """Returns the parameters by part. One network at a time holds values."""
    from safetensors.torch import save_file

    from vtg_cli.backbones.dynamicrafter.spec import VARIANTS
    from vtg_cli.backbones.dynamicrafter.weights import Sizes, config_of
    from vtg_cli.weights.layout import CONFIG, INDEX

    folder.mkdir(parents=True)
    sizes = Sizes.released(VARIANT)
    generator = torch.Generator().manual_seed(0)
    counts = {}
    for part, network in sizes.networks().items():
        values = {}
        for name, meta in network.state_dict().items():
            value = torch.zeros(meta.shape, dtype=torch.bfloat16)
            if value.ndim > 1:
                value.normal_(0, DEVIATION, generator=generator)
            elif name.endswith("weight"):
                value.fill_(1)
            values[name] = value
        counts[part] = sum(value.numel() for value in values.values())
        save_file(values, folder / f"{part}.safetensors")
    (folder / CONFIG).write_text(json.dumps(config_of(VARIANTS[VARIANT], sizes)))
    (folder / INDEX).write_text(json.dumps({"_class_name": "DynamiCrafter"}))
    return counts


def child(args: argparse.Namespace) -> None:
    from vtg_cli.backbones import base
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.job.sampling import Sampling
    from vtg_cli.methods import papers

    if args.build:
        begin = time.perf_counter()
        counts = build(args.folder)
        seconds = round(time.perf_counter() - begin, 1)
        print(json.dumps({"parameters": counts, "seconds": seconds, "peak": peak_mebibytes()}))
        return
    height, width = map(int, args.size.split("x"))
    imports = peak_mebibytes()
    begin = time.perf_counter()
    m = base.load(args.folder, device="cpu", dtype="bf16")
    loaded, loaded_peak = time.perf_counter(), peak_mebibytes()
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, 3, height, width, generator=generator) * 2 - 1
    keys = Keyframes.ends(pictures[0], pictures[1], m.spec.frames)
    with torch.inference_mode():
        m.null(m.condition(keys))  # both towers, the resampler and the autoencoder's encoder
    told = time.perf_counter()
    marks: list[tuple[float, str]] = []
    with counted(m.network) as calls:
        frames = papers.render(
            m,
            keys,
            Sampling(method="dynamicrafter", steps=args.steps),
            progress=lambda share, phase: marks.append((time.perf_counter(), phase)),
        )
    sampling = [t for t, phase in marks if phase == "sampling"]
    print(
        json.dumps(
            {
                "size": args.size,
                "frames": len(frames),
                "steps": args.steps,
                "load_seconds": round(loaded - begin, 1),
                "condition_seconds": round(told - loaded, 1),
                "evaluations": calls.evaluations,
                "evaluation_seconds": round(calls.seconds / calls.evaluations, 1),
                "step_seconds": round(calls.seconds / args.steps, 1),
                "decode_seconds": round(marks[-1][0] - sampling[-1], 1),
                "imports_mebibytes": imports,
                "loaded_mebibytes": loaded_peak,
                "peak_mebibytes": peak_mebibytes(),
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="built here and kept; default: a temporary one")
    parser.add_argument("--size", default="128x128", help="height x width in pixels, 64 n each")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args)
    card: dict[str, object] = {"benchmark": "dynamicrafter_full_size", "variant": VARIANT}
    card["dtype"] = "bf16"
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary) / "dynamicrafter-random"
        command = [sys.executable, __file__, "--child", "--folder", str(folder)]
        if not folder.exists():
            built = answer([*command, "--build"])
            card["parameters"] = built["parameters"]
            card["build_seconds"] = built["seconds"]
            card["build_peak_mebibytes"] = built["peak"]
        card |= answer([*command, "--size", args.size, "--steps", str(args.steps)])
    for name, value in card.items():
        print(f"{name:<24}{value}")
    print(json.dumps(card))


def answer(command: list[str]) -> dict[str, object]:
    """What a process of its own says in its last line, so that its peak memory is its own."""
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, object] = json.loads(out.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
