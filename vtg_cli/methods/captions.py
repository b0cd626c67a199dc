"""Captions: what a model that reads is told in words, for every method alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from vtg_cli.backbones.base import STANDARD_MOTION, Backbone, Motion, Reader
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.text import per_frame_text, text_curve
from vtg_cli.sampling.level import Level

Between = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Function between(first, last, shares): both [1, L, D], shares [F] -> [1, F, L, D]."""


@dataclass(frozen=True)
class Captions:
    """The captions of a segment.

    first, last: of the first and the last keyframe
    negative: what to keep away from
    curve: how the one turns into the other (conditioning.text.text_curve)
    """

    first: str
    last: str
    negative: str = ""
    curve: str = "linear"


class _Told:
    """A backbone that gives its network what keyframes say in words and show in tokens, and in the
    null condition the negative caption [1, L, D] in place of none. Otherwise it is the one it was
    made of.
    """

    def __init__(self, m: Backbone, negative: Tensor | None = None) -> None:
        self._m, self._negative = m, negative

    def __getattr__(self, name: str) -> Any:
        return getattr(self._m, name)

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        return self._m(x, level, cond)

    def condition(
        self,
        keyframes: Keyframes,
        text: Tensor | None = None,
        motion: Motion = STANDARD_MOTION,
        noise: Tensor | None = None,
    ) -> Cond:
        if text is None and keyframes.text is not None:
            text = keyframes.text[None]
        cond = self._m.condition(keyframes, text, motion, noise)
        return cond if keyframes.image is None else replace(cond, image=keyframes.image[None])

    def null(self, cond: Cond, drop: Collection[str] = ("text", "image")) -> Cond:
        null = self._m.null(cond, drop)
        if "text" not in drop or cond.text is None or self._negative is None:
            return null
        return replace(null, text=self._negative[:, None].expand_as(cond.text))


def captioned(
    m: Backbone, keys: Keyframes, captions: Captions, between: Between = per_frame_text
) -> tuple[Backbone, Keyframes]:
    """Return a backbone that reads (Spec.text) and its task, with captions.

    between: interpolates the text of the frames between two of them
    """
    texts = [captions.first, captions.last, captions.negative]
    first, last, negative = torch.split(cast(Reader, m).text_embedding(texts), 1)
    text = first
    if captions.first != captions.last:
        text = between(first, last, text_curve(captions.curve, keys.length))[0]
    return cast(Backbone, _Told(m, negative)), replace(keys, text=text)


def pictured(m: Backbone, keys: Keyframes, curve: str) -> tuple[Backbone, Keyframes]:
    """Return a backbone that shows every frame one picture's tokens, and its task with both ends'.

    Between the ends they turn (per_frame_text) as captions do: VTG's per-frame condition for models
    that read nothing.
    """
    ends = [m.condition(keys.alone(keys.positions[k])).image for k in (0, -1)]
    first, last = (end[:, 0] for end in ends if end is not None)
    shown = per_frame_text(first, last, text_curve(curve, keys.length))[0]
    return cast(Backbone, _Told(m)), replace(keys, image=shown)
