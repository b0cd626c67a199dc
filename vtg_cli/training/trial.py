"""Reverse motion on trial: in-betweens of clips that were not trained on, and what they are worth.

disagreement  root mean square between the two directions' predictions of one clip, in latents
psnr          of the drawn frames between the ends, against the clip's own, in dB
loss          of training, at fixed noise
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Generator, Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.backbones.deltas import layer_deltas
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import FRAMES, to_pixels
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.sheet import contact_sheet
from vtg_cli.methods import papers
from vtg_cli.methods.captions import Captions
from vtg_cli.sampling.fusion import rotate_pairs
from vtg_cli.training.example import Example, drawn, example
from vtg_cli.training.reverse import ReverseMotion
from vtg_cli.training.source import Frames, Taken

LEVELS = (0.2, 0.5, 0.8)
"""Shares of the model's law of noise at which predictions are compared."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The measures of a trial, means over its clips."""

    loss: float
    disagreement: float
    psnr: float


class Trial:
    """A few clips, their noise fixed, on which reverse motion is tried."""

    def __init__(self, m: Backbone, clips: list[Taken], steps: int | None = None) -> None:
        """Prepare a trial. steps: of sampling, None: the model's own number."""
        self._m, self.clips, self._steps = m, clips, steps

    def verdict(self, trained: ReverseMotion, values: Mapping[str, Tensor]) -> Verdict:
        """Measure. values: parameter name -> difference, as ReverseMotion.by_name gives them."""
        with self._wearing(values):
            pairs = [(self._frames(i), clip.frames) for i, clip in enumerate(self.clips)]
            measured = [
                self._predictions(trained, self._example(i, u))
                for i in range(len(self.clips))
                for u in LEVELS
            ]
        losses, apart = zip(*measured, strict=True)
        return Verdict(
            loss=float(np.mean(losses)),
            disagreement=float(np.mean(apart)),
            psnr=float(np.mean([psnr(drawn[1:-1], true[1:-1]) for drawn, true in pairs])),
        )

    def strip(self, values: Mapping[str, Tensor]) -> Frames:
        """Return a picture [H, W, 3]: the frames of the first clip above, the drawn ones below."""
        with self._wearing(values):
            drawn_frames = self._frames(0)
        true = self.clips[0].frames
        shown = range(0, len(true), max(1, -(-len(true) // 12)))
        rows = [np.stack([frames[i] for i in shown]) for frames in (true, drawn_frames)]
        return contact_sheet(np.concatenate(rows), columns=len(shown), width=2400)

    @contextmanager
    def _wearing(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Give the backbone a delta while open."""
        m = self._m
        before, m.reverse = (
            m.reverse,
            layer_deltas(m.network, m.modules("temporal_attention"), values),
        )
        try:
            with torch.no_grad():
                yield
        finally:
            m.reverse = before

    def _frames(self, index: int) -> Frames:
        clip, m = self.clips[index], self._m
        keys = Keyframes.ends(
            to_pixels(clip.frames[0]), to_pixels(clip.frames[-1]), len(clip.frames)
        )
        reads = m.spec.text and bool(clip.caption)
        captions = Captions(clip.caption, clip.caption) if reads else None
        sampling = Sampling(method="gi", steps=self._steps, seed=index)
        return papers.render(m, keys, sampling, captions=captions)

    def _example(self, index: int, u: float) -> Example:
        clip, m = self.clips[index], self._m
        pixels = torch.stack([to_pixels(frame) for frame in clip.frames])
        generator = Generator().manual_seed(index)
        draws = drawn(m, len(pixels), (pixels.shape[-2], pixels.shape[-1]), generator)
        return example(m, pixels, draws.at(u), clip.caption)

    def _predictions(self, trained: ReverseMotion, given: Example) -> tuple[float, float]:
        """Return loss and disagreement under the worn delta."""
        m, x = self._m, given.level.noise(given.x0, given.eps)
        rotated = rotate_pairs(m.reverse)
        with overriding(m.modules("temporal_attention"), rotated):
            loss = float(trained.loss(given))
            ahead, back = m(torch.cat([x, x.flip(FRAMES)]), given.level, given.pair).chunk(2)
        return loss, float((ahead - back.flip(FRAMES)).square().mean().sqrt())


def psnr(a: Frames, b: Frames) -> float:
    """Return the peak signal-to-noise ratio of two clips uint8, in dB, at most 100."""
    error = float(np.square(cast(Any, a).astype(np.float64) - b).mean())
    return 100.0 if error == 0 else min(100.0, 10 * math.log10(255**2 / error))
