"""The training loop: bit-exact resuming, the mean of parts, the average, shared steps."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn

from vtg_cli.training.loop import NAMES, Losses, Plan, Run
from vtg_cli.training.muon import Muon

PLAN = Plan(steps=6, rate=0.01, warmup=2, cooldown=0.5, parts=2, keep=100)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def fitting(net: nn.Module) -> Losses:
    """Two parts a step, on numbers that depend on the step's generator alone."""

    def losses(step: int, generator: Generator) -> list[Callable[[], Tensor]]:
        return [partial(loss, torch.randn(16, 3, generator=generator)) for _ in range(2)]

    def loss(x: Tensor) -> Tensor:
        return (net(x)[:, 0] - x.prod(1)).square().mean()  # type: ignore[no-any-return]

    return losses


def state(folder: Path) -> dict[str, dict[str, Tensor]]:
    return {name: load_file(folder / "checkpoint" / f"{name}.safetensors") for name in NAMES}


def losses_of(folder: Path) -> list[list[str]]:
    lines = (folder / "loss.csv").read_text().splitlines()
    return [line.split(",")[:2] for line in lines]


def test_six_steps_are_three_and_three_bit_for_bit(tmp_path: Path) -> None:
    whole = Run(network(), PLAN, tmp_path / "whole")
    whole.go(fitting(whole.network))
    first = Run(network(), PLAN, tmp_path / "parts")
    first.go(fitting(first.network), until=3)
    second = Run(network(), PLAN, tmp_path / "parts")
    assert second.resume() and second.step == 3
    second.go(fitting(second.network))
    one, two = state(tmp_path / "whole"), state(tmp_path / "parts")
    for name in NAMES:
        assert one[name].keys() == two[name].keys()
        assert all(torch.equal(one[name][k], two[name][k]) for k in one[name])
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "parts")
    assert not torch.equal(one["network"]["0.weight"], one["mean"]["0.weight"])


def test_losses_after_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    run = Run(network(), PLAN, tmp_path)
    run.go(fitting(run.network), until=2)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "checkpoint", kept)
    run.go(fitting(run.network), until=4)
    shutil.rmtree(tmp_path / "checkpoint")
    kept.rename(tmp_path / "checkpoint")
    assert Run(network(), PLAN, tmp_path).resume()
    assert [step for step, _ in losses_of(tmp_path)] == ["1", "2"]


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    assert not Run(network(), PLAN, tmp_path).resume()


def test_steps_follow_the_mean_of_the_parts_and_are_averaged(tmp_path: Path) -> None:
    run = Run(network(), PLAN, tmp_path)
    run.go(fitting(run.network), until=4)
    plain = network()
    optimizer = Muon(dict(plain.named_parameters()), 0.01, PLAN.decay)
    mean = copy.deepcopy(plain)
    # warm-up of 2, then the fall over the last 3 of 6: 6 - step out of 3 left
    rates = [0.005, 0.01, 0.01, 0.01]
    assert [PLAN.rate_at(step) for step in range(6)] == pytest.approx(
        [*rates, 0.01 * 2 / 3, 0.01 / 3]
    )
    for step, rate in enumerate(rates):
        generator = Generator().manual_seed(PLAN.seed * 2**32 + step)
        optimizer.zero_grad()
        total = sum(part() for part in fitting(plain)(step, generator)) / 2
        total.backward()  # type: ignore[union-attr]
        nn.utils.clip_grad_norm_(plain.parameters(), PLAN.clip)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        keep = min(PLAN.average, (step + 1) / (step + 11))
        with torch.no_grad():
            for average, p in zip(mean.parameters(), plain.parameters(), strict=True):
                average.mul_(keep).add_(p, alpha=1 - keep)
    for mine, theirs in zip(run.network.parameters(), plain.parameters(), strict=True):
        assert float((mine - theirs).detach().abs().max()) < 1e-5  # sums in another order
    for mine_, theirs in zip(run.mean.values(), mean.parameters(), strict=True):
        assert float((mine_ - theirs).detach().abs().max()) < 1e-5


def _share(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2
    )
    run = Run(network(), PLAN, folder / "two")
    run.go(fitting(run.network))


def test_processes_share_the_parts_of_a_step(tmp_path: Path) -> None:
    one = Run(network(), PLAN, tmp_path / "one")
    one.go(fitting(one.network))
    torch.multiprocessing.start_processes(_share, (tmp_path,), nprocs=2, start_method="fork")
    alone, shared = state(tmp_path / "one"), state(tmp_path / "two")
    for name, tensors in alone.items():
        for key, tensor in tensors.items():
            # sums in another order, which orthogonalising passes on
            assert float((tensor - shared[name][key]).abs().max()) < 1e-4
    losses = [[float(loss) for _, loss in losses_of(tmp_path / name)] for name in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_a_limit_in_time_keeps_the_state(tmp_path: Path) -> None:
    run = Run(network(), PLAN, tmp_path)
    run.go(fitting(run.network), until=2)
    run.go(fitting(run.network), minutes=0)
    assert run.step == 2 and Run(network(), PLAN, tmp_path).resume()


def test_a_bad_batch_does_not_spoil_the_parameters(tmp_path: Path) -> None:
    run = Run(network(), PLAN, tmp_path)

    def losses(step: int, generator: Generator) -> list[Callable[[], Tensor]]:
        parts = fitting(run.network)(step, generator)
        return [lambda part=part: part() * (float("inf") if step == 1 else 1.0) for part in parts]  # type: ignore[misc]

    run.go(losses, until=3)
    assert all(bool(p.isfinite().all()) for p in run.network.parameters())
    assert run.step == 3 and run.resume()


def test_frozen_parameters_are_neither_moved_nor_kept(tmp_path: Path) -> None:
    net = network()
    net[0].requires_grad_(False)  # type: ignore[index]
    before = net[0].weight.clone()  # type: ignore[index]
    run = Run(net, PLAN, tmp_path)
    run.go(fitting(net), until=2)
    assert torch.equal(before, net[0].weight)  # type: ignore[index]
    assert set(state(tmp_path)["network"]) == {"2.weight", "2.bias"}
