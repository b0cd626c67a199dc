"""What a person may choose about sampling: plain numbers, no torch, so that jobs and `--help` stay
cheap.
"""

from __future__ import annotations

from dataclasses import dataclass


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
