"""TVG's two coupled trajectories (Zhang et al. 2024, arXiv 2408.13413): both directions of time are
sampled side by side and meet inside the network, before every transformer block:

    h = 0.9 h + 0.1 G(h)

G puts between the ends of either direction what a Gaussian process says of them, then adds the
other direction, flipped in time and smoothed along it. At the end every frame is taken from the
direction that continues the frames before it better.

The numbers are the published code's (github.com/SobeyMIL/TVG).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, interpolate, max_pool1d

from vtg_cli.ground.tensor import FRAMES

SHARE = 0.1
"""Share of G in a block's input."""
NEARER = (0.9, 0.1)
"""Weight of a direction's own frames, from its first to its last; the other's is this, flipped."""
LOW = 0.9
"""Weight of the average over neighbouring frames, beside that of their maximum."""
STEADY = 0.8
"""Weight of the distance to the frame before, beside that to the first, where frames are chosen."""


def posterior_mean(
    x: Tensor, y: Tensor, at: Tensor, *, length: float = 1.0, noise: float = 1e-4
) -> Tensor:
    """Return the mean, at `at` [m, D], of a Gaussian process that has seen y [n, E] at x [n, D]:

        k(at, x) (k(x, x) + noise I)^-1 y,    k(a, b) = exp(-|a - b|^2 / (2 length^2))

    In float64, for k is close to singular where points are alike; [m, E] in y's precision.
    """
    points, places = x.double() / length, at.double() / length
    seen = torch.exp(-torch.cdist(points, points).square() / 2)
    seen.diagonal().add_(noise)
    factors = torch.cholesky_solve(y.double(), torch.linalg.cholesky(seen))
    return (torch.exp(-torch.cdist(places, points).square() / 2) @ factors).to(y)


def regressed(h: Tensor) -> Tensor:
    """Replace the frames between by the posterior mean, at their tokens, of the map that takes the
    first frame's tokens to the last frame's.

    [F, N, D] -> the same; the ends are kept.
    """
    between = [posterior_mean(h[0], h[-1], frame) for frame in h[1:-1]]
    return torch.stack([h[0], *between, h[-1]])


def smoothed(h: Tensor) -> Tensor:
    """Average and max-pool three frames, every other one, weighted and put back on all frames.

    [B, F, N, D] -> the same; 3 frames or more.
    """
    line = h.permute(0, 2, 3, 1).flatten(0, 2)[:, None]  # [B N D, 1, F]
    low, high = (pool(line, kernel_size=3, stride=2) for pool in (avg_pool1d, max_pool1d))
    mixed = interpolate(LOW * low + (1 - LOW) * high, size=h.shape[FRAMES])
    return torch.unflatten(mixed[:, 0], 0, (h.shape[0], *h.shape[2:])).permute(0, 3, 1, 2)


def coupled(h: Tensor) -> Tensor:
    """Compute G: the tokens of both directions [2, F, N, D], each in its own time, mixed."""
    h = torch.stack([regressed(direction) for direction in h])
    own = torch.linspace(*NEARER, h.shape[FRAMES], dtype=h.dtype, device=h.device)
    own = own[None, :, None, None]
    return own * h + own.flip(FRAMES) * smoothed(h.flip(0, FRAMES))


def couple_pairs(
    frames: int, *, along: bool = False, share: float = SHARE
) -> Callable[..., Tensor]:
    """Return the override for transformer blocks (hooks.overriding) whose batch is [forward,
    reversed] and nothing more.

    Their input is [(2 F), N, D] or [2, F, .., D]; with `along`, rows are places: [(2 N), F, D].
    """

    def routed(
        module: Any, forward: Callable[..., Tensor], h: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor:
        if along:
            tokens = torch.unflatten(h, 0, (2, -1)).transpose(1, 2)
        elif h.ndim == 3:
            tokens = torch.unflatten(h, 0, (2, frames))
        else:
            tokens = h.flatten(2, -2)
        mixed = torch.lerp(tokens, coupled(tokens), share)
        mixed = mixed.transpose(1, 2) if along else mixed
        return forward(mixed.reshape(h.shape), *args, **kwargs)

    return routed


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean()


def select_frames(
    ahead: Tensor, back: Tensor, distance: Callable[[Tensor, Tensor], Tensor] = squared_distance
) -> Tensor:
    """Choose one clip of two of the same time, [1, F, ...]: every end from the direction that
    begins there, every frame between from the one that is nearer to the frame before and to the
    first.
    """
    first, chosen = ahead[:, 0], [ahead[:, 0]]

    def away(frame: Tensor) -> Tensor:
        return STEADY * distance(frame, chosen[-1]) + (1 - STEADY) * distance(frame, first)

    for one, other in zip(ahead[:, 1:-1].unbind(1), back[:, 1:-1].unbind(1), strict=True):
        chosen.append(one if away(one) < away(other) else other)
    return torch.stack([*chosen, back[:, -1]], FRAMES)
