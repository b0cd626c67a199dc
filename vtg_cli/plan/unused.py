"""Options and the models that have a use for them: what is refused, and what is only doubted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from vtg_cli.backbones.base import Spec
from vtg_cli.errors import UsageError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import BETWEEN_CAPTIONS, Sampling
from vtg_cli.plan.model import Choice
from vtg_cli.sampling.settings import MethodDefaults

DIFFUSION_ONLY = {
    *("--method", "--reverse", "--reverse-base", "--steps", "--solver", "--guidance", "--fusion"),
    *(
        "--init",
        "--init-until",
        "--strength",
        "--temperature",
        "--renoise",
        "--renoise-until",
        "--motion-bucket",
        "--noise-aug",
    ),
    *("--image-curve", "--motion-fps", "--rotate", "--lora", "--fast", "--quality"),
    *("--schedule", "--guidance-span", "--reuse", "--compile"),
    *("--decode-chunk", "--memory", "--dtype", "--device", "--detail"),
}
"""Options flow has no use for; --seed is harmless and --device cpu is what it does anyway."""


TEXT_ONLY = {"--prompt", "--negative-prompt", "--text-curve"}
"""Options only models that read captions have a use for."""


def refuse_unused(model: Choice, options: Collection[str]) -> None:
    """UsageError for the first option the model has no use for; options: flags or field names."""
    for option in options:
        flag = "--" + option.removeprefix("--").replace("_", "-")
        if flag in TEXT_ONLY and not reads(model):
            chosen = f"; {model.name} was chosen: {model.reason}" if model.reason else ""
            raise UsageError(
                f"{flag} is for models that take text, and {model.name} takes none",
                f"leave it out, or name such a model with --model{chosen}",
                subject=flag,
            )
        if model.spec is not None and flag in model.spec.unused:
            chosen = f"; {model.name} was chosen: {model.reason}" if model.reason else ""
            raise UsageError(
                f"{flag} means nothing to {model.name}", f"leave it out{chosen}", subject=flag
            )
        if model.spec is None and flag in DIFFUSION_ONLY:
            raise UsageError(
                f"{flag} is for diffusion models, and the model is {model.name}",
                "leave it out, or name a diffusion model with --model"
                + (f"; flow was chosen: {model.reason}" if model.reason else ""),
                subject=flag,
            )


def refuse_without_captions(job: Interpolate, model: Choice) -> None:
    """UsageError for a method that goes between captions where there are none to go between."""
    method = job.sampling.method
    if method not in BETWEEN_CAPTIONS or (reads(model) and len({*job.prompts}) > 1):
        return
    lacking, hint = f"{model.name} takes none", "name a model that takes text with --model"
    if reads(model):
        lacking, hint = "there are no two of them", "give one --prompt for each keyframe"
    raise UsageError(
        f"--method {method} goes between captions, and {lacking}",
        f"{hint}, or another method",
        subject="--method",
    )


def reads(model: Choice) -> bool:
    """Whether captions say something to the model."""
    return model.spec is not None and model.spec.text


def given(job: Interpolate) -> list[str]:
    """Names of the options that were given and that not every model looks at."""
    default = Sampling()
    chosen = [f.name for f in fields(default)]
    given = [name for name in chosen if getattr(job.sampling, name) != getattr(default, name)]
    if job.sampling.solver == "euler":  # what every model takes that has no solver of its own
        given.remove("solver")
    given += ["detail"] if job.detail != "model" else []
    given += [name for name in ("reverse", "decode_chunk") if getattr(job, name) is not None]
    given += ["memory"] if job.memory not in ("auto", "full") else []
    given += ["dtype"] if job.dtype != "auto" else []
    given += ["prompt"] if job.prompts else []
    given += ["negative_prompt"] if job.negative_prompt is not None else []
    given += ["text_curve"] if job.text_curve != "linear" else []
    given += ["lora"] if job.lora != "off" else []
    given += [name for name in ("fast", "quality", "compile") if getattr(job, name)]
    return given + (["device"] if job.device not in ("auto", "cpu") else [])


def doubts(job: Interpolate, model: Choice, sampling: Sampling) -> list[str]:
    """What is known to change little or nothing of what was asked for."""
    if model.spec is None:
        return []
    doubts = [model.spec.doubts.get("--lora", "")] if job.lora != "off" else []
    doubts += [model.spec.doubts.get("--init slerp", "")] if sampling.init == "slerp" else []
    own = defaults_of(model.spec, sampling)
    if sampling.solver == "lcm" and own.solver != "lcm":
        doubts.append(
            f"note: --solver lcm is for models distilled to few steps, and {model.name} is not one"
        )
    if job.fast and job.sampling.steps is None and sampling.steps != own.fast_steps:
        doubts.append(
            f"note: --fast changes no step: {model.name} takes {sampling.steps} by itself"
        )
    if job.quality and job.sampling.steps is None and sampling.steps == own.steps:
        doubts.append(
            f"note: --quality changes no step: {model.name} takes {sampling.steps} by itself"
        )
    return [doubt for doubt in doubts if doubt]


def defaults_of(spec: Spec, sampling: Sampling) -> MethodDefaults:
    """Of the resolved settings' method under a model."""
    return spec.defaults.get(sampling.method or "", spec.defaults["i2v"])
