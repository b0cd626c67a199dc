"""The training loop: bit-exact resuming, the mean of parts, the average, shared steps."""

from __future__ import annotations

import copy
import math
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from vtg_cli.errors import QualityError, WeightsError
from vtg_cli.training.checkpoint import NAMES
from vtg_cli.training.log import rows
from vtg_cli.training.loop import Losses, Plan, Run
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


def newest(folder: Path) -> Path:
    (only,) = folder.glob("checkpoint*")
    return only


def state(folder: Path) -> dict[str, dict[str, Tensor]]:
    return {name: load_file(newest(folder) / f"{name}.safetensors") for name in NAMES}


def losses_of(folder: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in rows(folder)]


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
    shutil.copytree(newest(tmp_path), kept)
    run.go(fitting(run.network), until=4)
    shutil.rmtree(newest(tmp_path))
    kept.rename(tmp_path / "checkpoint-000000002")
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 1')  # of a step 10 or later: its writer was killed
    assert Run(network(), PLAN, tmp_path).resume()
    assert [step for step, _ in losses_of(tmp_path)] == [1, 2]


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
    losses = [[loss for _, loss in losses_of(tmp_path / name)] for name in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_a_limit_in_time_keeps_the_state(tmp_path: Path) -> None:
    run = Run(network(), PLAN, tmp_path)
    run.go(fitting(run.network), until=2)
    run.go(fitting(run.network), minutes=0)
    assert run.step == 2 and Run(network(), PLAN, tmp_path).resume()


def spoiled(net: nn.Module, steps: Collection[int], by: float = math.inf) -> Losses:
    """As `fitting`, but at the steps of these numbers, from 0 on, a gradient is no number."""

    def losses(step: int, generator: Generator) -> list[Callable[[], Tensor]]:
        parts = fitting(net)(step, generator)
        return [lambda part=part: part() * (by if step in steps else 1) for part in parts]  # type: ignore[misc]

    return losses


OPTIMIZERS: list[Literal["muon", "adamw"]] = ["muon", "adamw"]


@pytest.mark.parametrize("by", [math.inf, math.nan])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_without_a_gradient_changes_nothing_and_is_told(
    optimizer: Literal["muon", "adamw"], by: float, tmp_path: Path
) -> None:
    plan, notes = replace(PLAN, optimizer=optimizer), list[str]()
    run = Run(network(), plan, tmp_path, notes.append)
    run.go(spoiled(run.network, [0], by), until=1)  # nothing has moved yet
    first = state(tmp_path)
    assert all(torch.equal(first["network"][n], p) for n, p in network().named_parameters())
    assert not any(bool(t.any()) for name in ("moment1", "moment2") for t in first[name].values())
    run.go(fitting(run.network), until=3)
    before = state(tmp_path)
    count = [float(s["step"]) for s in run.optimizer.state.values()]
    run.go(spoiled(run.network, [3], by), until=4)
    after = state(tmp_path)
    for name in NAMES:
        assert all(torch.equal(before[name][k], after[name][k]) for k in before[name])
    assert [float(s["step"]) for s in run.optimizer.state.values()] == count
    assert (run.step, run.overflowed, run.row) == (4, 2, 1)
    assert notes == [
        f"the gradients of {some} were not numbers: these steps were left out"
        for some in ("1 of 1 steps", "2 of 4 steps")
    ]
    assert [row["overflowed"] for row in rows(tmp_path)] == [1, 1, 1, 2]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resuming_after_steps_that_were_left_out_is_bit_for_bit(
    optimizer: Literal["muon", "adamw"], tmp_path: Path
) -> None:
    plan = replace(PLAN, optimizer=optimizer)
    for stops in ([6], [1, 2, 4, 6]):
        for stop in stops:
            run = Run(network(), plan, tmp_path / str(len(stops)))
            assert run.resume() == (stop != stops[0])
            run.go(spoiled(run.network, [0, 2, 3]), until=stop)
        assert (run.step, run.overflowed, run.row) == (6, 3, 0)
    one, two = state(tmp_path / "1"), state(tmp_path / "4")
    for name in NAMES:
        assert all(torch.equal(one[name][k], two[name][k]) for k in one[name])


def test_ten_such_steps_in_a_row_end_a_run_across_a_resume_too(tmp_path: Path) -> None:
    plan = replace(PLAN, steps=40, keep=5)
    run = Run(network(), plan, tmp_path)
    run.go(spoiled(run.network, [0, *range(2, 11)]), until=12)  # nine in a row are not enough
    assert (run.overflowed, run.row) == (10, 0)
    run.go(spoiled(run.network, range(14, 40)), until=17)
    again = Run(network(), plan, tmp_path)
    assert again.resume() and (again.step, again.overflowed, again.row) == (17, 13, 3)
    with pytest.raises(QualityError) as caught:
        again.go(spoiled(again.network, range(14, 40)))
    assert caught.value.exit_code == 6
    assert caught.value.message == (
        "the gradients of 10 steps in a row, up to step 24, are not numbers"
    )
    last = Run(network(), plan, tmp_path)
    assert last.resume() and last.step == 20  # the last that was kept
    assert all(bool(p.isfinite().all()) for p in last.network.parameters())


def test_a_damaged_checkpoint_is_passed_over_and_told(tmp_path: Path) -> None:
    run = Run(network(), PLAN, tmp_path)
    run.go(fitting(run.network), until=2)
    kept = shutil.copytree(newest(tmp_path), tmp_path / "kept")
    run.go(fitting(run.network), until=4)
    torn = newest(tmp_path)
    kept.rename(tmp_path / "checkpoint-000000002")
    weights = torn / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    notes: list[str] = []
    again = Run(network(), PLAN, tmp_path, notes.append)
    assert again.resume() and again.step == 2
    assert notes == [f"{torn} is damaged and passed over", "goes on from step 2 of 6"]
    again.go(fitting(again.network), until=4)  # in the place of the damaged one
    assert newest(tmp_path) == torn
    third = Run(network(), PLAN, tmp_path)
    assert third.resume() and third.step == 4
    assert torch.equal(third.network[0].weight, run.network[0].weight)  # type: ignore[index]


@pytest.mark.parametrize("content", ["cut", "no numbers", "no state"])
def test_where_all_are_damaged_nothing_begins_again_by_itself(content: str, tmp_path: Path) -> None:
    run = Run(network(), PLAN, tmp_path)
    run.go(fitting(run.network), until=2)
    place = newest(tmp_path)
    if content == "no state":
        (place / "state.json").unlink()
    else:
        tensors = load_file(place / "mean.safetensors")
        tensors["0.bias"][1] = math.nan
        save_file(tensors, place / "mean.safetensors")
        whole = (place / "mean.safetensors").read_bytes()
        (place / "mean.safetensors").write_bytes(whole[: -5 if content == "cut" else None])
    with pytest.raises(WeightsError) as caught:
        Run(network(), PLAN, tmp_path).resume()
    assert caught.value.message == f"{place} is damaged, and there is no other checkpoint"
    assert place.is_dir()


def test_a_checkpoint_is_on_the_disk_before_its_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, done = Run(network(), PLAN, tmp_path), list[str]()
    fsync, rename = os.fsync, os.replace

    def flushed(descriptor: int) -> None:
        fsync(descriptor)
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    def renamed(*names: Any, **folders: Any) -> None:
        rename(*names, **folders)
        done.append("renamed")

    run._one(fitting(run.network))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flushed)
        patch.setattr(os, "replace", renamed)
        run.save()
    files = [*sorted(f"{name}.safetensors" for name in NAMES), "state.json"]
    assert done[:5] == files and done[5].startswith(".vtg-")
    assert done[6:] == ["renamed", tmp_path.name]


