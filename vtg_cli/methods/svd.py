"""Methods made for Stable Video Diffusion, which is told one keyframe.

i2v  image to video with per-frame guidance (Blattmann et al. 2023): what one keyframe alone does
trf  time-reversal fusion (Feng et al. 2024): both directions in lockstep, predictions fused
gi   Generative Inbetweening (Wang et al. 2024): trf with the reversed half's temporal attention
     rotated
"""

from __future__ import annotations

from torch import Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import framewise
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.device import Noise
from vtg_cli.methods import walk
from vtg_cli.methods.registry import method
from vtg_cli.sampling.fusion import bidirectional, rotate_pairs
from vtg_cli.sampling.loop import OnStep


@method("i2v")
def i2v(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample in one direction only, from the first keyframe on. The last one is looked at by models
    that always take both.
    """
    first = walk.told(m, keys)
    cond = m.condition(first, motion=walk.motion(s), noise=noise(first.pixels[:1]))
    predict = walk.guided(m, cond, s, walk.ramp(m, s, keys.length))
    return walk.sampled(m, keys, s, predict, noise, on_step)


@method("trf")
def trf(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample forward from the first keyframe and backward from the last, fused at every step."""
    first, last = walk.told(m, keys), walk.told(m, keys.reversed())
    shared = noise(first.pixels[:1])
    pair = Cond.stack([m.condition(k, motion=walk.motion(s), noise=shared) for k in (first, last)])
    ramp, weight = walk.schedules(s, keys.length)
    scale, weight = (framewise(v).to(m.device) for v in (ramp, weight))
    predict = bidirectional(walk.guided(m, pair, s, scale), weight)
    return walk.sampled(m, keys, s, predict, noise, on_step)


@method("gi", overrides=("temporal_attention",))
def gi(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Apply time-reversal fusion under rotated temporal attention, with the reverse-motion delta
    the backbone carries.
    """
    kind = "first_temporal_attention" if s.rotate == "first" else "temporal_attention"
    with overriding(m.modules(kind), rotate_pairs(m.reverse)):
        return trf(m, keys, s, noise, on_step)
