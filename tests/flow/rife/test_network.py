"""The network against recordings of the released one, and against itself read off at full size."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parent))

import vectors

from vtg_cli.flow.rife.network import SCALES, IFNet, Motion, carried, looked_at
from vtg_cli.flow.rife.weights import load

plainly = import_module("bench_rife").plainly

GATES = {"rule": (1e-4, 5e-5), "real": (5e-4, 2e-4)}
"""Of flow and of the picture: many times what float32 differs from float64, a hundredth of what a
wrong order of channels or arguments makes."""


def network_of(weights: str) -> IFNet:
    if weights == "rule":
        return vectors.rule()
    folder = vectors.pulled()
    if folder is None:
        pytest.skip("the real weights are not on this machine: vtg models pull rife")
    return load(folder, device="cpu").network


@pytest.mark.parity
@pytest.mark.parametrize("case", vectors.cases())
def test_recordings(case: str) -> None:
    """Every stage's flow, the mask and the picture, also where other times go along."""
    record, recorded = vectors.record(case), vectors.tensors(case)
    network = network_of(record["weights"])
    flow_gate, picture_gate = GATES[record["weights"]]
    first, last = recorded["in.a"], recorded["in.b"]
    flows: list[Tensor] = []
    with torch.inference_mode():
        alone = network(
            first, last, torch.tensor([record["t"]]), record["scales"], on_stage=flows.append
        )
        times = torch.tensor([0.9, record["t"]])
        beside = network(first, last, times, record["scales"])
    stages = [k for k in range(5) if f"flow.{k}" in recorded]
    assert {0, 4} <= {*stages}
    for k in stages:
        torch.testing.assert_close(flows[k], recorded[f"flow.{k}"], rtol=0, atol=flow_gate)
    for motion in (alone, Motion(beside.flow[1:], beside.mask[1:])):
        torch.testing.assert_close(motion.flow, recorded["flow.4"], rtol=0, atol=flow_gate)
        torch.testing.assert_close(motion.mask, recorded["mask"], rtol=0, atol=flow_gate)
        merged = motion.merged(first, last)
        torch.testing.assert_close(merged, recorded["merged"], rtol=0, atol=picture_gate)


def test_there_are_recordings_of_the_rule() -> None:
    assert {vectors.record(case)["weights"] for case in vectors.cases()} >= {"rule"}


def test_parameters_are_those_of_the_released_file() -> None:
    state = IFNet().state_dict()
    assert [(name, [*tensor.shape]) for name, tensor in state.items()] != []
    assert {name: [*tensor.shape] for name, tensor in state.items()} == dict(vectors.names())
    assert sum(tensor.numel() for tensor in state.values()) == 5_664_776


@pytest.mark.parametrize("scales", [SCALES, (32, 16, 8, 4, 2)])
def test_reading_off_where_it_is_looked_changes_nothing(scales: tuple[int, ...]) -> None:
    """In float64, where a coarse stage reads a part of the pixels: 1e-9 is a million roundings."""
    network = vectors.rule(torch.float64)
    noise = torch.Generator().manual_seed(3)
    low = torch.rand(2, 3, 16, 16, generator=noise, dtype=torch.float64)
    first, last = F.interpolate(low, size=(128, 128), mode="bilinear").split(1)
    with torch.inference_mode():
        ours = network(first, last, torch.tensor([0.3], dtype=torch.float64), scales)
        plain = plainly(network, first, last, 0.3, scales)
    # a place between pixels is a float32 in linspace: 128 pixels of it
    torch.testing.assert_close(ours.flow, plain.flow, rtol=0, atol=1e-9)
    torch.testing.assert_close(ours.mask, plain.mask, rtol=0, atol=1e-9)


@pytest.mark.parametrize("step", [1, 2, 4, 16])
def test_looked_at_is_what_a_smaller_picture_is_the_mean_of(step: int) -> None:
    row = torch.rand(1, 1, 1, 64, dtype=torch.float64)
    small = F.interpolate(row, scale_factor=(1, 1 / step), mode="bilinear", align_corners=False)
    read = row[..., looked_at(64, step)]
    wanted = read if step == 1 else read.unflatten(-1, (-1, 2)).mean(-1)
    torch.testing.assert_close(small, wanted, rtol=0, atol=1e-15)


def test_carried_fetches_from_where_the_flow_points() -> None:
    """Whole pixels of an integer ramp, its border going on."""
    ramp = torch.arange(8.0).expand(1, 1, 4, 8)
    flow = torch.zeros(2, 2, 4, 8)
    flow[0, 0], flow[1, 0] = 3, -2.5
    right, left = carried(ramp, flow)[:, 0, 1]
    torch.testing.assert_close(right, torch.tensor([3.0, 4, 5, 6, 7, 7, 7, 7]), rtol=0, atol=4e-6)
    torch.testing.assert_close(
        left, torch.tensor([0, 0, 0, 0.5, 1.5, 2.5, 3.5, 4.5]), rtol=0, atol=4e-6
    )