@pytest.mark.parametrize("layout", [("checkpoint",), ("checkpoint.old",), ("checkpoint.partial",)])
def test_checkpoints_without_a_step_in_their_name_are_resumed(
    layout: tuple[str, ...], tmp_path: Path
) -> None:
    whole = Run(network(), PLAN, tmp_path / "whole")
    whole.go(fitting(whole.network))
    run = Run(network(), PLAN, tmp_path / "old")
    run.go(fitting(run.network), until=3)
    place = newest(tmp_path / "old")
    (place / "state.json").write_text('{"step": 3}')  # all there was in it
    place.rename(tmp_path / "old" / layout[0])
    (tmp_path / "old" / "checkpoint.partial").mkdir(exist_ok=True)  # which a kill may leave
    again = Run(network(), PLAN, tmp_path / "old")
    assert again.resume() and again.step == 3
    again.go(fitting(again.network))
    one, two = state(tmp_path / "whole"), state(tmp_path / "old")
    for name in NAMES:
        assert all(torch.equal(one[name][k], two[name][k]) for k in one[name])


def test_frozen_parameters_are_neither_moved_nor_kept(tmp_path: Path) -> None:
    net = network()
    net[0].requires_grad_(False)  # type: ignore[index]
    before = net[0].weight.clone()  # type: ignore[index]
    run = Run(net, PLAN, tmp_path)
    run.go(fitting(net), until=2)
    assert torch.equal(before, net[0].weight)  # type: ignore[index]
    assert set(state(tmp_path)["network"]) == {"2.weight", "2.bias"}
