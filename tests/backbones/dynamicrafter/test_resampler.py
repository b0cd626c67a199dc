from __future__ import annotations

import numpy as np
import pytest
import torch
from rounding import rounding

from vtg_cli.backbones.dynamicrafter.resampler import (
    PerceiverAttention,
    Resampler,
    ResamplerConfig,
)
from vtg_cli.errors import WeightsError

SMALL = ResamplerConfig(
    width=24, depth=2, heads=2, head_width=8, tokens=4, frames=3, in_width=20, out_width=16
)
PARAMS = {
    "dim": 1024,
    "depth": 4,
    "dim_head": 64,
    "heads": 12,
    "num_queries": 16,
    "embedding_dim": 1280,
    "output_dim": 1024,
    "video_length": 16,
}


def randn(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_attention_written_out() -> None:
    """Queries look at the picture and at themselves; both factors carry half of the scale."""
    layer = PerceiverAttention(SMALL).eval().double()
    tokens, queries = randn(1, 2, 5, 24), randn(2, 2, 3, 24)
    with torch.no_grad():
        ours = layer(tokens, queries)
        seen = torch.cat([layer.norm1(tokens), layer.norm2(queries)], 1)
        weights = layer.to_kv.weight.view(2, 2, 8, 24)  # key or value, head
        key, value = torch.einsum("bnd,khwd->kbhnw", seen, weights)
        asked = layer.to_q.weight.view(2, 8, 24)
        query = torch.einsum("bnd,hwd->bhnw", layer.norm2(queries), asked)
        chart = (query / 8**0.25 @ (key / 8**0.25).mT).softmax(-1)
        wanted = layer.to_out((chart @ value).transpose(1, 2).flatten(2))
    # two norms, four products and a softmax, each of them sums of 24 numbers of about one
    assert torch.allclose(ours, wanted, rtol=0, atol=rounding(7 * 24, 1, np.float64))


def test_every_frame_has_tokens_of_its_own() -> None:
    net = Resampler(SMALL).eval().double()
    with torch.no_grad():
        out = net(randn(3, 2, 7, 20))
    assert out.shape == (2, 3, 4, 16)
    assert float((out[:, 0] - out[:, 1]).abs().max()) > 1e-3
    # the last layer is a norm: a mean of 16 numbers below 4
    assert float(out.mean(-1).abs().max()) < rounding(2 * 16, 4, np.float64)


def test_config_of_the_reference() -> None:
    assert ResamplerConfig.of(PARAMS) == ResamplerConfig()
    with pytest.raises(WeightsError, match="video_length"):
        ResamplerConfig.of(PARAMS | {"video_length": None})
