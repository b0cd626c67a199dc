"""The options of sampling: plain numbers, no torch, so that jobs and `--help` stay cheap. Where a
value is None, the method's own default is meant (sampling/settings.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from vtg_cli.ground.literals import Init, Rotate, Schedule, Solver
from vtg_cli.ground.option import MODEL, SAMPLING, Opt
from vtg_cli.job import methods, reading
from vtg_cli.job.methods import USUAL, Method

MAX_SEED = 2**63 - 1
MAX_REUSE = 100
_SCALE = {"type": "number", "minimum": 0, "maximum": 100}
GUIDANCE = {"anyOf": [_SCALE, {"type": "array", "items": _SCALE, "minItems": 2, "maxItems": 2}]}
SPAN = {
    "type": "array",
    "items": {"type": "number", "minimum": 0, "maximum": 1},
    "minItems": 2,
    "maxItems": 2,
}


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The options of a sampling run: all that a sidecar needs, beside the model, to repeat it."""

    method: Annotated[
        Method | None,
        Opt(
            f"How a diffusion model is led to both keyframes. {methods.told()}.",
            MODEL,
            needs="diffusion",
            example=methods.default_method(has_reverse=False),
        ),
    ] = None
    steps: Annotated[
        int | None,
        Opt(
            f"Denoising steps; more take longer and get finer. Default: {USUAL.steps}.",
            SAMPLING,
            metavar="N",
            needs="diffusion",
            low=1,
            high=1000,
            example=USUAL.steps,
        ),
    ] = None
    solver: Annotated[
        Solver | None,
        Opt(
            "How a denoising step is taken; lcm draws fresh noise at each, for models "
            "distilled to few steps. Default: euler, or the model's own.",
            SAMPLING,
            needs="diffusion",
            example="euler",
            idle=("euler",),
        ),
    ] = None
    schedule: Annotated[
        Schedule | None,
        Opt(
            "Noise schedule of Stable Video Diffusion: karras, its own; ays (Align Your Steps), "
            "made for 10; lcm, every so many of 40 levels, animatelcm-svd-xt's own. Default: "
            "karras; with --fast ays.",
            SAMPLING,
            needs="diffusion",
            example="karras",
        ),
    ] = None
    guidance: Annotated[
        tuple[float, float] | None,
        Opt(
            "How closely frames follow the keyframe, at the near and the far end. Default: "
            f"{':'.join(f'{scale:g}' for scale in USUAL.guidance)}.",
            SAMPLING,
            metavar="MIN:MAX",
            needs="diffusion",
            example=[1, 3],
            low=0,
            high=100,
            read=reading.read_guidance,
            schema=GUIDANCE,
        ),
    ] = None
    # outside of it the condition alone is asked (Kynkaanniemi et al. 2024, guidance interval)
    guidance_span: Annotated[
        tuple[float, float],
        Opt(
            "Share of the steps that have guidance, such as 0:0.6; the others take half the time. "
            "It changes the frames.",
            SAMPLING,
            metavar="FROM:TO",
            needs="diffusion",
            example=[0, 1],
            read=reading.read_span,
            shown="0:1",
            schema=SPAN,
        ),
    ] = (0.0, 1.0)
    # of "linear" guidance ramps over the frames, of the others it is constant at the mean
    fusion: Annotated[
        str,
        Opt(
            "How the motions from both keyframes are mixed: mean, evenly; linear, by nearness; or "
            "the weight of the first keyframe's, 0 to 1: one number, or several spread evenly "
            "over the frames, such as 1,0.8,0.",
            SAMPLING,
            metavar="WEIGHT",
            needs="diffusion",
            example="mean",
            complete="fusion_names",
        ),
    ] = "mean"
    rotate: Annotated[
        Rotate,
        Opt(
            "Which temporal attentions method gi rotates where a block has two: all of them, or "
            "the first of each block.",
            SAMPLING,
            needs="diffusion",
            example="all",
        ),
    ] = "all"
    init: Annotated[
        Init | None,
        Opt(
            "What the clip starts from. random: noise. flow: the keyframes carried along "
            "their motion, with noise on it. slerp: noise that turns from the first "
            "keyframe's own into the last one's. Default: flow where --strength is below "
            "1, else random.",
            SAMPLING,
            needs="diffusion",
            example="flow",
        ),
    ] = None
    init_until: Annotated[
        float | None,
        Opt(
            "Share of the steps, 0 to 1, that keep the noise of --init slerp; the rest may change "
            "it. Default: 0.2.",
            SAMPLING,
            metavar="SHARE",
            needs="diffusion",
            low=0,
            high=1,
            example=0.2,
        ),
    ] = None
    strength: Annotated[
        float | None,
        Opt(
            "Share of the steps that --init flow takes, above 0 to 1: the fewer, the closer to "
            "the keyframes carried along their motion. Below 1 it implies --init flow. Default: "
            "1; with --init flow 0.6.",
            SAMPLING,
            metavar="SHARE",
            needs="diffusion",
            low=0.01,
            high=1,
            example=0.6,
        ),
    ] = None
    temperature: Annotated[
        float | None,
        Opt(
            "Amount of initial noise, 0 to 1: less noise, fewer surprises. Default: 1; for tiny "
            "0, so that its clips do not depend on --seed.",
            SAMPLING,
            metavar="SHARE",
            needs="diffusion",
            low=0,
            high=1,
            example=1.0,
        ),
    ] = None
    # detours back up the path (Generative Inbetweening, section 4.3)
    renoise: Annotated[
        int | None,
        Opt(
            "Go back and repeat each early step K times, which joins both motions better. "
            f"Default: {methods.differing('renoise')}.",
            SAMPLING,
            metavar="K",
            needs="diffusion",
            low=0,
            high=100,
            example=1,
        ),
    ] = None
    renoise_until: Annotated[
        float | None,
        Opt(
            "Share of the steps that count as early. "
            f"Default: {methods.differing('renoise_until')}.",
            SAMPLING,
            metavar="SHARE",
            needs="diffusion",
            low=0,
            high=1,
            example=0.6,
        ),
    ] = None
    image_curve: Annotated[
        str,
        Opt(
            "For models that look at a picture and read no text: how what they see turns from the "
            "first keyframe into the last one over the frames: linear, hold (a tenth of the other "
            "always shows) or a curve as for --ease. off: each direction sees its own keyframe.",
            SAMPLING,
            metavar="CURVE",
            needs="diffusion",
            example="off",
        ),
    ] = "off"
    motion_fps: Annotated[
        int | None,
        Opt(
            "Frame rate the model is conditioned on, 1 to 60: the lower, the more moves from one "
            "frame to the next. For DynamiCrafter its fs. It does not change how fast the clip "
            "plays. Default: the model's own.",
            SAMPLING,
            metavar="N",
            needs="diffusion",
            low=1,
            high=60,
            example=7,
        ),
    ] = None
    motion_bucket: Annotated[
        int,
        Opt(
            "Amount of motion, 0 to 255.",
            SAMPLING,
            metavar="N",
            needs="diffusion",
            low=0,
            high=255,
            example=127,
        ),
    ] = 127
    noise_aug: Annotated[
        float,
        Opt(
            "Noise on the keyframe the model looks at, 0 to 1: more noise gives more freedom.",
            SAMPLING,
            metavar="SIGMA",
            needs="diffusion",
            low=0,
            high=1,
            example=0.02,
        ),
    ] = 0.02
    # DeepCache (Ma et al. 2023)
    reuse: Annotated[
        int,
        Opt(
            "Compute the deep part of the network only at every N-th step and reuse its output in "
            "between: faster, rougher. 1: at every step.",
            SAMPLING,
            metavar="N",
            needs="diffusion",
            low=1,
            high=MAX_REUSE,
            example=1,
        ),
    ] = 1
    seed: Annotated[
        int,
        Opt(
            "Random seed. The same seed gives the same clip. flow uses no randomness.",
            SAMPLING,
            metavar="N",
            low=0,
            high=MAX_SEED,
            example=0,
            common=True,
        ),
    ] = 0


FUSIONS = {"mean": (0.5, 0.5), "linear": (1.0, 0.0)}
"""Weight of the forward direction at the first and the last frame."""


def fusion_weights(fusion: str) -> tuple[float, ...]:
    """Return the forward direction's weight at two or more moments spread evenly over the clip.

    fusion: a name, "0.4" for all frames or several weights such as "1,0.8,0"

    Raises ValueError for anything else.
    """
    if fusion in FUSIONS:
        return FUSIONS[fusion]
    weights = tuple(float(each) for each in fusion.split(","))
    if not all(0 <= weight <= 1 for weight in weights):
        raise ValueError(f"weights lie in 0..1: {fusion}")
    return weights if len(weights) > 1 else weights * 2
