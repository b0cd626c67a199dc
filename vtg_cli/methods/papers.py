"""Frames between keyframes by the method of a paper."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import Interrupted
from vtg_cli.ground.tensor import check_finite, to_uint8
from vtg_cli.job.sampling import Sampling
from vtg_cli.lowmem.compile import compiling
from vtg_cli.lowmem.deepcache import reusing
from vtg_cli.machine.device import seeded_noise
from vtg_cli.methods.captions import Captions, captioned, pictured
from vtg_cli.methods.registry import methods
from vtg_cli.sampling.settings import resolved


@torch.inference_mode()
def render(
    m: Backbone,
    keys: Keyframes,
    sampling: Sampling,
    *,
    captions: Captions | None = None,
    compiled: bool = False,
    progress: Callable[[float, str], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> NDArray[np.uint8]:
    """Draw the frames between keyframes: uint8 [F, H, W, 3].

    captions: for models that read
    compiled: compile the network's transformer blocks first

    Raises Interrupted if `cancel` says so between two steps.
    """
    s = resolved(sampling, has_reverse=bool(m.reverse), defaults_of=m.spec.defaults)
    assert s.method is not None
    way = methods()[s.method]
    share_sampling = 0.9  # of the time; decoding takes the rest

    def report(done: float, phase: str) -> None:
        if cancel is not None and cancel():
            raise Interrupted("interrupted")
        if progress is not None:
            progress(done, phase)

    inverting = m.spec.inversions(s)

    def on_step(done: int, moves: int, x: Tensor) -> None:
        report(share_sampling * done / moves, "inverting" if done <= inverting else "sampling")

    def on_frames(done: int, frames: int) -> None:
        report(share_sampling + (1 - share_sampling) * done / frames, "decoding")

    report(0.0, "sampling")
    with compiling(m) if compiled else nullcontext(), reusing(m, s.reuse) as m:
        task = m, keys
        if captions is not None:
            task = captioned(*task, captions, way.between)
        if s.image_curve != "off":
            task = pictured(*task, s.image_curve)
        z = way.draw(*task, s, seeded_noise(s.seed), on_step)
    pixels = m.decode(z, keys, on_frames)[0]
    check_finite(pixels, "the decoded pictures are not numbers")
    return to_uint8(pixels)
