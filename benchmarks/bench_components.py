"""What each component of VTG costs: network evaluations, and seconds on a CPU at tiny size.

    python benchmarks/bench_components.py [--models dynamicrafter,tiny] [--runs 3]

Of a small random DynamiCrafter (its frames mean nothing, its counts are those of the released ones)
and of the embedded model. An evaluation is one clip under one condition in one direction of time;
inversion and fitting look at clips of one frame, so frames are counted too. Seconds are this
process's CPU seconds, one thread, the least of --runs; of long tasks a part is run and all of it
told, as every step costs the same. A table goes to stderr, the last line of
stdout is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from bench_embedded import rounded, table
from measure import counted

from vtg_cli.backbones import base
from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.lora import Pair
from vtg_cli.conditioning.text import keyframe_weights, per_frame_text, text_curve
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.device import seeded_noise
from vtg_cli.methods.registry import methods
from vtg_cli.sampling.settings import resolved
from vtg_cli.training.pair import fit_pair, still_conds
from vtg_cli.training.pair_cache import DEFAULTS, PairSettings
from vtg_cli.training.pair_layers import applied
from vtg_cli.weights import delta
from vtg_cli.weights.catalog import EMBEDDED_FOLDER
from vtg_cli.weights.layout import REVERSE

FRAMES = 16
FAST_STEPS = 10
FITTED = 10
"""Steps of a keyframe's LoRA that are run here."""
GUIDED = "both, turned, guided"
FAST = "fast: slerp, no LoRA"
WHOLE = ("pair LoRA: fit alone", "slerp: inversion alone", "sampling under the LoRA")
"""What all of VTG is the sum of; interpolating captions costs nothing beside."""
LENGTH = 77  # of a caption, in tokens


@dataclass(frozen=True)
class Subject:
    """A model, and what it is asked for. own: its method of one direction; guidance: where guided;
    steps: by default; walked: of these, the ones that are run here; width: of a caption's tokens.
    """

    m: Backbone
    size: tuple[int, int]
    own: str
    guidance: float
    steps: int
    walked: int
    width: int

    def sampling(self, method: str, scale: float, steps: int, init: str = "random") -> Sampling:
        return Sampling(
            method=method, guidance=(scale, scale), steps=steps, init=init, temperature=1.0
        )

    def keys(self) -> Keyframes:
        generator = torch.Generator().manual_seed(0)
        first, last = torch.rand(2, 3, *self.size, generator=generator) * 2 - 1
        return Keyframes.ends(first, last, FRAMES)


def dynamicrafter() -> Subject:
    from vtg_cli.backbones.dynamicrafter.model import DynamiCrafter
    from vtg_cli.backbones.dynamicrafter.resampler import ResamplerConfig
    from vtg_cli.backbones.dynamicrafter.spec import VARIANTS
    from vtg_cli.backbones.dynamicrafter.towers import AutoencoderConfig, TowersConfig
    from vtg_cli.backbones.dynamicrafter.unet import UNetConfig
    from vtg_cli.backbones.dynamicrafter.weights import Sizes

    width = 32
    sizes = Sizes(
        unet=UNetConfig(
            model_channels=width,
            num_res_blocks=1,
            attention_resolutions=(2, 1),
            channel_mult=(1, 2),
            num_head_channels=16,
            context_dim=width,
        ),
        resampler=ResamplerConfig(
            width=width, depth=1, heads=2, head_width=16, in_width=width, out_width=width
        ),
        autoencoder=AutoencoderConfig(channels=(32, 32), layers=1),
        clip=TowersConfig(
            vocabulary=300,
            text_width=width,
            text_heads=2,
            text_layers=3,
            patch=56,
            image_width=width,
            image_heads=2,
            image_layers=2,
        ),
    )
    networks: dict[str, Any] = dict(sizes.networks())
    generator = torch.Generator().manual_seed(0)
    for network in networks.values():
        values = {
            name: torch.randn(v.shape, generator=generator) * 0.05
            if v.ndim > 1
            else torch.full(v.shape, float(name.endswith("weight")))
            for name, v in network.state_dict().items()
        }
        network.load_state_dict(values, assign=True, strict=False)
        network.eval().requires_grad_(False)
    facts = replace(VARIANTS["512_interp"], height=16, width=24, factor=4)
    m: Any = DynamiCrafter(**networks, facts=facts)
    return Subject(m, (16, 24), "dynamicrafter", 7.5, 50, 10, width)


