"""Muon: updates by singular values in closed form, PyTorch's AdamW for the rest."""

from __future__ import annotations

import pytest
import torch
from rounding import rounding
from torch import nn

from vtg_cli.training.muon import RMS, Muon, is_matrix, orthogonal


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    out = orthogonal(x)
    values = torch.linalg.svdvals(out)
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3  # the quintic's band
    # the directions are x's own: between them nothing is mixed
    inner = u.T @ out @ v.T
    assert float((inner - inner.diagonal().diag()).abs().max()) < 1e-3


def test_matrices_move_by_the_closed_form() -> None:
    rate, decay, momentum = 0.01, 0.1, 0.95
    generator = torch.Generator().manual_seed(0)
    p = nn.Parameter(torch.full((12, 20), 0.1, dtype=torch.float64))
    optimizer = Muon({"w": p}, lr=rate, decay=decay)
    expected, average = p.detach().clone(), torch.zeros(12, 20, dtype=torch.float64)
    for _ in range(4):
        p.grad = torch.randn(12, 20, generator=generator, dtype=torch.float64)
        average = momentum * average + (1 - momentum) * p.grad
        ahead = momentum * average + (1 - momentum) * p.grad
        # an odd polynomial of a matrix acts on its singular values and leaves their directions
        u, values, v = torch.linalg.svd(ahead, full_matrices=False)
        values = values / (values.square().sum().sqrt() + 1e-7)
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        update = u @ values.diag() @ v
        expected = (1 - rate * decay) * expected - rate * 0.2 * 20**0.5 * update
        optimizer.step()
    # four updates of 0.009 times entries below one: five iterations of three products of up to 20
    # terms, a rounding grown by at most 3.4445 in each; then two roundings of numbers below one
    count = 4 * (0.009 * 5 * 3 * 20 * 3.4445**5 + 2)
    error = float((p.detach() - expected).abs().max())
    assert error < count * torch.finfo(torch.float64).eps


def test_the_rest_moves_as_with_adamw() -> None:
    mine, theirs = (nn.Parameter(torch.ones(5)) for _ in range(2))
    ours = Muon({"bias": mine}, lr=0.1, decay=0.3)
    adam = torch.optim.AdamW([theirs], lr=0.1, betas=(0.9, 0.99), weight_decay=0.0)
    for i in range(5):
        mine.grad = theirs.grad = torch.arange(5.0) - i
        ours.step()
        adam.step()
    # five steps of some eight roundings in numbers of about one
    assert float((mine - theirs).detach().abs().max()) < rounding(5 * 8)


def test_an_update_has_adamws_size() -> None:
    p = nn.Parameter(torch.zeros(64, 32))
    optimizer = Muon({"w": p}, lr=1.0, decay=0.0)
    p.grad = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    rms = float(p.detach().square().mean().sqrt())
    assert rms == pytest.approx(RMS, rel=0.25)  # singular values of 0.7 to 1.2


def test_what_counts_as_a_matrix() -> None:
    net = nn.Module()
    net.linear = nn.Linear(4, 8)
    net.near = nn.Conv2d(8, 8, 3, groups=8)
    net.table = nn.Parameter(torch.zeros(9, 8))
    found = {name for name, p in net.named_parameters() if is_matrix(name, p)}
    assert found == {"linear.weight"}
