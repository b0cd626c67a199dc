"""The fits of `--lora fit` alone, kept in a folder of choice for `--lora FOLDER`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.plan.plan import Plan
from vtg_cli.plan.segments import planned
from vtg_cli.render.fitting import Cancel, Progress, identity_of, learned
from vtg_cli.training.loop import OnNote
from vtg_cli.weights import store


def plan_of(job: Interpolate) -> Plan:
    """Return the plan of a job whose keyframes are fitted. Raise UsageError for a model that has
    nothing to fit.
    """
    plan = planned(job)
    assert isinstance(plan, Plan)
    if plan.model.spec is None:
        raise UsageError(
            f"{plan.model.name} has no weights that a LoRA could change",
            "--model names a diffusion model",
            subject="--model",
        )
    return plan


def fit(
    plan: Plan, out: Path, *, progress: Progress, cancel: Cancel, on_note: OnNote
) -> dict[str, Any]:
    """Fit a LoRA to every keyframe into the folder `out`, or go on where a fit stopped; return the
    report.
    """
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.ground.tensor import to_pixels
    from vtg_cli.media.image import fit as fitted
    from vtg_cli.methods.captions import Captions
    from vtg_cli.render.segments import loaded

    job, m = plan.job, loaded(plan)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(f"cannot make the folder {out}: {reason}", subject=str(out)) from None
    ends = [to_pixels(fitted(each.pixels, *plan.drawn, "stretch")) for each in plan.stills]
    told = [Captions(*pair) for pair in plan.captions] if job.prompts else [None]
    keys = Keyframes.ends(ends[0], ends[1], m.spec.drawn(plan.schedule.segments[0]))
    learned(
        *(m, keys, told[0], job),
        identity=identity_of(plan.model.folder),
        progress=lambda share, phase: progress(min(1.0, share), phase),
        cancel=cancel,
        on_note=on_note,
        cache=out,
    )
    return {
        "output": str(out),
        "files": sorted(file.name for file in out.glob("*.safetensors")),
        "model": plan.model.name,
        "weights": store.identity(plan.model.folder),
        "captions": list(job.prompts),
        "size": f"{plan.drawn[1]}x{plan.drawn[0]}",
    }
