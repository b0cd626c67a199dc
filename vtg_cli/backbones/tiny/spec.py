"""Facts of the embedded model that need no torch."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vtg_cli.backbones.base import Spec
from vtg_cli.job.methods import METHODS, MethodDefaults

_DEFAULTS = MethodDefaults(guidance=(1.0, 1.0), steps=2, quality_steps=2, temperature=0.0)
"""Defaults of every method; more steps than 2 gain it nothing (docs/speed.md)."""

NO_FIT = (
    "note: tiny gains nothing to speak of from --lora: it draws both keyframes as they are without"
)
NO_NOISE = (
    "note: --init slerp does nothing at --temperature 0, which is tiny's own, and burns its "
    "pictures out above: it is for models that read captions"
)

SPEC = Spec(
    name="tiny",
    frames=24,
    fps=Fraction(24),
    channels=3,
    factor=1,
    area=None,
    log_sigma=(0.0, 1.8),
    both_ends=True,
    longest=33,
    defaults=dict.fromkeys(METHODS, _DEFAULTS),
    unused=frozenset(
        {
            *("--detail", "--motion-bucket", "--noise-aug", "--decode-chunk", "--dtype"),
            "--memory",  # but for full
            *("--rotate", "--image-curve", "--motion-fps", "--schedule", "--reuse", "--compile"),
        }
    ),
    doubts={"--lora": NO_FIT, "--init slerp": NO_NOISE},
)


def spec_of(folder: Path) -> Spec:
    """Return the same facts for every folder of this kind."""
    return SPEC
