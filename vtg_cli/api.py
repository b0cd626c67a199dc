"""The Python functions of vtg: `interpolate`, `predict` and `evaluate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.keywords import Options, job_of
from vtg_cli.media.image import read_image
from vtg_cli.plan import needs
from vtg_cli.plan.needs import Preflight
from vtg_cli.plan.pictures import Frame
from vtg_cli.plan.plan import claimed
from vtg_cli.plan.segments import planned
from vtg_cli.render import draw
from vtg_cli.render.draw import Rendering
from vtg_cli.render.segments import Cancel, Progress

if TYPE_CHECKING:
    from PIL.Image import Image
    from typing_extensions import Unpack

    from vtg_cli.evaluation.finished import Found

    Picture = str | os.PathLike[str] | Image | NDArray[np.uint8]


def interpolate(
    *keyframes: Picture,
    on_progress: Progress | None = None,
    cancel: Cancel | None = None,
    **options: Unpack[Options],
) -> Rendering:
    """Return the frames between two or more files, PIL images or uint8 arrays [H, W, 3 or 4].

        for frame in interpolate("a.png", "b.png", frames=16):   # uint8 [H, W, 3], drawn as taken
            ...
        interpolate("a.png", "b.png", output="clip.mp4")         # drawn and written now

    on_progress: called with (share done in [0, 1], phase)
    cancel: called between steps; True stops the drawing

    Without `output` nothing is written; `Rendering.save` can do it later. What cannot be done
    raises a VtgError at once, before anything large is loaded: UsageError, MediaError, WeightsError
    for a model that is missing or incomplete, MemoryLadderError for what this machine has no memory
    for.
    """
    job, pictures = _asked(keyframes, options)
    wanted = _claimed(job, pictures)
    rendering = draw.run(job, progress=on_progress, cancel=cancel, keyframes=pictures)
    if wanted:
        rendering.save()
    return rendering


def predict(*keyframes: Picture, **options: Unpack[Options]) -> Preflight:
    """Predict what `interpolate` of these arguments needs: memory, time, disk, model files.

        ahead = predict("a.png", "b.png", model="svd-xt")
        print(ahead.seconds, ahead.cost.memory, ahead.notes)

    Nothing is drawn or written, no network is loaded. It raises what `interpolate` would.
    """
    job, pictures = _asked(keyframes, options)
    _claimed(job, pictures)
    return needs.checked(planned(job, pictures))


def evaluate(
    *folders: str | os.PathLike[str],
    truth: str | os.PathLike[str] | None = None,
    features: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> Found:
    """Measure the finished clips of folders, as `vtg eval clips` does: folder -> clip -> reading.

        found = evaluate("flow/", "tiny/", truth="windows/")
        print(found["flow/"]["bear"].scores["psnr"])

    truth: a folder of clips of the same names
    features: weights of feature networks, by their names; scores that lack some are absent

    Raises UsageError for folders without clips or clips of another size than the truth's,
    MediaError.
    """
    from vtg_cli.evaluation.finished import scored
    from vtg_cli.evaluation.tables import Networks

    real = None if truth is None else os.fspath(truth)
    return scored([os.fspath(each) for each in folders], Networks(features or {}, device), real)


def _asked(
    keyframes: Sequence[Picture], options: Options
) -> tuple[Interpolate, list[Frame] | None]:
    """Return the job, and the pictures if they are not all files."""
    names = [_name(picture, number) for number, picture in enumerate(keyframes, start=1)]
    files = all(isinstance(picture, str | os.PathLike) for picture in keyframes)
    pictures = None if files else [_pixels(picture) for picture in keyframes]
    return job_of(names, options), pictures


def _claimed(job: Interpolate, pictures: Sequence[Frame] | None) -> bool:
    """Return whether a file is to be written. UsageError, MediaError where it cannot be."""
    inputs = job.keyframes if pictures is None else ()
    return job.output is not None and claimed(job.output, job.encoding, inputs)


def _name(picture: Picture, number: int) -> str:
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else f"picture {number}"


def _pixels(picture: Picture) -> Frame:
    """Convert a picture of any kind to uint8 [H, W, 3 or 4]; other arrays are refused later."""
    from PIL import Image, ImageOps

    if isinstance(picture, str | os.PathLike):
        return read_image(picture, keep_alpha=True)
    if isinstance(picture, Image.Image):
        upright = ImageOps.exif_transpose(picture)
        return np.array(upright.convert("RGBA" if upright.has_transparency_data else "RGB"))
    return np.asarray(picture)