def tiny() -> Subject:
    m = base.load(EMBEDDED_FOLDER, device="cpu", reverse=delta.load(EMBEDDED_FOLDER / REVERSE))
    return Subject(m, (72, 128), "i2v", 1.0, 2, 2, 0)


SUBJECTS: dict[str, Callable[[], Subject]] = {"dynamicrafter": dynamicrafter, "tiny": tiny}
Task = Callable[[], object]


@contextmanager
def with_pair(m: Backbone, pair: Pair) -> Iterator[None]:
    """Mixed per frame, in both directions of time."""
    shares = keyframe_weights((0, FRAMES - 1), FRAMES)
    with applied(m, pair, torch.stack([shares, shares.flip(1)], 1).unbind()):
        yield


def tasks(subject: Subject) -> dict[str, Task]:
    m, keys = subject.m, subject.keys()
    told: list[Pair] = []

    @torch.inference_mode()
    def walk(method: str, scale: float, steps: int, init: str = "random") -> object:
        """Sampling alone: what decodes is the same for all."""
        s = subject.sampling(method, scale, steps, init)
        s = resolved(s, has_reverse=bool(m.reverse), defaults_of=m.spec.defaults)
        return methods()[method].draw(m, keys, s, seeded_noise(0), None)

    @torch.inference_mode()
    def invert() -> object:
        s = subject.sampling("gi", 1, subject.walked, "slerp")
        s = resolved(s, has_reverse=bool(m.reverse), defaults_of=m.spec.defaults)
        return walk.between_inverted(m, keys, s)

    def fit() -> object:
        with torch.no_grad():
            conds = still_conds(m, keys)
        told[:] = [fit_pair(m, keys, conds, PairSettings(steps=FITTED))]
        return told

    def with_lora() -> object:
        with with_pair(m, told[0]):
            return walk("gi", subject.guidance, subject.walked)

    def text() -> object:
        first, last = torch.randn(
            2, 1, LENGTH, subject.width, generator=torch.Generator().manual_seed(0)
        )
        return per_frame_text(first[None], last[None], text_curve("linear", FRAMES))

    steps, scale = subject.walked, subject.guidance
    found: dict[str, Task] = {
        "one direction": lambda: walk(subject.own, 1, steps),
        "both directions": lambda: walk("trf", 1, steps),
        "both, turned attention": lambda: walk("gi", 1, steps),
    }
    if scale > 1:
        found[GUIDED] = lambda: walk("gi", scale, steps)
    found["slerp: inversion alone"] = invert
    if subject.width:
        found["text slerp alone"] = text
    found |= {
        "pair LoRA: fit alone": fit,
        "sampling under the LoRA": with_lora,
    }
    return found


def measured(m: Backbone, task: Task, runs: int, times: float) -> dict[str, float]:
    """times: how often what is run is done in all."""
    seconds = []
    for _ in range(runs):
        with counted(m.network) as calls:
            begin = time.process_time()
            task()
            seconds.append(time.process_time() - begin)
    found = {"evaluations": calls.evaluations, "frames": calls.frames, "cpu_seconds": min(seconds)}
    return {key: value * times for key, value in found.items()}


def summed(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: sum(part[key] for part in parts) for key in parts[0]}


def rows_of(found: dict[str, dict[str, float]]) -> list[list[str]]:
    rows = [["component", "evaluations", "frames", "CPU s"]]
    for name, f in found.items():
        counts = [f"{f['evaluations']:.0f}", f"{f['frames']:.0f}"]
        rows.append([name, *counts, f"{f['cpu_seconds']:.2f}"])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--models", default=",".join(SUBJECTS), help="with commas between")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    card: dict[str, Any] = {"benchmark": "components", "torch": torch.__version__}
    for name in args.models.split(","):
        subject = SUBJECTS[name]()
        found = {}
        for row, task in tasks(subject).items():
            print(f"{name}: {row}", file=sys.stderr)
            whole = DEFAULTS.steps / FITTED if "fit" in row else subject.steps / subject.walked
            found[row] = measured(subject.m, task, args.runs, 1 if "text" in row else whole)
        found["all of VTG"] = summed([found[part] for part in WHOLE])
        if subject.steps > FAST_STEPS:
            fewer = FAST_STEPS / subject.steps
            parts = [found[part] for part in (WHOLE[1], GUIDED)]
            found[FAST] = {key: v * fewer for key, v in summed(parts).items()}
        card[name] = found
        height, width = subject.size
        title = f"{name}, {FRAMES} frames of {height}x{width}, {subject.steps} steps"
        print(table(title, rows_of(found)), file=sys.stderr)
    print(json.dumps(rounded(card)))


if __name__ == "__main__":
    main()
