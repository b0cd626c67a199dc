"""DynamiCrafter's own sampling (Xing et al. 2024), the plain baseline."""

from __future__ import annotations

from torch import Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.device import Noise
from vtg_cli.methods import walk
from vtg_cli.methods.registry import method
from vtg_cli.sampling.loop import OnStep


@method("dynamicrafter")
def dynamicrafter(
    m: Backbone, keys: Keyframes, s: Sampling, noise: Noise, on_step: OnStep | None = None
) -> Tensor:
    """Sample as DynamiCrafter itself interpolates, the plain baseline: guidance rescaled by 0.7 and
    DDIM with eta 1, one pass in one direction.

    Under a model that takes one keyframe it is image to video.
    """
    told = walk.told(m, keys)
    cond = m.condition(told, motion=walk.motion(s), noise=noise(told.pixels[:1]))
    predict = walk.guided(m, cond, s, walk.ramp(m, s, keys.length))
    return walk.sampled(m, keys, s, predict, noise, on_step)
