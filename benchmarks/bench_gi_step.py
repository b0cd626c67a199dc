"""One denoising step of Generative Inbetweening: our one network against two networks with stored
maps.

    python benchmarks/bench_gi_step.py [--latents 16x28] [--frames 14] [--dtype fp32] [--runs 5]
    [--steps 4]

The peer is the method as its reference does it, written here anew: a forward and a backward U-Net,
guidance as a batch of two, every temporal attention map of the forward pass stored, turned, and fed
to the backward pass. Ways run in turn, each in a process of its own; a run's time is its median
step after one warm-up, its memory the peak resident size less what the imports take. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from measure import forget_peak, peak_mebibytes
from torch import Tensor, nn

WAYS = ("reference", "batched", "term_by_term")
CHANNELS = (64, 128, 256, 256)
GUIDANCE = 2.0
SIGMA = 5.0


def build(dtype: torch.dtype) -> nn.Module:
    from diffusers import UNetSpatioTemporalConditionModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = UNetSpatioTemporalConditionModel(
            sample_size=32,
            block_out_channels=CHANNELS,
            addition_time_embed_dim=64,
            projection_class_embeddings_input_dim=192,
            layers_per_block=2,
            cross_attention_dim=1024,
            num_attention_heads=(1, 2, 4, 4),
            num_frames=14,
        )
    return net.to(dtype).eval().requires_grad_(False)


def deltas(net: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        name: 0.05 * torch.randn(p.shape, generator=generator).to(p)
        for name, p in net.named_parameters()
        if ".temporal_transformer_blocks.0.attn1.to_v.weight" in name
        or ".temporal_transformer_blocks.0.attn1.to_out.0.weight" in name
    }


def inputs(frames: int, height: int, width: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Latents [1, F, 4, h, w], and per direction the image token [1, 1, 1024] and latents [1, F, 4,
    h, w].
    """
    generator = torch.Generator().manual_seed(2)
    x = SIGMA * torch.randn(1, frames, 4, height, width, generator=generator)
    tokens = [torch.randn(1, 1, 1024, generator=generator) for _ in range(2)]
    stills = [torch.randn(1, 1, 4, height, width, generator=generator) for _ in range(2)]
    return x, tokens, [s.expand(-1, frames, -1, -1, -1) for s in stills]


def reference_step(net: nn.Module, frames: int, height: int, width: int) -> Callable[[], Tensor]:
    """Returns the fused x0-prediction at SIGMA."""
    from vtg_cli.ground.hooks import overriding
    from vtg_cli.sampling.level import edm_level

    back = copy.deepcopy(net)
    parameters = dict(back.named_parameters())
    for name, delta in deltas(net).items():
        parameters[name].data += delta
    x, tokens, stills = inputs(frames, height, width)
    dtype = next(net.parameters()).dtype
    ids = torch.tensor([[6.0, 127.0, 0.02]]).repeat(2, 1)
    level = edm_level(SIGMA)

    def layers(network: nn.Module) -> list[Any]:
        ends = "temporal_transformer_blocks.0.attn1"
        return [m for name, m in network.named_modules() if name.endswith(ends)]

    def attend(m: Any, maps: Tensor, h: Tensor) -> Tensor:
        mixed = torch.bmm(maps, m.head_to_batch_dim(m.to_v(h)))
        out: Tensor = m.to_out[0](m.batch_to_head_dim(mixed))
        return out

    def maps_of(m: Any, h: Tensor) -> Tensor:
        q, k = m.head_to_batch_dim(m.to_q(h)), m.head_to_batch_dim(m.to_k(h))
        scores: Tensor = m.get_attention_scores(q, k)
        return scores

    def velocity(network: nn.Module, x: Tensor, which: int) -> Tensor:
        scaled = torch.cat([x / level.scale] * 2)
        still = torch.cat([torch.zeros_like(stills[which]), stills[which]])
        token = torch.cat([torch.zeros_like(tokens[which]), tokens[which]])
        whole = torch.cat([scaled, still], 2).to(dtype)
        t = torch.tensor([level.t])
        null, cond = network(whole, t, token.to(dtype), ids, return_dict=False)[0].float().chunk(2)
        return null + GUIDANCE * (cond - null)

    def step() -> Tensor:
        stored: list[Tensor] = []

        def store(m: Any, forward: Any, h: Tensor, *_: Any, **__: Any) -> Tensor:
            stored.append(maps_of(m, h))
            return attend(m, stored[-1], h)

        with overriding(layers(net), store):
            ahead = velocity(net, x, 0)
        kept = iter(list(stored))

        def replace(m: Any, forward: Any, h: Tensor, *_: Any, **__: Any) -> Tensor:
            own = maps_of(m, h)  # the reference computes its own map and multiplies it by zero
            return attend(m, own * 0 + next(kept).flip(-2, -1), h)

        with overriding(layers(back), replace):
            behind = velocity(back, x.flip(1), 1)
        return level.x0_from_v(x, 0.5 * ahead + 0.5 * behind.flip(1))

    return step


