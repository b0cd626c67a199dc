"""What the ways to be quicker save, and what they do to the frames.

    python benchmarks/bench_speed.py [--scenes 6] [--compile] [--only presets,reuse,...]

    presets    the embedded model with its steps and --quality's on held-out rendered clips: PSNR
               against the true frames, seconds
    ways       tiny SVD and DynamiCrafter of random weights, 25 steps, guidance: evaluations, deep
               evaluations and CPU seconds of each way as a share of the plain one, and PSNR of its
               frames against the plain ones
    analytic   relative error of a walk for Gaussian data, whose answer is known, by solver and
               schedule
    overlap    seconds of sampling, decoding and encoding: what overlapping could save at most
    layout     a U-Net and a decoder in the usual memory layout and in channels_last

Random weights have no smooth answer for reuse to keep near to: their PSNR bounds nothing, their
counts and seconds are real. One thread, CPU seconds of one run after a warm-up. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vtg_cli.backbones import base
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.tensor import to_pixels
from vtg_cli.job.sampling import Sampling
from vtg_cli.lowmem.compile import compiling
from vtg_cli.machine.device import seeded_noise
from vtg_cli.media.encoding import Encoding
from vtg_cli.media.video import open_sink
from vtg_cli.methods import papers
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import ays_sigmas, edm_path, karras_sigmas
from vtg_cli.sampling.settings import resolved
from vtg_cli.sampling.solvers import SOLVERS
from vtg_cli.training.scenes import HELD_OUT_SEEDS, render_clip
from vtg_cli.weights.catalog import EMBEDDED_FOLDER

ROOT = Path(__file__).parents[1]
PARTS = ("presets", "ways", "analytic", "overlap", "layout")
Figures = dict[str, dict[str, float]]
Clip = NDArray[np.uint8]


def psnr(clip: Clip, truth: Clip) -> float:
    """dB; 99 where nothing differs."""
    error = float(np.mean((clip.astype(float) - truth.astype(float)) ** 2))
    return min(99.0, 10 * math.log10(255**2 / error)) if error else 99.0


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    answer = work()
    return time.process_time() - begin, answer


def presets(scenes: int) -> Figures:
    """Of the embedded model in one step, its own two, and more."""
    m = base.load(EMBEDDED_FOLDER, device="cpu")
    ways = {
        "1 step": Sampling(steps=1),
        "2 steps: default, --fast, --quality": Sampling(),
        "4 steps": Sampling(steps=4),
        "8 steps": Sampling(steps=8),
        "25 steps": Sampling(steps=25),
    }
    clips = [
        render_clip(HELD_OUT_SEEDS + i, 9, (128, 208), family="held-out") for i in range(scenes)
    ]
    found: Figures = {}
    for name, s in ways.items():
        scores, seconds = [], []
        for clip in clips:
            ends = (to_pixels(clip[k]) for k in (0, -1))
            keys = Keyframes.ends(*ends, len(clip))
            spent, frames = timed(lambda keys=keys, s=s: papers.render(m, keys, s))
            seconds.append(spent)
            scores.append(psnr(frames[1:-1], clip[1:-1]))
        found[name] = {
            "psnr": float(np.mean(scores)),
            "lowest_psnr": min(scores),
            "cpu_seconds": float(np.mean(seconds)),
        }
    return found


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "--reuse 2": {"reuse": 2},
    "--reuse 3": {"reuse": 3},
    "--guidance-span 0:0.5": {"guidance_span": (0.0, 0.5)},
    "--steps 10": {"steps": 10},
    "--steps 10 --solver dpmpp_2m": {"steps": 10, "solver": "dpmpp_2m"},
    "--steps 10 --schedule ays": {"steps": 10, "schedule": "ays"},
    "--steps 10 --schedule ays --reuse 2": {"steps": 10, "schedule": "ays", "reuse": 2},
    "--steps 8 --schedule lcm --solver lcm": {"steps": 8, "schedule": "lcm", "solver": "lcm"},
    "--steps 4 --schedule lcm --solver lcm": {"steps": 4, "schedule": "lcm", "solver": "lcm"},
}


def ways(compiled: bool) -> dict[str, Figures]:
    sys.path.insert(0, str(ROOT / "tests" / "backbones" / "dynamicrafter"))
    import tiny_models

    models = {
        "svd": base.load(ROOT / "tests" / "data" / "parity" / "tiny_svd", device="cpu"),
        "dynamicrafter": tiny_models.tiny(),
    }
    generator = torch.Generator().manual_seed(0)
    found: dict[str, Figures] = {}
    for name, m in models.items():
        size = (32, 48) if name == "svd" else (16, 24)
        pictures = torch.rand(2, 3, *size, generator=generator) * 2 - 1
        keys = Keyframes.ends(pictures[0], pictures[1], m.spec.frames)
        common = Sampling(method="trf", steps=25, guidance=(1.0, 3.0), renoise=0)
        chosen = {
            way: replace(common, **said)
            for way, said in WAYS.items()
            if name == "svd" or "--schedule" not in way
        }
        papers.render(m, keys, replace(common, steps=1))  # which warms up
        drawn = {way: _drawn(m, keys, s) for way, s in chosen.items()}
        if compiled:
            with compiling(m):
                papers.render(m, keys, common)  # which compiles
                spent, frames = timed(lambda m=m, k=keys, s=common: papers.render(m, k, s))
            drawn["--compile, once compiled"] = spent, frames
            chosen["--compile, once compiled"] = common
        plain, truth = drawn["plain"]
        found[name] = {}
        for way, (spent, frames) in drawn.items():
            work = m.spec.work(resolved(chosen[way], has_reverse=False))
            found[name][way] = {
                "evaluations": work.evaluations,
                "whole": work.whole,
                "share_of_seconds": spent / plain,
                "psnr_to_plain": psnr(frames, truth),
            }
        found[name]["plain"]["cpu_seconds"] = plain
    return found


def _drawn(m: base.Backbone, keys: Keyframes, s: Sampling, runs: int = 1) -> tuple[float, Clip]:
    found = [timed(lambda: papers.render(m, keys, s)) for _ in range(runs)]
    return min(spent for spent, _ in found), found[0][1]


def analytic() -> Figures:
    """Data of mean 0 and deviation 0.5, an x of one deviation at the start."""
    spread, found = 0.5, {}

    def predict(x: Tensor, level: Level) -> Tensor:
        return x * (spread**2 / (spread**2 + level.sigma**2))

    x = 700.0 * torch.ones(1, dtype=torch.float64)
    exact = x * spread / math.hypot(spread, 700.0)
    for steps in (10, 25):
        for schedule in ("karras", "ays"):
            sigmas = ays_sigmas(steps) if schedule == "ays" else karras_sigmas(steps, 0.002, 700)
            errors = {}
            for name in ("euler", "heun", "dpmpp_2m"):  # lcm follows no flow
                end = sample(predict, x, edm_path(sigmas), SOLVERS[name], noise=seeded_noise(0))
                errors[name] = float((end / exact - 1).abs())
            found[f"{steps} steps, {schedule}"] = errors
    return found


def overlap() -> Figures:
    """The embedded model at 480 x 832, 24 frames, and the encoder on the frames it drew."""
    m = base.load(EMBEDDED_FOLDER, device="cpu")
    clip = render_clip(HELD_OUT_SEEDS, 2, (480, 832), family="held-out")
    keys = Keyframes.ends(to_pixels(clip[0]), to_pixels(clip[-1]), 24)
    marks: list[tuple[float, str]] = []
    begin = time.perf_counter()
    frames = papers.render(
        m, keys, Sampling(), progress=lambda _, phase: marks.append((time.perf_counter(), phase))
    )
    end = time.perf_counter()
    sampled = max(t for t, phase in marks if phase == "sampling")
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else ".") / f"bench-{id(m)}.mp4"
    started = time.perf_counter()
    try:
        with open_sink(
            str(path), Encoding(), height=480, width=832, channels=3, fps=24, comment=None
        ) as sink:
            for frame in frames:
                sink.write(frame)
        written = time.perf_counter()
    finally:
        path.unlink(missing_ok=True)
    seconds = {
        "condition and sampling": sampled - begin,
        "decoding": end - sampled,
        "encoding": written - started,
    }
    spent = sum(seconds.values())
    saved = min(seconds["decoding"], seconds["encoding"])
    return {"tiny, 24 frames of 480x832": {**seconds, "most_to_save": saved / spent}}


def layout() -> Figures:
    """Seconds in channels_last as a share of those in the usual layout, fp32."""
    from diffusers import AutoencoderKLTemporalDecoder

    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(32, 320), nn.SiLU(), nn.Conv2d(320, 320, 3, padding=1)]
        blocks = nn.Sequential(*layers).eval()
        vae = AutoencoderKLTemporalDecoder(
            block_out_channels=(64, 128), down_block_types=("DownEncoderBlock2D",) * 2
        ).eval()
    x, z = torch.randn(8, 320, 32, 48), torch.randn(4, 4, 32, 48)
    found: Figures = {}
    runs: list[tuple[str, nn.Module, Callable[[Tensor], Any], Tensor]] = [
        ("convolutions of a U-Net block", blocks, blocks, x),
        ("decoder", vae, lambda v: vae.decode(v, num_frames=4), z),
    ]
    for name, module, work, value in runs:
        best: dict[str, float] = {}
        for _ in range(3):
            for form in (torch.contiguous_format, torch.channels_last):
                for parameter in module.parameters():
                    if parameter.ndim == 4:
                        parameter.data = parameter.data.contiguous(memory_format=form)
                told = value.contiguous(memory_format=form)
                with torch.inference_mode():
                    spent, _ = timed(lambda work=work, told=told: work(told))
                best[str(form)] = min(spent, best.get(str(form), math.inf))
        usual, last = best.values()
        found[name] = {"cpu_seconds": usual, "channels_last_share": last / usual}
    return found


def rows(title: str, found: Figures) -> Iterator[str]:
    yield f"\n{title}"
    for name, figures in found.items():
        told = "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
        yield f"  {name:<40} {told}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--compile", action="store_true", help="also torch.compile: a minute more")
    parser.add_argument("--only", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for part in args.only.split(","):
        if part == "ways":
            found[part] = ways(args.compile)
            for model, figures in found[part].items():
                print("\n".join(rows(f"ways, {model}", figures)), file=sys.stderr)
            continue
        answer = presets(args.scenes) if part == "presets" else globals()[part]()
        found[part] = answer
        print("\n".join(rows(part, answer)), file=sys.stderr)
    rounded = json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 4))
    print(json.dumps({"benchmark": "speed", "torch": torch.__version__, **rounded}))


if __name__ == "__main__":
    main()
