"""The deep part of a U-Net, computed at some steps and remembered in between (DeepCache, Ma et al.
2023, arXiv 2312.00858).

What changes from step to step is mostly detail, which the blocks of the first resolution make. So
between two whole evaluations only these run, on what the deep part last answered. It is overrides
on the deep part's modules: the last one hands out its answer again, the others hand out nothing.

A condition's evaluations are counted by themselves, so guidance and fusion never mix answers; one
that was not asked at the step before starts anew. A detour adds noise that no earlier answer has
seen, so an evaluation at a level that is not below the last one is always whole. Where the memory
ladder makes several calls of the network of one evaluation, each has an answer of its own, and one
that is made in other pieces than the last is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.cond import Cond
from vtg_cli.ground.hooks import overriding
from vtg_cli.sampling.level import Level


@dataclass
class _Trail:
    """The evaluations under one condition.

    cond: kept, so that no other is taken for it
    answers: by the piece of an evaluation and the module
    """

    cond: Cond
    level: Level
    since: int = 0
    answers: dict[tuple[int, nn.Module], Any] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.since == 0


class _Reusing:
    """A backbone whose network knows, at each call, whether it is to be whole. Otherwise it is the
    one it was made of.
    """

    def __init__(self, m: Backbone, every: int) -> None:
        self._m, self._every = m, every
        self._trails: dict[int, _Trail] = {}
        self._now: _Trail | None = None
        self._rung = ""
        self._before: Level | None = None  # the level that was asked at before this one
        self._level: Level | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._m, name)

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        if level != self._level:
            self._before, self._level = self._level, level
        trail = self._trails.get(id(cond))
        if trail is None:
            trail = self._trails[id(cond)] = _Trail(cond, level)
        else:
            below = trail.level == self._before and trail.level.noisier(level)
            trail.since = (trail.since + 1) % self._every if below else 0
            trail.level = level
        if trail.whole:
            trail.answers.clear()
        self._now = trail
        try:
            return self._m(x, level, cond)
        finally:
            self._now = None

    def remembered(
        self, module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Route every module of the deep part: compute its answer, or return the remembered one."""
        trail = self._now
        if trail is None:  # not asked through this backbone
            return forward(*args, **kwargs)
        rung, piece = getattr(self._m, "piece", ("", 0))  # a Ladder's
        if rung != self._rung:
            for each in self._trails.values():
                each.answers.clear()
            self._rung = rung
        key = piece, module
        if trail.whole or key not in trail.answers:
            answer = forward(*args, **kwargs)
            last = module is self._m.modules("deep")[-1]
            trail.answers[key] = answer if last else _nothing(answer)
        else:
            answer = trail.answers[key]
        return answer


def _nothing(answer: Any) -> Any:
    """Return the same without channels: what the network lays together keeps one shape."""
    if isinstance(answer, tuple):
        return tuple(_nothing(each) for each in answer)
    return answer.new_empty(len(answer), 0, *answer.shape[2:])


@contextmanager
def reusing(m: Backbone, every: int) -> Iterator[Backbone]:
    """Yield the backbone with its deep part computed at every `every`-th step of a walk; its
    answers are forgotten when the block closes. 1: the backbone itself.

    One answer per condition and piece is kept: [B F, C, h, w] of the network's own precision.
    """
    if every == 1:
        yield m
        return
    remembering = _Reusing(m, every)
    with overriding(m.modules("deep"), remembering.remembered):
        yield cast(Backbone, remembering)
