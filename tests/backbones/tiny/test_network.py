"""The embedded network: attention against PyTorch's, rotation against written maps, any size."""

from __future__ import annotations

import pytest
import torch
from rounding import DEEP, rounding
from torch import Tensor, nn

from vtg_cli.backbones.tiny.network import Attention, Network, Shape, waves
from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.fusion import Delta, rotate_pairs

SMALL = Shape(width=32, depth=2, head=16, fine=8, middle=16)


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(32, 2)


def awake(shape: Shape = SMALL) -> Network:
    """A network whose zero layers are filled, so that every part matters."""
    torch.manual_seed(0)
    network = Network(shape)
    for parameter in network.parameters():
        if not bool(parameter.any()):
            nn.init.normal_(parameter, std=0.2)
    return network.eval()


def test_attention_is_pytorchs(attention: Attention) -> None:
    theirs = nn.MultiheadAttention(32, 2, batch_first=True)
    parts = (attention.to_q, attention.to_k, attention.to_v)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(attention.to_out[0].weight)
        theirs.out_proj.bias.copy_(attention.to_out[0].bias)
        h = torch.randn(5, 7, 32)
        # four products and a softmax, each of them sums of 32 numbers of about one
        assert float((attention(h) - theirs(h, h, h)[0]).abs().max()) < rounding(5 * 32)


def test_rotated_attention_is_the_forward_map_turned(attention: Attention) -> None:
    """A'[i, j] = A[F-1-i, F-1-j], with the map written out."""
    h = torch.randn(6, 5, 32)
    delta = Delta(to_v=torch.randn(32, 32) * 0.1)
    with torch.no_grad(), overriding([attention], rotate_pairs({attention: delta})):
        out = attention(h)

    def heads(x: Tensor) -> Tensor:
        return x.view(3, 5, 2, 16).transpose(1, 2)

    with torch.no_grad():
        q, k = heads(attention.to_q(h[:3])), heads(attention.to_k(h[:3]))
        turned = (q @ k.mT / 4).softmax(-1).flip(-1, -2)
        v = heads(h[3:] @ (attention.to_v.weight + delta.to_v).T)
        back = attention.to_out[0]((turned @ v).transpose(1, 2).flatten(-2))
        assert float((out[:3] - attention(h[:3])).abs().max()) < rounding(5 * 32)
        assert float((out[3:] - back).abs().max()) < rounding(5 * 32)


def test_it_says_nothing_before_training() -> None:
    out = Network(SMALL)(torch.randn(1, 3, 15, 8, 8), 0.1)
    assert out.shape == (1, 3, 5, 8, 8) and not bool(out.any())


@pytest.mark.parametrize(("frames", "height", "width"), [(2, 4, 20), (7, 12, 8), (16, 9, 7)])
def test_any_length_and_any_size(frames: int, height: int, width: int) -> None:
    with torch.no_grad():
        out = awake()(torch.randn(2, frames, 15, height, width), -0.4)
    assert out.shape == (2, frames, 5, height, width) and float(out.std()) > 0.01


def test_clips_of_a_batch_do_not_see_each_other() -> None:
    x = torch.randn(2, 4, 15, 8, 8)
    with torch.no_grad():
        network = awake()
        both, alone = network(x, 0.2), network(x[1:], 0.2)
    assert float((both[1:] - alone).abs().max()) < rounding(DEEP)  # sums in another order


def test_frames_see_each_other_and_know_their_time() -> None:
    x = torch.randn(1, 4, 15, 8, 8)
    changed = x.clone()
    changed[:, 0] += 1
    with torch.no_grad():
        network = awake()
        moved = (network(changed, 0.2) - network(x, 0.2)).abs().amax((0, 2, 3, 4))
        backwards = network(x.flip(1), 0.2).flip(1) - network(x, 0.2)
    assert float(moved.min()) > 1e-4 and float(backwards.abs().max()) > 1e-4


def test_the_level_is_heard() -> None:
    x = torch.randn(1, 2, 15, 8, 8)
    with torch.no_grad():
        network = awake()
        assert float((network(x, -0.5) - network(x, 0.5)).abs().max()) > 1e-4


def test_waves_are_sines_and_cosines_of_octaves() -> None:
    out = waves(torch.tensor([0.0, 0.5]), 12)  # octaves 0 .. 5
    assert torch.equal(out[0], torch.tensor([0.0] * 6 + [1.0] * 6))
    assert torch.allclose(out[1, :6], torch.sin(0.5 * 2.0 ** torch.arange(6)), atol=rounding(4, 16))
