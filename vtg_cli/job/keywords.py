"""The flat options of a picture job as keywords: what Python, the terminal and files share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from fractions import Fraction
from typing import Any, TypedDict

from vtg_cli.ground.literals import (
    Detail,
    Dtype,
    Endpoints,
    Fit,
    Init,
    Memory,
    OnBad,
    Rotate,
    Schedule,
    Solver,
    Stream,
)
from vtg_cli.ground.option import Option, options_of
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.methods import Method
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.encoding import Encoding

OPTIONS: Mapping[str, Option] = options_of(Interpolate)
"""Name -> option, for every option of a picture job."""


class Options(TypedDict, total=False):
    """The keywords of `interpolate`; the names, values and defaults are the command line's.

    Where a rate or a time is a float, the shortest decimal that denotes it is meant.
    """

    output: str | os.PathLike[str] | None
    frames: int | Sequence[int] | str | None
    duration: Fraction | float | str | None
    at: Sequence[Fraction | float] | None
    fps: Fraction | float | str | None
    loop: bool
    ease: str
    carry: bool
    model: str
    reverse: str | None
    reverse_base: str | None
    prompts: str | Sequence[str]
    negative_prompt: str | None
    text_curve: str
    lora: str | os.PathLike[str]
    fast: bool
    quality: bool
    compile: bool
    method: Method | None
    steps: int | None
    solver: Solver | None
    schedule: Schedule | None
    guidance: tuple[float, float] | str | None
    guidance_span: tuple[float, float] | str
    fusion: str
    rotate: Rotate
    init: Init | None
    init_until: float | None
    strength: float | None
    temperature: float | None
    renoise: int | None
    renoise_until: float | None
    image_curve: str
    motion_fps: int | None
    motion_bucket: int
    noise_aug: float
    reuse: int
    seed: int
    width: int | None
    height: int | None
    fit: Fit
    background: str
    endpoints: Endpoints
    detail: Detail
    decode_chunk: int | None
    memory: Memory
    on_bad: OnBad
    candidates: int | None
    device: str
    dtype: Dtype
    format: Stream | None
    crf: int | None
    alpha: bool | None
    overwrite: bool
    skip_existing: bool
    sidecar: bool
    metadata: bool


def job_of(keyframes: Sequence[str], options: Options) -> Interpolate:
    """Build the job from flat options, each as the user may write it.

    Raises UsageError for a text that cannot be read, TypeError for a name that is no option.
    """
    values: dict[str, Any] = {}
    for name, value in options.items():
        if name not in OPTIONS or name == "keyframes":
            raise TypeError(f"interpolate() has no option {name!r}")
        read = OPTIONS[name].opt.read
        values[name] = value if read is None or value is None else read(value)
    return Interpolate(
        keyframes=tuple(keyframes),
        sampling=Sampling(**_part(values, Sampling)),
        encoding=Encoding(**_part(values, Encoding)),
        **_part(values, Interpolate),
    )


def _part(values: Mapping[str, Any], owner: type[Any]) -> dict[str, Any]:
    return {each.name: values[each.name] for each in fields(owner) if each.name in values}
