"""The prior of the embedded model: before any network looks, clean latents are about `guide`, give
or take `spread`.

Where both carried keyframes agree there is little left to find out, and a sampler that knows this
puts no noise there. The constants are fits to rendered clips (docs/log.md).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from vtg_cli.flow.splatting import AROUND, HELD

PARTS = [3, 1, 3, 1]
"""Channels of Cond.concat: first carried, its confidence, last carried, its confidence. Confidence
0 means not told."""
CONCAT = sum(PARTS)
STILL_TRUST = 0.05
"""Confidence in a keyframe that was not carried, at every time but its own."""
KNOWN = 0.01  # deviation of what is known: a keyframe at its own time
UNKNOWN = 0.5  # deviation where nothing is told


BELIEF = (0.8, 0.3)
DECISIVE = (0.5, 2.0)
"""Shares of what the network changes that are taken, and where which of the two applies: natural
logarithms of the ratio of both confidences. Chosen on rendered and on photographed clips that no
benchmark counts; networks this small see too little of a large picture to overrule a motion that is
sure of itself."""
DOUBT = (0.2, 0.6)
"""Confidence up to which a place is not found again, and from which it is."""
RELATED = (0.3, 0.5)
"""Mean confidence from which a picture is the same scene, fully from the second. A subject of it
counts as replaced as in splatting.py; of a dissolve from one to the other the network only makes a
blur."""


def guide(concat: Tensor, times: Tensor | None = None) -> Tensor:
    """Blend both carried keyframes by nearness in time and confidence: [B, F, CONCAT, h, w] -> [B,
    F, 3, h, w]; 0 where nothing is told.

    times: [F, 1, 1, 1] in [0, 1]; None: evenly from one end to the other
    """
    ahead, trust_ahead, back, trust_back = torch.split(concat, PARTS, 2)
    t = _times(concat) if times is None else times
    near, far = (1 - t + 1e-6) * trust_ahead, (t + 1e-6) * trust_back
    blend: Tensor = (near * ahead + far * back) / (near + far).clamp_min(1e-12)
    return blend


def spread(concat: Tensor) -> Tensor:
    """Return how far clean latents are from the guide: [B, F, CONCAT, h, w] -> [B, F, 1, h, w].

    Grows with the disagreement of the two carried keyframes; where only one is told, with the lack
    of confidence in it.
    """
    ahead, trust_ahead, back, trust_back = torch.split(concat, PARTS, 2)
    t = _times(concat)
    apart = (ahead - back).square().mean(2, keepdim=True).flatten(0, 1)
    apart = avg_pool2d(apart, 3, 1, 1, count_include_pad=False).sqrt().view_as(trust_ahead)
    both = (4 * t * (1 - t)).sqrt() * (0.035 + 0.65 * apart / (1 + apart))
    one = t.sqrt() * (0.45 - 0.35 * (2 * trust_ahead).clamp(max=1))
    deviation = torch.where(trust_back > 0, both, one) + KNOWN
    return torch.where(trust_ahead > 0, deviation, UNKNOWN)


def believed(z: Tensor, concat: Tensor, times: Tensor) -> Tensor:
    """Move clean latents [B, F, 3, h, w] nearer to the guide."""
    _, trust_ahead, _, trust_back = torch.split(concat, PARTS, 2)
    decided = _ramp((trust_ahead / trust_back).log().abs(), DECISIVE)
    share = BELIEF[0] + (BELIEF[1] - BELIEF[0]) * decided
    share = share * (1 - _replaced(torch.maximum(trust_ahead, trust_back)))
    g = guide(concat, times)
    taken: Tensor = g + share * (z - g)
    return taken


def _replaced(trust: Tensor) -> Tensor:
    """Return [B, F, 1, h, w], 1 in a subject that another replaces amid a scene that stays."""
    reach = int(AROUND * max(trust.shape[-2:]))
    small = [min(reach, (n - 1) // 2) for n in trust.shape[-2:]]
    sides = [2 * n + 1 for n in small]
    around = avg_pool2d(trust.flatten(0, 1), sides, 1, small, count_include_pad=False)
    least = around.amin((-2, -1)).view(*trust.shape[:2], 1, 1, 1)
    same = _ramp(trust.mean((-2, -1), keepdim=True), RELATED)
    return same * (1 - _ramp(least, HELD)) * (1 - _ramp(trust, DOUBT))


def _ramp(x: Tensor, ends: tuple[float, float]) -> Tensor:
    return ((x - ends[0]) / (ends[1] - ends[0])).clamp(0, 1)


def backwards(concat: Tensor) -> Tensor:
    """Return the same condition with time running backwards."""
    ahead, back = torch.split(concat.flip(1), CONCAT // 2, 2)
    return torch.cat([back, ahead], 2)


def _times(concat: Tensor) -> Tensor:
    return torch.linspace(0, 1, concat.shape[1], device=concat.device)[:, None, None, None]
