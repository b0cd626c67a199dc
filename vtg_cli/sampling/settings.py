"""What a person may choose about sampling: plain numbers, no torch, so that jobs and `--help` stay
cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Choices of a sampling run; everything a sidecar needs to repeat it beside the model.

    `None` means "the method's own default", which `resolved` fills in.

    method:         a name in DEFAULTS; None: gi where a reverse-motion delta is at hand, else trf
    steps:          moves down the noise path, 1 or more
    solver:         "euler", "heun", "dpmpp_2m" or "lcm", which draws fresh noise at every step;
                    None: the model's own; methods in OWN_SOLVER have theirs
    schedule:       how noise levels are spread over the steps, of those the model has a choice of
                    (base.Spec): "karras", "ays" or "lcm"; None: the model's own
    guidance:       classifier-free guidance scale at the first and the last frame of each
                    direction's own time
    guidance_span:  shares of the walked steps, 0 to 1, between which there is guidance; outside of
                    it the condition alone is asked (Kynkaanniemi et al. 2024, guidance interval)
    fusion:         "mean": both directions weigh 1/2, guidance constant at the ramp's mean;
                    "linear": the nearer keyframe's direction weighs more, guidance ramps over the
                    frames; or the forward direction's weight in numbers, see fusion_weights
    rotate:         which temporal self-attentions gi turns in blocks that have two: "all" or the
                    "first"
    init:           where the walk starts. "random": pure noise; "flow": the keyframes'
                    motion-compensated in-betweens, noised; "slerp": noise on the great circle
                    between both inverted keyframes; None: flow where the strength is below 1
    init_until:     the share of the steps, 0 to 1, that put the noise of slerp back
    strength:       share of the path that is walked, above 0 to 1, under flow; else 1
    temperature:    share of the noise it starts with, 0 to 1: below 1 the clip is nearer to what is
                    likely on average and less to one draw of it
    renoise:        detours back up the path after each early step (Generative Inbetweening, section
                    4.3)
    renoise_until:  the share of the steps that take detours, 0 to 1
    image_curve:    how the picture a model is shown turns from the first keyframe to the last:
                    "off", each direction sees its own throughout, or a curve of text_curve
    motion_fps:     frames a second the model is told, 1 to 60 (DynamiCrafter's fs); None: its own
    motion_bucket:  SVD's motion amount, 0 to 255
    noise_aug:      standard deviation of the noise on the conditioning picture, 0 to 1
    reuse:          the deep part of the network is computed at every so many steps, 1 or more, and
                    its last answer taken in between (DeepCache, Ma et al. 2023)
    seed:           of every random number drawn, 0 to 2**63 - 1
    """

    method: str | None = None
    steps: int | None = None
    solver: str | None = None
    schedule: str | None = None
    guidance: tuple[float, float] | None = None
    guidance_span: tuple[float, float] = (0.0, 1.0)
    fusion: str = "mean"
    rotate: str = "all"
    init: str | None = None
    init_until: float | None = None
    strength: float | None = None
    temperature: float | None = None
    renoise: int | None = None
    renoise_until: float | None = None
    image_curve: str = "off"
    motion_fps: int | None = None
    motion_bucket: int = 127
    noise_aug: float = 0.02
    reuse: int = 1
    seed: int = 0


FAST_STEPS = 10


@dataclass(frozen=True)
class MethodDefaults:
    """What a method does where the person did not say; quality_steps: the fewest steps it takes
    under --quality; fast_steps: the most under --fast.
    """

    renoise: int = 0
    renoise_until: float = 0.0
    guidance: tuple[float, float] = (1.0, 3.0)
    steps: int = 25
    quality_steps: int = 50
    fast_steps: int = FAST_STEPS
    solver: str = "euler"
    strength: float = 1.0
    temperature: float = 1.0


DEFAULTS = {
    # The paper takes 50 steps; its author finds 25 as good. The detours are the paper's.
    "gi": MethodDefaults(renoise=5, renoise_until=0.5),
    "trf": MethodDefaults(renoise=1, renoise_until=0.6),
    "i2v": MethodDefaults(),
    "dynamicrafter": MethodDefaults(guidance=(7.5, 7.5), steps=50),
    "tei": MethodDefaults(guidance=(7.5, 7.5), steps=50),
    "attention": MethodDefaults(guidance=(7.5, 7.5), steps=50),
    # without guidance, inverted noise leads back to its keyframe
    "di": MethodDefaults(guidance=(1.0, 1.0), steps=50),
    "tvg": MethodDefaults(guidance=(7.5, 7.5), steps=10, quality_steps=25),
}
SOLVER_CALLS = {"euler": 1, "heun": 2, "dpmpp_2m": 1, "lcm": 1}
"""Network calls per down-move."""
LCM_LEVELS = 40
"""Noise levels that AnimateLCM-SVD is sampled at, as published; steps on schedule lcm at most."""
ONE_WAY = ("i2v", "dynamicrafter", "tei", "attention")
"""Methods of one direction of time. The others take both, or each keyframe's condition in turn."""
OWN_SOLVER = ("dynamicrafter", "tei", "attention", "tvg")
"""Methods that draw fresh noise at every step, as DynamiCrafter does."""
BETWEEN_INVERTED = ("di",)
"""Methods that are nothing else than a walk from the noise of slerp, which is not put back."""
BETWEEN_CAPTIONS = ("tei",)
"""Methods that are nothing without two captions."""
FUSIONS = {"mean": (0.5, 0.5), "linear": (1.0, 0.0)}
"""Weight of the forward direction at the first and the last frame."""
ROTATED = ("all", "first")
INITS = ("random", "flow", "slerp")
FLOW_STRENGTH = 0.6
"""Of a start from in-betweens under a model whose own is pure noise."""
INIT_UNTIL = 0.2
"""How long the noise of slerp is put back. VTG says "early steps" and no number; this is ours."""

