"""The embedded model as a Backbone: exact before training, every method runs on it unchanged."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from vtg_cli.backbones.tiny.model import SIGMAS, Tiny
from vtg_cli.backbones.tiny.network import Network, Shape
from vtg_cli.backbones.tiny.prior import STILL_TRUST, guide, spread
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.device import seeded_noise
from vtg_cli.methods import papers
from vtg_cli.sampling.guidance import bind
from vtg_cli.sampling.level import edm_level
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import edm_path, karras_sigmas

SMALL = Shape(width=32, depth=2, head=16, fine=8, middle=16)


@pytest.fixture(scope="module")
def m() -> Tiny:
    torch.manual_seed(0)
    return Tiny(Network(SMALL).eval())


@pytest.fixture(scope="module")
def keys() -> Keyframes:
    """A grey-scale ramp and the same one brighter, 32 x 48, 4 frames."""
    ramp = torch.linspace(-0.8, 0.4, 48).expand(3, 32, 48)
    return Keyframes.ends(ramp, ramp + 0.3, 4)


def told(frames: int = 3) -> torch.Tensor:
    """A condition of random pictures and confidences [1, frames, CONCAT, 8, 8]."""
    concat = torch.rand(1, frames, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    concat[:, :, [0, 1, 2, 4, 5, 6]] = concat[:, :, [0, 1, 2, 4, 5, 6]] * 2 - 1
    return concat


@pytest.mark.parametrize("sigma", [0.02, 0.3, 10.0])
def test_untrained_it_is_the_best_denoiser_around_the_guide(m: Tiny, sigma: float) -> None:
    """For latents normal about g with deviation r: E[x0 | x] = g + r^2 / (r^2 + s^2) (x - g)."""
    concat = told()
    g = guide(concat)
    x = g + torch.randn(g.shape)
    with torch.no_grad():
        x0 = m(x, edm_level(sigma), Cond(concat=concat))
    r = spread(concat)
    expected = g + r**2 / (r**2 + sigma**2) * (x - g)
    assert float((x0 - expected).abs().max()) < 1e-5


def test_untrained_samples_are_normal_about_the_guide(m: Tiny) -> None:
    """Every Euler move scales x - g by a factor known for each place; together, nearly to r."""
    concat = told()
    g, r = guide(concat), spread(concat).double()
    path = edm_path(karras_sigmas(60, 0.002, 20.0))
    start = path[0].scale * seeded_noise(0)(g)
    with torch.no_grad():
        z = sample(bind(m, Cond(concat=concat)), start, path, noise=seeded_noise(0))
    scale = torch.ones_like(r)
    for a, b in pairwise(path):
        scale *= 1 + (b.sigma - a.sigma) / a.sigma * (1 - r**2 / (r**2 + a.sigma**2))
    assert float(((z - g) - scale * (start - g)).abs().max()) < 1e-4  # float32 over 60 moves
    ratio = scale * path[0].sigma / r  # 1 for infinitely many moves
    assert float((ratio - 1).abs().max()) < 0.15


def test_identical_keyframes_are_told_as_they_are(m: Tiny) -> None:
    picture = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    keys = Keyframes.ends(picture, picture, 4)
    concat = m.condition(keys).concat
    assert concat is not None and concat.shape == (1, 4, 8, 8, 12)
    # pixels go through whole numbers once: half of 1/127.5
    small = m.encode(picture[None, None])[0, 0]
    assert float((guide(concat)[0] - small).abs().max()) < 0.004


def test_one_keyframe_stands_still(m: Tiny, keys: Keyframes) -> None:
    concat = m.condition(keys.only(0)).concat
    assert concat is not None
    small = m.encode(keys.pixels[:1, None])[0, 0]
    assert all(torch.equal(frame, small) for frame in concat[0, :, :3])
    trust = concat[0, :, 3].amax((1, 2)).tolist()
    assert trust == pytest.approx([1.0, *[STILL_TRUST] * 3])
    assert not bool(concat[:, :, 4:].any())
    assert float((guide(concat)[0] - small).abs().max()) < 1e-5


def test_null_is_told_nothing_and_of_the_same_kinds(m: Tiny, keys: Keyframes) -> None:
    cond = m.condition(keys.only(0))
    null = m.null(cond)
    assert null.concat is not None and not bool(null.concat.any())
    assert not bool(guide(null.concat).any())
    assert m.null(cond, drop=()) is cond
    Cond.stack([cond, null])


def test_what_it_cannot_be_told(m: Tiny, keys: Keyframes) -> None:
    middle = Keyframes(keys.pixels, (0, 2), 4)
    with pytest.raises(ValueError, match="at both ends"):
        m.condition(middle)
    with pytest.raises(ValueError, match="no text"):
        m.condition(keys, torch.zeros(1, 1, 1))


@pytest.mark.parametrize("method", ["i2v", "trf", "gi"])
def test_the_papers_run_on_it_unchanged(m: Tiny, method: str) -> None:
    """Between identical keyframes an untrained model gives the keyframe, softened by r."""
    picture = torch.linspace(-0.6, 0.6, 48).expand(3, 32, 48)
    keys = Keyframes.ends(picture, picture, 4)
    settings = Sampling(method=method, steps=6, guidance=(1.0, 1.0), renoise=1)
    frames = papers.render(m, keys, settings)
    again = papers.render(m, keys, settings)
    assert frames.shape == (4, 32, 48, 3) and np.array_equal(frames, again)
    truth = (picture / 2 + 0.5) * 255
    error = frames.astype(float) - truth.movedim(0, -1).numpy()
    # a keyframe that stands still is trusted little: r is 0.4 at the far end, half of it on average
    # of both directions or all frames; keyframes' detail lowers it further
    assert np.sqrt(np.square(error).mean()) < 0.3 * 127.5
    assert abs(error.mean()) < 8


def test_temporal_attention_can_be_reached(m: Tiny) -> None:
    layers = m.modules("temporal_attention")
    assert len(layers) == SMALL.depth == len(m.modules("block"))
    names = {id(module): name for name, module in m.network.named_modules()}
    assert [names[id(layer)] for layer in layers] == [f"blocks.{i}.temporal" for i in range(2)]


def test_decoding_the_keyframes_latents_gives_the_keyframes(m: Tiny) -> None:
    picture = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    keys = Keyframes.ends(picture, picture, 3)
    z = m.encode(picture.expand(1, 3, 3, 32, 48))
    done: list[tuple[int, int]] = []
    pixels = m.decode(z, keys, lambda *step: done.append(step))
    # whole numbers once: half of 1/127.5, and latents that differ by as much
    assert float((pixels - picture).abs().max()) < 0.01
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_without_keyframes_it_cannot_decode(m: Tiny, keys: Keyframes) -> None:
    with pytest.raises(ValueError, match="keyframes of both ends"):
        m.decode(torch.zeros(1, 4, 3, 8, 12))
    with pytest.raises(ValueError, match="keyframes of both ends"):
        m.decode(torch.zeros(1, 4, 3, 8, 12), keys.only(0))


def test_backwards_the_condition_is_the_same_turned(m: Tiny, keys: Keyframes) -> None:
    ahead, back = m.condition(keys).concat, m.condition(keys.reversed()).concat
    assert ahead is not None and back is not None
    turned = back.flip(1)[:, :, [4, 5, 6, 7, 0, 1, 2, 3]]
    assert float((ahead - turned).abs().max()) < 1e-6  # 1 - t rounds


@pytest.mark.parametrize(
    ("height", "width", "latents"),
    [
        (192, 320, (48, 80)),  # 4 pixels a latent
        (288, 512, (72, 128)),
        (720, 1280, (72, 128)),  # 10 pixels
        (1080, 1080, (96, 96)),
        (3, 5, (1, 1)),
        (50, 70, (12, 18)),
    ],
)
def test_latents_are_of_one_size_for_large_pictures(
    m: Tiny, height: int, width: int, latents: tuple[int, int]
) -> None:
    assert m.latent_size(height, width) == latents
    assert m.encode(torch.zeros(1, 1, 3, height, width)).shape[-2:] == latents


def test_the_path_goes_from_noise_to_data(m: Tiny) -> None:
    path = m.path(8)
    assert len(path) == 9 and path[-1].sigma == 0
    assert (path[0].sigma, path[7].sigma) == pytest.approx((SIGMAS[1], SIGMAS[0]))
