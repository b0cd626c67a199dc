"""Train the embedded model from nothing, in two stages; either goes on where it stopped.

    python scripts/train_tiny.py prior   --out RUN --shards 100 --steps 6000
    python scripts/train_tiny.py reverse --out RUN --shards 100 --steps 400

`prior` renders the bank of clips first (RUN/bank, kept) and trains the network; `reverse` trains
what the time-reversed half of rotated attention adds to it. RUN/model is the model's folder
(vtg interpolate --model RUN/model), RUN/loss.png the course of the loss.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from vtg_cli.backbones.tiny.model import Tiny
from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.prior import backwards
from vtg_cli.backbones.tiny.weights import load, save
from vtg_cli.conditioning.cond import Cond
from vtg_cli.machine.device import choose_device
from vtg_cli.sampling.level import Level
from vtg_cli.training.data import Bank, Clips, build_bank
from vtg_cli.training.example import Example
from vtg_cli.training.log import draw_curve
from vtg_cli.training.loop import Losses, Plan, Run
from vtg_cli.training.losses import denoising_loss, log_normal_levels
from vtg_cli.training.reverse import ReverseMotion
from vtg_cli.weights import delta
from vtg_cli.weights.layout import REVERSE

LEVELS = (0.0, 1.8)
"""Mean and deviation of ln(sigma): about the spread of latents, up to where a sample starts."""
STRIDES = (1, 2, 3, 2)
"""Of 13 frames the parts of a step are shown 13, 7 or 5: the network must do with any number."""

PartLoss = Callable[[Tensor, Tensor, Tensor, Level], Tensor]
"""(x0, concat, eps, level) -> the loss of a part"""


def rendered_losses(
    batches: Iterator[Tensor], plan: Plan, device: torch.device, half: bool, told: PartLoss
) -> Losses:
    """The loss of the next batch of rendered clips, a level and a number of frames to each part."""

    def losses(step: int, generator: Generator) -> list[Callable[[], Tensor]]:
        samples = next(batches)
        levels = log_normal_levels(plan.parts, *LEVELS, generator)
        parts = [
            part[:, :: STRIDES[(step + i) % len(STRIDES)]]
            for i, part in enumerate(samples.chunk(plan.parts))
        ]
        noises = [torch.randn(part[:, :, :3].shape, generator=generator) for part in parts]
        return [partial(loss, *given) for given in zip(parts, noises, levels, strict=True)]

    def loss(samples: Tensor, eps: Tensor, level: Level) -> Tensor:
        x0, concat = samples[:, :, :3].to(device), samples[:, :, 3:].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return told(x0, concat, eps.to(device), level)

    return losses


def prior(a: argparse.Namespace, rank: int) -> None:
    """Stage one: the network."""
    device = choose_device(a.device)
    torch.manual_seed(0)  # the initial weights
    network = Network(Shape(width=a.width, depth=a.depth)).to(device)
    m = Tiny(network)

    def told(x0: Tensor, concat: Tensor, eps: Tensor, level: Level) -> Tensor:
        cond = Cond(concat=concat)
        return denoising_loss(m, x0, eps, level, cond, m.training_weight(level, cond))

    run = train(a, network, a.out / "prior", device, told)
    if rank == 0:
        save(run.mean, network.shape, a.out / "model")


def reverse(a: argparse.Namespace, rank: int) -> None:
    """Stage two: the reverse-motion delta; the network stays as it is."""
    device = choose_device(a.device)
    m = load(a.out / "model", device=str(device))
    trained = ReverseMotion(m).to(device)

    def told(x0: Tensor, concat: Tensor, eps: Tensor, level: Level) -> Tensor:
        pair = Cond(concat=torch.cat([concat, backwards(concat)]))
        return trained.loss(Example(x0=x0, eps=eps, level=level, pair=pair))

    with trained.applied():
        run = train(a, trained, a.out / "reverse", device, told)
    if rank == 0:
        deltas = trained.by_name(list(run.mean.values()))
        delta.save(deltas, a.out / "model" / REVERSE, {"steps": str(run.step)})


def train(
    a: argparse.Namespace, network: nn.Module, folder: Path, device: torch.device, told: PartLoss
) -> Run:
    """One stage, up to where it is to stop for now."""
    plan = Plan(steps=a.steps, rate=a.rate, keep=a.keep, warmup=max(1, min(200, a.steps // 10)))
    run = Run(network, plan, folder, partial(print, flush=True))
    print("on", device, "" if run.resume() else "from the beginning", flush=True)
    recent: list[float] = []

    def on_step(step: int, loss: float) -> None:
        recent.append(loss)
        if step % 50 == 0:
            rate = 50 * a.batch / (time.monotonic() - marks[0])
            marks[0] = time.monotonic()
            print(f"{step} loss {sum(recent) / len(recent):.4f} {rate:.1f} clips/s", flush=True)
            recent.clear()
            draw_curve({stage: a.out / stage for stage in ("prior", "reverse")}, a.out / "loss.png")

    marks = [time.monotonic()]
    bank = Bank(sorted((a.bank or a.out / "bank").glob("*.npy"))[: a.shards], a.window)
    readers = a.workers if device.type == "cuda" else 0
    batches = bank.batches(a.batch, run.step, plan.steps, readers)
    losses = rendered_losses(batches, plan, device, a.dtype == "bf16", told)
    run.go(losses, a.until, a.minutes, on_step)
    return run


def main() -> None:
    a = _arguments()
    began = time.monotonic()

    def told(done: int, of: int) -> None:
        print(f"bank {done}/{of} shards, {time.monotonic() - began:.0f} s", flush=True)

    build_bank(Clips(side=a.side), a.bank or a.out / "bank", a.shards, a.workers, told)
    if a.processes == 1:
        stage(0, a)
        return
    (a.out / "rendezvous").unlink(missing_ok=True)
    torch.multiprocessing.start_processes(stage, (a,), nprocs=a.processes, start_method="spawn")


def stage(rank: int, a: argparse.Namespace) -> None:
    """One of the processes that share the parts of every step."""
    torch.set_num_threads(a.threads)
    if a.processes > 1:
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{(a.out / 'rendezvous').absolute()}",
            rank=rank,
            world_size=a.processes,
        )
    {"prior": prior, "reverse": reverse}[a.stage](a, rank)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("prior", "reverse"))
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--bank", type=Path, help="folder of rendered clips [OUT/bank]")
    parser.add_argument("--steps", type=int, default=6000, help="in all; fixes the rate's fall")
    parser.add_argument("--until", type=int, help="stop here for now")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after, for now")
    parser.add_argument("--batch", type=int, default=16, help="clips a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--shards", type=int, default=100, help="of 32 rendered clips")
    parser.add_argument("--side", type=int, default=96, help="pixels of a rendered clip")
    parser.add_argument("--window", type=int, default=32, help="latents cut out of a clip")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--keep", type=int, default=250, help="steps between checkpoints")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="bf16", help="of the network")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--processes", type=int, default=1, help="that share a step, on CPUs")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="render clips")
    return parser.parse_args()


if __name__ == "__main__":
    main()
