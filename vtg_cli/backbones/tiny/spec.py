"""Facts of the embedded model that need no torch."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vtg_cli.backbones.base import Model, Spec
from vtg_cli.job.methods import METHODS, MethodDefaults
from vtg_cli.machine.cost import MIB, Rates
from vtg_cli.weights.layout import NETWORK
from vtg_cli.weights.sizes import Parts, count_in, shapes_in

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


def parts(folder: Path) -> Parts:
    """Measure the network. Raise WeightsError for a damaged file."""
    widths = shapes_in(folder / NETWORK).get("patch_in.weight") or [128]
    return Parts(count_in(folder / NETWORK), 0, 0, widths[0], 0)


LATENTS = 128 * 72
"""The most latents of a frame."""
MODEL = Model(
    class_name="TinyVideoModel",
    facts=spec_of,
    parts=parts,
    rates=Rates(
        start=1.7,
        segment=0.3,
        known=512 * 288,
        near=1.1e-5,
        pixel=3e-6,
        place=1e-7,
        look=6.4e-12,
        most=LATENTS,
        frame=1.8e-7,
        start_bytes=310 * MIB,
        near_bytes=810,
        pixel_bytes=330,
        place_bytes=2.4,
        frame_bytes=21,
        trained=0.12,
        kept=60,
        kept_again=12,
    ),
    factor=4,
    load="vtg_cli.backbones.tiny.weights:load",
)