LORA_RANK, LORA_STEPS = 16, 200
"""Of the update that a keyframe gets (VTG; DiffMorpher, section 4.1)."""


def fusion_weights(fusion: str) -> tuple[float, ...]:
    """Weight of the forward direction at two or more moments spread evenly over the clip: by name,
    from "0.4" for all frames or from several such as "1,0.8,0". ValueError for anything else.
    """
    if fusion in FUSIONS:
        return FUSIONS[fusion]
    weights = tuple(float(each) for each in fusion.split(","))
    if not all(0 <= weight <= 1 for weight in weights):
        raise ValueError(f"weights lie in 0..1: {fusion}")
    return weights if len(weights) > 1 else weights * 2


def resolved(
    sampling: Sampling,
    *,
    has_reverse: bool,
    defaults_of: Mapping[str, MethodDefaults] = MappingProxyType(DEFAULTS),
) -> Sampling:
    """The same choices with every None filled in.

    has_reverse: a reverse-motion delta is loaded; defaults_of: per method, the model's own; what it
    does not name is as for i2v.
    """
    method = sampling.method or ("gi" if has_reverse else "trf")
    defaults = defaults_of.get(method, defaults_of["i2v"])
    inverted = method in BETWEEN_INVERTED
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
    """How many of the steps are walked, under resolved settings."""
    assert sampling.steps and sampling.strength
    return max(1, ceil(sampling.steps * sampling.strength - 1e-9))


def detoured(sampling: Sampling) -> int:
    """How many of the walked steps take detours, under resolved settings."""
    return int(walked(sampling) * (sampling.renoise_until or 0))


def guided_steps(sampling: Sampling) -> tuple[int, int]:
    """The walked steps that have guidance, from the first up to but without the second."""
    assert sampling.guidance
    if max(sampling.guidance) <= 1:
        return 0, 0
    steps = walked(sampling)
    first, end = (int(steps * share + 1e-9) for share in sampling.guidance_span)
    return first, end + (end == steps)  # a second-order step may look at the last level too


@dataclass(frozen=True)
class Work:
    """Single-clip network evaluations of one segment; whole: those among them in which the deep
    part of the network is computed and not taken from an earlier one.
    """

    evaluations: int
    whole: int


def work(sampling: Sampling, *, begins_empty: bool = False, ends_clean: bool = True) -> Work:
    """Of one segment under resolved settings: calls x directions x guidance terms. Those of single
    frames are `inversions`; the frames of a clip that are denoised one by one (di) count as the
    clip.

    begins_empty, ends_clean: whether the model's path begins without signal and ends on data
    (base.Spec); moves from the one and onto the other are first order under every solver.
    """
    first, end = guided_steps(sampling)
    directions = 1 if sampling.method in ONE_WAY else 2
    made = whole = 0
    trails: dict[bool, tuple[int, int]] = {}  # with guidance or without: level, calls since whole
    before = now = 0
    for level in _calls(sampling, begins_empty, ends_clean):
        guided = first <= level < end
        calls = directions * (2 if guided else 1)
        before, now = (now, level) if level != now else (before, now)
        last, since = trails.get(guided, (level, 0))
        since = (since + 1) % sampling.reuse if last == before and level > last else 0
        trails[guided] = level, since
        made += calls
        whole += calls * (since == 0)
    return Work(made, whole)


def _calls(s: Sampling, begins_empty: bool, ends_clean: bool) -> Iterator[int]:
    """The levels at which the network is asked, in order, as places on the path that is walked."""
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
    """The first number of `work`."""
    return work(sampling, begins_empty=begins_empty, ends_clean=ends_clean).evaluations


def inversions(sampling: Sampling, ends_clean: bool) -> int:
    """Network evaluations of single frames that invert both keyframes of a segment for slerp.

    ends_clean: whether the model's path ends on data, from which the walk cannot set out.
    """
    assert sampling.steps
    return 2 * (sampling.steps - ends_clean) if sampling.init == "slerp" else 0
