"""Options and the models that have a use for them: what is refused, and what is only doubted."""

from __future__ import annotations

from collections.abc import Collection

from vtg_cli.backbones.base import Spec
from vtg_cli.errors import UsageError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.keywords import OPTIONS
from vtg_cli.job.methods import METHODS, MethodDefaults
from vtg_cli.job.sampling import Sampling
from vtg_cli.plan.model import Choice


def refuse_unused(model: Choice, names: Collection[str]) -> None:
    """Raise UsageError for the first option, by name, that the model has no use for."""
    chosen = f"; {model.name} was chosen: {model.reason}" if model.reason else ""
    for option in (OPTIONS[name] for name in names if name in OPTIONS):
        flag = option.flag
        if option.opt.needs == "text" and not reads(model):
            raise UsageError(
                f"{flag} is for models that take text, and {model.name} takes none",
                f"leave it out, or name such a model with --model{chosen}",
                subject=flag,
            )
        if model.spec is not None and flag in model.spec.unused:
            raise UsageError(
                f"{flag} means nothing to {model.name}", f"leave it out{chosen}", subject=flag
            )
        kinds = {"diffusion": "diffusion models"} if model.spec is None else {}
        kinds |= {"network": "models with a network"} if model.source is None else {}
        if option.opt.needs in kinds:
            raise UsageError(
                f"{flag} is for {kinds[option.opt.needs]}, and the model is {model.name}",
                f"leave it out, or name a diffusion model with --model{chosen}",
                subject=flag,
            )


def refuse_without_captions(job: Interpolate, model: Choice) -> None:
    """Raise UsageError for a method that goes between captions if there are none to go between."""
    method = job.sampling.method
    if method is None or METHODS[method].needs != "captions":
        return
    if reads(model) and len({*job.prompts}) > 1:
        return
    lacking, hint = f"{model.name} takes none", "name a model that takes text with --model"
    if reads(model):
        lacking, hint = "there are fewer than two", "give one --prompt for each keyframe"
    raise UsageError(
        f"--method {method} goes between captions, and {lacking}",
        f"{hint}, or another method",
        subject="--method",
    )


def reads(model: Choice) -> bool:
    """Return whether captions say something to the model."""
    return model.spec is not None and model.spec.text


def given(job: Interpolate) -> list[str]:
    """Return the names of the options that are set and that not every model looks at."""
    return [o.name for o in OPTIONS.values() if o.opt.needs and o.is_set(job)]


def doubts(job: Interpolate, model: Choice, sampling: Sampling) -> list[str]:
    """Return notes on options that are known to change little or nothing."""
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
    """Return the defaults of the resolved settings' method under a model."""
    return spec.defaults[sampling.method or ""]
