"""The methods by name: what choosing, checking and costing one takes, a row each. No torch.

A row stands here, the function that draws in methods/, bound to the row by `@method`. The choices
of `--method`, its help, the checks between options, costs and defaults all follow from the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from vtg_cli.ground.literals import Solver

Method = Literal["gi", "trf", "i2v", "dynamicrafter", "tei", "attention", "di", "tvg"]
FAST_STEPS = 10


@dataclass(frozen=True)
class MethodDefaults:
    """The defaults of a method.

    quality_steps: the fewest steps it takes under --quality
    fast_steps: the most under --fast
    """

    renoise: int = 0
    renoise_until: float = 0.0
    guidance: tuple[float, float] = (1.0, 3.0)
    steps: int = 25
    quality_steps: int = 50
    fast_steps: int = FAST_STEPS
    solver: Solver = "euler"
    strength: float = 1.0
    temperature: float = 1.0


@dataclass(frozen=True, kw_only=True)
class MethodFacts:
    """The facts of a method.

    help: what `--method` says of it
    directions: of time, or conditions in turn, that a step asks the network about
    needs: what it cannot do without: "reverse", reverse-motion weights; "captions", two of them
    eta: of DDIM's steps; above 0 they draw fresh noise, and no other solver will do
    rescale: of guidance
    inverted: whether it only walks from the noise of slerp, which is not put back
    defaults: under a model that has none of its own
    """

    name: Method
    help: str
    directions: Literal[1, 2]
    needs: Literal["reverse", "captions"] | None = None
    eta: float = 0.0
    rescale: float = 0.0
    inverted: bool = False
    defaults: MethodDefaults = MethodDefaults()

    @property
    def any_solver(self) -> bool:
        """Return whether its steps may be taken by any solver."""
        return not self.eta and not self.inverted


RESCALE = 0.7
"""Rescaling of DynamiCrafter's guidance, as its released scripts sample (but for the 256 model)."""
_CRAFTED = MethodDefaults(guidance=(7.5, 7.5), steps=50)
_ROWS = (
    MethodFacts(
        name="gi",
        help="generative inbetweening, the best, needs reverse-motion weights",
        directions=2,
        needs="reverse",
        # The paper takes 50 steps; its author finds 25 as good. The detours are the paper's.
        defaults=MethodDefaults(renoise=5, renoise_until=0.5),
    ),
    MethodFacts(
        name="trf",
        help="time-reversal fusion, needs none",
        directions=2,
        defaults=MethodDefaults(renoise=1, renoise_until=0.6),
    ),
    MethodFacts(name="i2v", help="plain image to video from the first keyframe", directions=1),
    MethodFacts(
        name="dynamicrafter",
        help="that model's own sampling, in one direction",
        directions=1,
        eta=1.0,
        rescale=RESCALE,
        defaults=_CRAFTED,
    ),
    MethodFacts(
        name="tei",
        help="to compare with, captions on the straight line",
        directions=1,
        needs="captions",
        eta=1.0,
        rescale=RESCALE,
        defaults=_CRAFTED,
    ),
    MethodFacts(
        name="attention",
        help="to compare with, every frame looks at both ends",
        directions=1,
        eta=1.0,
        rescale=RESCALE,
        defaults=_CRAFTED,
    ),
    MethodFacts(
        name="di",
        help="to compare with, stills between the inverted keyframes",
        directions=2,
        inverted=True,
        # without guidance, inverted noise leads back to its keyframe
        defaults=MethodDefaults(guidance=(1.0, 1.0), steps=50),
    ),
    MethodFacts(
        name="tvg",
        help="to compare with, both directions side by side",
        directions=2,
        eta=1.0,
        rescale=RESCALE,
        defaults=MethodDefaults(guidance=(7.5, 7.5), steps=10, quality_steps=25),
    ),
)
METHODS: Mapping[str, MethodFacts] = MappingProxyType({row.name: row for row in _ROWS})
"""The methods, those that `default_method` takes first in front."""
DEFAULTS: Mapping[str, MethodDefaults] = {row.name: row.defaults for row in _ROWS}
USUAL = MethodDefaults()


def default_method(has_reverse: bool) -> Method:
    """Return the best method that can be. has_reverse: there are reverse-motion weights."""
    return next(row.name for row in _ROWS if has_reverse or row.needs != "reverse")


def needing(what: str) -> str:
    """Return the methods that cannot do without something (MethodFacts.needs), for a sentence."""
    return " or ".join(row.name for row in _ROWS if row.needs == what)


def told() -> str:
    """Return what `--help` says of every method and of the default."""
    best, always = default_method(True), default_method(False)
    each = " ".join(f"{row.name}: {row.help}." for row in _ROWS)
    return f"{each} Default: {best} if it can be, else {always}"


def differing(field: str) -> str:
    """Return a default of the methods that have one unlike the usual: "5 for gi, 1 for trf"."""
    values = {row.name: getattr(row.defaults, field) for row in _ROWS}
    usual = getattr(USUAL, field)
    return ", ".join(f"{value} for {name}" for name, value in values.items() if value != usual)
