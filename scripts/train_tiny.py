"""Train the embedded model's prior from nothing; an entry until `vtg train tiny` exists.

    python scripts/train_tiny.py --out RUN --shards 256 --steps 20000     and again to go on

Renders the bank first (RUN/bank, kept), then trains; RUN/tiny.safetensors is the averaged network.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Generator, Tensor

from vtg_cli.backbones.tiny.model import Tiny
from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.prior import spread
from vtg_cli.backbones.tiny.weights import save
from vtg_cli.conditioning.cond import Cond
from vtg_cli.device import choose_device
from vtg_cli.training.data import Bank, Clips, build_bank
from vtg_cli.training.loop import Losses, Plan, Run
from vtg_cli.training.losses import denoising_loss, edm_weight, log_normal_levels

LEVELS = (-1.6, 1.6)
"""Mean and deviation of ln(sigma): about the spread of latents, up to where a sample starts."""
TYPICAL = 0.17
"""Root mean square of the spread; certain places weigh less than doubtful ones by r / TYPICAL."""


def prior_losses(m: Tiny, batches: Iterator[Tensor], plan: Plan, half: bool) -> Losses:
    """The denoising loss of the next batch of rendered clips, a level to each part of it."""
    device = next(m.network.parameters()).device

    def losses(step: int, generator: Generator) -> Iterator[Tensor]:
        samples = next(batches).to(device)
        levels = log_normal_levels(plan.parts, *LEVELS, generator)
        for part, level in zip(samples.chunk(plan.parts), levels, strict=True):
            x0, cond = part[:, :, :3], Cond(concat=part[:, :, 3:])
            eps = torch.randn(x0.shape, generator=generator).to(device)
            r = spread(part[:, :, 3:])
            weight = edm_weight(level, r) * r / TYPICAL
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                yield denoising_loss(m, x0, eps, level, cond, weight)

    return losses


def main() -> None:
    a = _arguments()
    torch.set_num_threads(a.threads)
    device = choose_device(a.device)
    began = time.monotonic()

    def told(done: int, of: int) -> None:
        print(f"bank {done}/{of} shards, {time.monotonic() - began:.0f} s", flush=True)

    folder = a.bank or a.out / "bank"
    files = build_bank(Clips(side=a.side), folder, a.shards, a.workers, told)
    bank = Bank(files, a.window)
    plan = Plan(steps=a.steps, rate=a.rate, keep=a.keep, warmup=min(200, a.steps))
    torch.manual_seed(plan.seed)  # the initial weights
    network = Network(Shape(width=a.width, depth=a.depth)).to(device)
    run = Run(network, plan, a.out)
    print("goes on" if run.resume() else "begins", "at step", run.step, "on", device, flush=True)
    recent: list[float] = []

    def on_step(step: int, loss: float) -> None:
        recent.append(loss)
        if step % 50 == 0:
            rate = 50 * a.batch / (time.monotonic() - marks[0])
            marks[0] = time.monotonic()
            print(f"{step} loss {sum(recent) / len(recent):.4f} {rate:.1f} clips/s", flush=True)
            recent.clear()

    marks = [time.monotonic()]
    readers = a.workers if device.type == "cuda" else 0
    batches = bank.batches(a.batch, run.step, plan.steps, readers)
    half = a.dtype == "bf16"
    run.go(prior_losses(Tiny(network), batches, plan, half), a.until, a.minutes, on_step)
    save(run.mean, network.shape, a.out / "tiny.safetensors")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--bank", type=Path, help="folder of rendered clips [OUT/bank]")
    parser.add_argument("--steps", type=int, default=20_000, help="in all; fixes the rate's fall")
    parser.add_argument("--until", type=int, help="stop here for now")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after, for now")
    parser.add_argument("--batch", type=int, default=16, help="clips a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--shards", type=int, default=96, help="of 32 rendered clips")
    parser.add_argument("--side", type=int, default=96, help="pixels of a clip")
    parser.add_argument("--window", type=int, default=32, help="latents cut out of a clip")
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--keep", type=int, default=250, help="steps between checkpoints")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="bf16", help="of the network")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", 0)) or 2
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