def our_step(
    net: nn.Module, frames: int, height: int, width: int, term_by_term: bool
) -> Callable[[], Tensor]:
    from vtg_cli.backbones.base import Spec
    from vtg_cli.backbones.svd.model import SVD
    from vtg_cli.conditioning.cond import Cond
    from vtg_cli.ground.hooks import overriding
    from vtg_cli.sampling.fusion import bidirectional, rotate_pairs
    from vtg_cli.sampling.guidance import cfg
    from vtg_cli.sampling.level import edm_level

    spec = Spec(name="bench", frames=frames, fps=Fraction(7), channels=4, factor=8, area=1)
    m = SVD(net, None, None, spec, reverse=deltas(net))
    x, tokens, stills = inputs(frames, height, width)
    motion = torch.tensor([[6.0, 127.0, 0.02]])
    pair = Cond.stack(
        [
            Cond(image=t[:, None], concat=s, motion=motion)
            for t, s in zip(tokens, stills, strict=True)
        ]
    )
    predict = bidirectional(cfg(m, pair, m.null(pair), GUIDANCE, sequential=term_by_term), 0.5)

    def step() -> Tensor:
        with overriding(m.modules("temporal_attention"), rotate_pairs(m.reverse)):
            return predict(x, edm_level(SIGMA))

    return step


@torch.inference_mode()
def child(args: argparse.Namespace) -> None:
    import diffusers  # noqa: F401

    import vtg_cli.backbones.svd.model  # noqa: F401

    torch.set_num_threads(args.threads)
    imports = peak_mebibytes()
    height, width = map(int, args.latents.split("x"))
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    net = build(dtype)
    if args.child == "reference":
        step = reference_step(net, args.frames, height, width)
    else:
        step = our_step(net, args.frames, height, width, args.child == "term_by_term")
    forget_peak()  # building needs more than what is built
    times = []
    for _ in range(args.steps + 1):
        begin = time.process_time()
        x0 = step()
        times.append(time.process_time() - begin)
    result = {
        "seconds": statistics.median(times[1:]),
        "mebibytes": peak_mebibytes() - imports,
        "probe": x0.flatten()[:: max(1, x0.numel() // 500)].tolist(),
    }
    print(json.dumps(result))


def run(way: str, args: argparse.Namespace, steps: int, frugal: bool = False) -> dict[str, Any]:
    """One process. frugal: its allocator returns every freed block at once, so that the peak is
    what was in use; that costs time, so times are taken without."""
    command = [sys.executable, __file__, "--child", way, "--steps", str(steps)]
    for name in ("latents", "frames", "dtype", "threads"):
        command += [f"--{name}", str(getattr(args, name))]
    returning = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    environment = {**os.environ, **(returning if frugal else {})}
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    result: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--latents", default="16x28", help="height x width")
    parser.add_argument("--frames", type=int, default=14)
    parser.add_argument("--dtype", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="timed steps per run")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args)
    memory = {way: run(way, args, 1, frugal=True)["mebibytes"] for way in WAYS}
    rounds = [{way: run(way, args, args.steps) for way in WAYS} for _ in range(args.runs)]
    summary: dict[str, Any] = {
        "benchmark": "gi_step",
        "channels": CHANNELS,
        **{n: getattr(args, n) for n in ("latents", "frames", "dtype", "runs", "steps", "threads")},
        "torch": torch.__version__,
    }
    head = ("way", "s/step", "ratio (min..max)", "MiB net", "ratio", "max diff")
    print("{:<14}{:>9}{:>24}{:>10}{:>8}{:>11}".format(*head))
    for way in WAYS:
        mine, theirs = [r[way] for r in rounds], [r["reference"] for r in rounds]
        time_ratios = [a["seconds"] / b["seconds"] for a, b in zip(mine, theirs, strict=True)]
        differences = [
            abs(p - q)
            for a, b in zip(mine, theirs, strict=True)
            for p, q in zip(a["probe"], b["probe"], strict=True)
        ]
        row = {
            "seconds": round(statistics.median(r["seconds"] for r in mine), 4),
            "time_ratio": round(statistics.median(time_ratios), 3),
            "time_ratio_range": [round(min(time_ratios), 3), round(max(time_ratios), 3)],
            "mebibytes": memory[way],
            "memory_ratio": round(memory[way] / memory["reference"], 3),
            "max_difference": max(differences),
        }
        summary[way] = row
        span = f"{row['time_ratio']:.3f} ({min(time_ratios):.2f}..{max(time_ratios):.2f})"
        print(
            f"{way:<14}{row['seconds']:>9.3f}{span:>24}{row['mebibytes']:>10.0f}"
            f"{row['memory_ratio']:>8.2f}{row['max_difference']:>11.1e}"
        )
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
