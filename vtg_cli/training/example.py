"""What one training step is shown: a clip in the model's latents, noise, a level, conditions.

Everything random about it is drawn beforehand, from one generator on the CPU, in the order of
Generative Inbetweening's script: augmentation, posterior, latents, level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from torch import Generator, Tensor

from vtg_cli.backbones.base import Backbone, Reader
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.sampling.level import Level
from vtg_cli.training.levels import level_at


class Posterior(Protocol):
    """A Backbone whose spec says `posterior`: its encoder can be sampled."""

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode [B, F, 3, H, W]. noise: unit normal of the latents' shape, for a sample."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random numbers of an example.

    augmentation: unit normal [1, 3, H, W], of the noise on both keyframes
    posterior: unit normal [1, F, C, h, w], for a sample of the autoencoder's posterior
    noise: unit normal [1, F, C, h, w], of the latents in forward time
    level: uniform in [0, 1)
    """

    augmentation: Tensor
    posterior: Tensor
    noise: Tensor
    level: float

    def at(self, level: float) -> Draws:
        """Return the same draws at another level."""
        return replace(self, level=level)


def drawn(m: Backbone, frames: int, size: tuple[int, int], generator: Generator) -> Draws:
    """Draw an example's random numbers. size: of the pictures, (height, width)."""
    latents = (1, frames, m.spec.channels, *m.latent_size(*size))
    augmentation, posterior, noise = (
        torch.randn(shape, generator=generator) for shape in ((1, 3, *size), latents, latents)
    )
    u = float(torch.rand((), generator=generator, dtype=torch.float64))
    return Draws(augmentation=augmentation, posterior=posterior, noise=noise, level=u)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A clip as the network is told it.

    x0, eps: clean latents and noise in forward time, [1, F, C, h, w]
    pair: conditions forward, then reversed: the batch of both directions of time
    """

    x0: Tensor
    eps: Tensor
    level: Level
    pair: Cond


@torch.no_grad()
def example(
    m: Backbone,
    pixels: Tensor,
    draws: Draws,
    caption: str = "",
    latents: Tensor | None = None,
) -> Example:
    """Return the example of a clip.

    pixels: [F, 3, H, W] in [-1, 1]; with `latents` only its ends are looked at
    caption: read by models that read captions
    latents: mean and deviation of the posterior [2, F, C, h, w], encoded before; None: encode now
    """
    frames = len(pixels)
    ends = Keyframes.ends(pixels[0], pixels[-1], frames)
    told = [k if m.spec.both_ends else k.only(0) for k in (ends, ends.reversed())]
    text = cast(Reader, m).text_embedding([caption]) if m.spec.text and caption else None
    conds = [m.condition(k, text, noise=draws.augmentation) for k in told]
    if latents is None:
        x0 = _encoded(m, pixels, draws.posterior)
    else:
        mean, deviation = latents.float().unbind()
        x0 = (mean + deviation * draws.posterior[0].to(mean))[None]
    x0 = x0.float().to(next(m.network.parameters()).device)
    return Example(
        x0=x0, eps=draws.noise.to(x0), level=level_at(m, draws.level), pair=Cond.stack(conds)
    )


def _encoded(m: Backbone, pixels: Tensor, posterior: Tensor) -> Tensor:
    """Encode a clip in the model's own portions, as a sample of the posterior where it has one."""
    portion = getattr(m, "decode_chunk", None) or len(pixels)
    shares = zip(torch.split(pixels, portion), torch.split(posterior[0], portion), strict=True)
    if m.spec.posterior:
        sampler = cast(Posterior, m)
        parts = [sampler.encode(share[None], noise[None]) for share, noise in shares]
    else:
        parts = [m.encode(share[None]) for share, _ in shares]
    return torch.cat(parts, 1)
