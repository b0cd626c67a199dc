"""Guidance: an affine combination of predictions under several conditions. Its weights sum to 1, so
it is the same in x0-, eps- and v-space; only `rescale` is not, and therefore converts.

Batch order is directions outermost, terms innermost: rows (b0 c0) (b0 c1) .. (b1 c0) (b1 c1) ... A
module override that splits the batch into halves (fusion.rotate_pairs) then finds one direction of
time in each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vtg_cli.conditioning.cond import Cond
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.solvers import Predictor

Denoiser = Callable[[Tensor, Level, Cond], Tensor]
"""Function denoise(x, level, cond) -> x0, whatever the network was trained to output."""
Weight = float | Tensor | Callable[[Level], float | Tensor]
"""A number, one per frame (broadcastable to latents), or either as a function of the level."""


def bind(denoise: Denoiser, cond: Cond) -> Predictor:
    """Return a denoiser with its conditions fixed."""
    return lambda x, level: denoise(x, level, cond)


def combine(
    denoise: Denoiser,
    terms: Sequence[tuple[Cond, Weight]],
    rescale: float = 0.0,
    sequential: bool = False,
) -> Predictor:
    """Return the sum of weight * denoise(x, level, cond) over the terms; every published guidance
    is a choice of terms.

    rescale: share in [0, 1] of the result whose standard deviation, in v-space, is brought back to
        the first term's (Lin et al. 2023, section 3.4)
    sequential: one network call per term instead of one for all; the same numbers with a fraction
        of the memory
    """
    conds = [cond for cond, _ in terms]
    n = len(conds)
    together = Cond.interleave(conds)

    def predict(x: Tensor, level: Level) -> Tensor:
        weights = [w(level) if callable(w) else w for _, w in terms]
        if sequential:
            first = denoise(x, level, conds[0])
            x0 = weights[0] * first
            for cond, weight in zip(conds[1:], weights[1:], strict=True):
                x0 = x0 + weight * denoise(x, level, cond)
        else:
            both = denoise(x.repeat_interleave(n, 0), level, together)
            predictions = torch.unflatten(both, 0, (-1, n)).unbind(1)
            first = predictions[0]
            x0 = sum(
                (w * p for w, p in zip(weights, predictions, strict=True)), start=x.new_zeros(())
            )
        return rescaled(x, level, x0, first, rescale) if rescale else x0

    return predict


def cfg(
    denoise: Denoiser,
    cond: Cond,
    null: Cond,
    scale: float | Tensor,
    rescale: float = 0.0,
    sequential: bool = False,
) -> Predictor:
    """Apply classifier-free guidance (Ho & Salimans 2022): null + scale * (cond - null)."""
    return combine(denoise, [(cond, scale), (null, 1 - scale)], rescale, sequential)


def within(guided: Predictor, alone: Predictor, first: Level, end: Level | None) -> Predictor:
    """Apply guidance in an interval of noise levels only (Kynkaanniemi et al. 2024).

    guided: from `first` down to what is noisier than `end`, None: to the end
    alone: elsewhere
    """

    def predict(x: Tensor, level: Level) -> Tensor:
        inside = not level.noisier(first) and (end is None or level.noisier(end))
        return (guided if inside else alone)(x, level)

    return predict


def multi_cfg(
    denoise: Denoiser,
    cond: Cond,
    image: Cond,
    null: Cond,
    scale: float,
    image_scale: float,
    rescale: float = 0.0,
    sequential: bool = False,
) -> Predictor:
    """Apply DynamiCrafter's multi-condition guidance: null + image_scale * (image - null) + scale *
    (cond - image) (Xing et al. 2023; the form is that of Brooks et al. 2023, eq. 3).

    cond: text and image
    image: the image with empty text
    null: neither

    A scale of 1 is a weight like any other; rescaling refers to `cond`.
    """
    terms = [(cond, scale), (image, image_scale - scale), (null, 1 - image_scale)]
    return combine(denoise, terms, rescale, sequential)


def rescaled(x: Tensor, level: Level, x0: Tensor, reference: Tensor, share: float) -> Tensor:
    """Rescale guidance (Lin et al. 2023, section 3.4), back as x0: share * v * std(v_ref) / std(v)
    + (1 - share) * v.

    x, x0, reference: [B, ...], the latents, the guided x0 and the x0 under the condition alone

    The deviations are unbiased, over all axes but the first. In v because the ratio depends on the
    space: v, eps and x0 differ by a multiple of x, which would be rescaled too. Needs sigma > 0.
    """
    v, v_reference = level.v_from_x0(x, x0), level.v_from_x0(x, reference)
    axes = tuple(range(1, x.ndim))
    matched = v * (v_reference.std(axes, keepdim=True) / v.std(axes, keepdim=True))
    return level.x0_from_v(x, share * matched + (1 - share) * v)
