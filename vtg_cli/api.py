"""The same in Python: `interpolate`, `predict`, and the flat options that they and the command line
share.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from vtg_cli import preflight, tasks
from vtg_cli.errors import UsageError
from vtg_cli.job import Interpolate
from vtg_cli.literals import (
    Detail,
    Dtype,
    Endpoints,
    Fit,
    Init,
    Memory,
    Method,
    OnBad,
    Rotate,
    Schedule,
    Solver,
    Stream,
)
from vtg_cli.media.encoding import Encoding
from vtg_cli.media.image import read_image
from vtg_cli.plan import claimed
from vtg_cli.preflight import Preflight
from vtg_cli.renderers import Cancel, Progress
from vtg_cli.sampling.settings import Sampling
from vtg_cli.stills import Frame
from vtg_cli.tasks import Rendering
from vtg_cli.timeline.plan import planned
from vtg_cli.timing import parse_duration, parse_fps, parse_frames

if TYPE_CHECKING:
    from PIL.Image import Image
    from typing_extensions import Unpack

    Picture = str | os.PathLike[str] | Image | NDArray[np.uint8]


class Options(TypedDict, total=False):
    """Everything `interpolate` can be told; the names, values and defaults are the command line's.

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
    paths: bool


def interpolate(
    *keyframes: Picture,
    on_progress: Progress | None = None,
    cancel: Cancel | None = None,
    **options: Unpack[Options],
) -> Rendering:
    """The frames between two or more keyframes: files, PIL images or uint8 arrays [H, W, 3 or 4].

        for frame in interpolate("a.png", "b.png", frames=16):   # uint8 [H, W, 3], drawn as taken
            ...
        interpolate("a.png", "b.png", output="clip.mp4")         # drawn and written now

    on_progress: told (share done in [0, 1], phase). cancel: asked between steps; True stops it.

    Without `output` nothing is written; `Rendering.save` can do it later. What cannot be done
    raises a VtgError at once, before anything large is loaded: UsageError, MediaError, WeightsError
    for a model that is not here whole, MemoryLadderError for what this machine has no memory for.
    """
    job, pictures = _asked(keyframes, options)
    rendering = tasks.run(job, progress=on_progress, cancel=cancel, keyframes=pictures)
    if job.output is not None and claimed(job.output, job.encoding):
        rendering.save()
    return rendering


def predict(*keyframes: Picture, **options: Unpack[Options]) -> Preflight:
    """What `interpolate` of the same arguments needs: memory, time, disk, the model's files.

        ahead = predict("a.png", "b.png", model="svd-xt")
        print(ahead.seconds, ahead.cost.memory, ahead.notes)

    Nothing is drawn or written, no network is loaded. It raises what `interpolate` would.
    """
    job, pictures = _asked(keyframes, options)
    return preflight.checked(planned(job, pictures))


def _asked(
    keyframes: Sequence[Picture], options: Options
) -> tuple[Interpolate, list[Frame] | None]:
    """The job, and the pictures where they are no files."""
    names = [_name(picture, number) for number, picture in enumerate(keyframes, start=1)]
    files = all(isinstance(picture, str | os.PathLike) for picture in keyframes)
    pictures = None if files else [_pixels(picture) for picture in keyframes]
    return job_of(names, options), pictures


def job_of(keyframes: Sequence[str], options: Options) -> Interpolate:
    """The job of flat options. UsageError for a text that cannot be read, TypeError for a name."""
    given = dict[str, Any](options)
    for name in given:
        if name not in Options.__annotations__:
            raise TypeError(f"interpolate() has no option {name!r}")
    if isinstance(frames := given.get("frames"), str):
        given["frames"] = parse_frames(frames)
    elif frames is not None:
        given["frames"] = (frames,) if isinstance(frames, int) else tuple(frames)
    for name, parse in (("duration", parse_duration), ("fps", parse_fps)):
        if given.get(name) is not None:
            given[name] = parse(str(given[name]))
    if (at := given.get("at")) is not None:
        given["at"] = tuple(Fraction(str(seconds)) for seconds in at)
    if isinstance(guidance := given.get("guidance"), str):
        given["guidance"] = parse_guidance(guidance)
    if isinstance(span := given.get("guidance_span"), str):
        given["guidance_span"] = parse_span(span)
    if (prompts := given.get("prompts")) is not None:
        given["prompts"] = (prompts,) if isinstance(prompts, str) else tuple(prompts)
    for name in ("output", "lora"):
        if given.get(name) is not None:
            given[name] = os.fspath(given[name])
    sampling = Sampling(**_taken(given, Sampling))
    encoding = Encoding(**_taken(given, Encoding))
    return Interpolate(
        keyframes=tuple(keyframes),
        sampling=sampling,
        encoding=encoding,
        **_taken(given, Interpolate),
    )


def parse_guidance(text: str) -> tuple[float, float]:
    """Guidance at the near and the far end, from "1:3"; one number stands for both. UsageError."""
    parts = text.split(":") if ":" in text else [text, text]
    try:
        low, high = map(float, parts)
    except ValueError:
        raise UsageError(
            f"--guidance {text} is not a range",
            "write two numbers such as 1:3, or one for all frames",
            subject="--guidance",
        ) from None
    return low, high


def parse_span(text: str) -> tuple[float, float]:
    """Shares of the steps from "0.2:0.8". UsageError."""
    try:
        first, last = map(float, text.split(":"))
    except ValueError:
        raise UsageError(
            f"--guidance-span {text} is not a range",
            "write two numbers from 0 to 1 in rising order, such as 0:0.6",
            subject="--guidance-span",
        ) from None
    return first, last


def _taken(given: dict[str, Any], made: type[Any]) -> dict[str, Any]:
    return {f.name: given[f.name] for f in fields(made) if f.name in given}


def _name(picture: Picture, number: int) -> str:
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else f"picture {number}"


def _pixels(picture: Picture) -> Frame:
    """A picture of any kind as uint8 [H, W, 3 or 4]; what is no uint8 array is told later."""
    from PIL import Image, ImageOps

    if isinstance(picture, str | os.PathLike):
        return read_image(picture, keep_alpha=True)
    if isinstance(picture, Image.Image):
        upright = ImageOps.exif_transpose(picture)
        return np.array(upright.convert("RGBA" if upright.has_transparency_data else "RGB"))
    return np.asarray(picture)
