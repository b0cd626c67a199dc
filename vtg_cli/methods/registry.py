"""The functions of the methods, each bound by `@method` to its row in job/methods.py.

    @method("gi", overrides=("temporal_attention",))
    def gi(m, keys, s, noise, on_step=None): ...

Every module of this room may bind some; `methods` imports them all.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType

from torch import Tensor

from vtg_cli.backbones.base import Backbone
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.conditioning.text import per_frame_text
from vtg_cli.job.methods import METHODS
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.device import Noise
from vtg_cli.methods.captions import Between
from vtg_cli.sampling.loop import OnStep

Draw = Callable[[Backbone, Keyframes, Sampling, Noise, OnStep | None], Tensor]
"""Function draw(backbone, keyframes, resolved settings, noise, on_step) -> latents [1, F, C, h, w].

All noise comes from one source in a fixed order: the conditioning picture's, the initial latents,
the detours and what a step draws.
"""


@dataclass(frozen=True)
class Drawing:
    """A method's function.

    between: interpolates the text of the frames between two captions
    overrides: kinds of modules (Backbone.modules) that it overrides
    """

    draw: Draw
    between: Between
    overrides: tuple[str, ...]


_BOUND: dict[str, Drawing] = {}


def method(
    name: str, *, between: Between = per_frame_text, overrides: tuple[str, ...] = ()
) -> Callable[[Draw], Draw]:
    """Bind a function to the row of that name. LookupError if there is none, or it is taken."""

    def bound(draw: Draw) -> Draw:
        if name not in METHODS:
            raise LookupError(f"method {name} has no row in job/methods.py")
        if name in _BOUND:
            raise LookupError(f"method {name} has two functions")
        _BOUND[name] = Drawing(draw, between, overrides)
        return draw

    return bound


@cache
def methods() -> Mapping[str, Drawing]:
    """Return the functions of all methods by name. LookupError if a row has none."""
    room = __name__.rpartition(".")[0]
    for each in pkgutil.iter_modules(import_module(room).__path__):
        import_module(f"{room}.{each.name}")
    if lacking := [name for name in METHODS if name not in _BOUND]:
        raise LookupError(f"no function is bound to method {', '.join(lacking)}")
    return MappingProxyType(_BOUND)


def overridden() -> list[str]:
    """Return the kinds of modules that some method overrides."""
    return sorted({kind for each in methods().values() for kind in each.overrides})
