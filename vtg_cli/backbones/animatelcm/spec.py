"""AnimateLCM-SVD-xt (Wang et al. 2024, arXiv 2402.00769): svd-xt distilled to a few steps.

What is released is one file, svd-xt's U-Net with other values (assemble.py). Its author samples 1
to 8 steps of 40 Karras levels, as a consistency model (solvers.lcm), with guidance from 1 to
between 1 and 1.5 at the far end.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vtg_cli.backbones.base import Spec
from vtg_cli.backbones.svd import spec as svd
from vtg_cli.job.methods import METHODS, MethodDefaults, MethodFacts

CLASS = "AnimateLCM-SVD"
"""Class named in a folder's model_index.json."""
GUIDANCE = 1.0, 1.2
"""Guidance of the released demo."""
FEW, ENOUGH = 4, 8
"""Steps of the demo, which starts from one picture, and those its author goes up to."""


def _few(method: MethodFacts) -> MethodDefaults:
    usual, alone = method.defaults, method.any_solver and method.directions == 1
    return replace(
        usual,
        steps=FEW if alone else ENOUGH,
        fast_steps=FEW,
        quality_steps=ENOUGH,
        guidance=GUIDANCE if max(usual.guidance) > 1 else usual.guidance,
        solver="lcm" if method.any_solver else usual.solver,
    )


_DEFAULTS = {name: _few(row) for name, row in METHODS.items()}


def spec_of(folder: Path) -> Spec:
    """Read the facts of the model in a folder from its JSON files alone. Raise WeightsError."""
    return replace(svd.unet_facts(folder), schedules=("lcm", "karras", "ays"), defaults=_DEFAULTS)


MODEL = replace(
    svd.MODEL,
    class_name=CLASS,
    facts=spec_of,
    convert="vtg_cli.backbones.animatelcm.assemble:convert_released",
    copies=False,
)
