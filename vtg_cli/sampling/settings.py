"""The settings of a sampling run, resolved under a model's defaults, and their cost in network
evaluations: plain numbers, no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType

from vtg_cli.job.methods import DEFAULTS, METHODS, MethodDefaults, default_method
from vtg_cli.job.sampling import Sampling

SOLVER_CALLS = {"euler": 1, "heun": 2, "dpmpp_2m": 1, "lcm": 1}
"""Network calls per down-move."""
LCM_LEVELS = 40
"""Noise levels that AnimateLCM-SVD is sampled at, as published; the most steps on schedule lcm."""
FLOW_STRENGTH = 0.6
"""Strength of a start from in-betweens under a model whose own start is pure noise."""
INIT_UNTIL = 0.2
"""Share of the steps that put back the noise of slerp. VTG says "early steps" and no number; this
is ours."""

LORA_RANK, LORA_STEPS = 16, 200
"""Rank and training steps of the update that a keyframe gets (VTG; DiffMorpher, section 4.1)."""


def resolved(
    sampling: Sampling,
    *,
    has_reverse: bool,
    defaults_of: Mapping[str, MethodDefaults] = MappingProxyType(DEFAULTS),
) -> Sampling:
    """Fill in every None of the choices.

    has_reverse: a reverse-motion delta is loaded
    defaults_of: of every method under the model
    """
    method = sampling.method or default_method(has_reverse)
    defaults, inverted = defaults_of[method], METHODS[method].inverted
    init = sampling.init or ("flow" if (sampling.strength or defaults.strength) < 1 else "random")
    init = "slerp" if inverted else init
    strength = 1.0
    if init == "flow":
        own = defaults.strength if defaults.strength < 1 else FLOW_STRENGTH
        strength = sampling.strength or own
    return replace(
        sampling,
        method=method,
        steps=sampling.steps or defaults.steps,
        # fresh noise would undo the inverted one
        solver=sampling.solver or ("euler" if init == "slerp" else defaults.solver),
        guidance=sampling.guidance or defaults.guidance,
        init=init,
        init_until=(0.0 if inverted else INIT_UNTIL)
        if init == "slerp" and sampling.init_until is None
        else sampling.init_until,
        strength=strength,
        temperature=defaults.temperature if sampling.temperature is None else sampling.temperature,
        renoise=defaults.renoise if sampling.renoise is None else sampling.renoise,
        renoise_until=defaults.renoise_until
        if sampling.renoise_until is None
        else sampling.renoise_until,
    )


def walked(sampling: Sampling) -> int:
    """Return how many of the steps are walked, under resolved settings."""
    assert sampling.steps and sampling.strength
    return max(1, ceil(sampling.steps * sampling.strength - 1e-9))


def detoured(sampling: Sampling) -> int:
    """Return how many of the walked steps take detours, under resolved settings."""
    return int(walked(sampling) * (sampling.renoise_until or 0))


def guided_steps(sampling: Sampling) -> tuple[int, int]:
    """Return the walked steps that have guidance, from the first up to but without the second."""
    assert sampling.guidance
    if max(sampling.guidance) <= 1:
        return 0, 0
    steps = walked(sampling)
    first, end = (int(steps * share + 1e-9) for share in sampling.guidance_span)
    return first, end + (end == steps)  # a second-order step may look at the last level too


@dataclass(frozen=True)
class Work:
    """The network evaluations of one segment, in single clips. whole: those in which the deep part
    of the network is computed and not taken from an earlier one.
    """

    evaluations: int
    whole: int


def work(sampling: Sampling, *, begins_empty: bool = False, ends_clean: bool = True) -> Work:
    """Count a segment's evaluations, under resolved settings: calls x directions x terms.

    begins_empty, ends_clean: whether the model's path begins without signal and ends on data
        (base.Spec); moves from the one and onto the other are first order under every solver

    Those of single frames are `inversions`; the frames of a clip that are denoised one by one (di)
    count as the clip.
    """
    first, end = guided_steps(sampling)
    directions = METHODS[sampling.method or ""].directions
    total = whole = 0
    trails: dict[bool, tuple[int, int]] = {}  # with guidance or without: level, calls since whole
    before = now = 0
    for level in _calls(sampling, begins_empty, ends_clean):
        guided = first <= level < end
        calls = directions * (2 if guided else 1)
        before, now = (now, level) if level != now else (before, now)
        last, since = trails.get(guided, (level, 0))
        since = (since + 1) % sampling.reuse if last == before and level > last else 0
        trails[guided] = level, since
        total += calls
        whole += calls * (since == 0)
    return Work(total, whole)


def _calls(s: Sampling, begins_empty: bool, ends_clean: bool) -> Iterator[int]:
    """Yield the levels at which the network is called, in order, as places on the path."""
    assert s.renoise is not None and s.solver is not None
    steps = walked(s)
    from_empty = begins_empty and steps == s.steps
    for i in range(steps):
        short = (i == 0 and from_empty) or (i == steps - 1 and ends_clean)
        for _ in range(1 + s.renoise * (i < detoured(s))):
            yield i
            if SOLVER_CALLS[s.solver] > 1 and not short:
                yield i + 1


def evaluations(sampling: Sampling, *, begins_empty: bool = False, ends_clean: bool = True) -> int:
    """Return the first number of `work`."""
    return work(sampling, begins_empty=begins_empty, ends_clean=ends_clean).evaluations


def inversions(sampling: Sampling, ends_clean: bool) -> int:
    """Count the evaluations of single frames that invert a segment's keyframes for slerp.

    ends_clean: whether the model's path ends on data, from which the walk cannot set out
    """
    assert sampling.steps
    return 2 * (sampling.steps - ends_clean) if sampling.init == "slerp" else 0
