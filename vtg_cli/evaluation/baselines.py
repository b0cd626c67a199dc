"""What a method has to beat: a cross-fade, and ffmpeg's motion-compensated minterpolate."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import MediaError
from vtg_cli.machine.hardware import peak_memory
from vtg_cli.media.ffmpeg import ffmpeg

Picture = NDArray[np.uint8]
"""[H, W, 3], or a clip [F, H, W, 3]."""
Engine = Callable[[Picture, Picture, int], Picture]
"""First and last frame, how many in all, at least two -> the clip."""

RULES = "mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:scd=none"
"""Of minterpolate: motion compensation by overlapping blocks, and no cut is looked for."""


def crossfade(first: Picture, last: Picture, frames: int) -> Picture:
    """Mix the keyframes evenly, in code values."""
    times = np.linspace(0, 1, frames)[:, None, None, None]
    return np.round((1 - times) * first + times * last).astype(np.uint8)


def minterpolate(first: Picture, last: Picture, frames: int) -> Picture:
    """Interpolate with ffmpeg. Raise MediaError if it fails.

    The ends are the keyframes but for rounding: the filter works in YCbCr.
    """
    height, width = first.shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    command = [ffmpeg(), "-v", "error", *raw, "-s", f"{width}x{height}", "-r", "1"]
    command += ["-i", "pipe:0", "-vf", f"minterpolate=fps={frames - 1}:{RULES}", *raw, "-"]
    # it looks one picture ahead: of two it makes nothing, with the last one twice it is the same
    # as with both twice, and faster
    given = b"".join(picture.tobytes() for picture in (first, last, last))
    done = subprocess.run(command, input=given, capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise MediaError(f"minterpolate failed: {reason[-1] if reason else 'no reason given'}")
    made = np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)
    if len(made) < frames:
        raise MediaError(
            f"minterpolate made {len(made)} frames of {frames} at {width}x{height}",
            "it needs pictures of at least 32 by 32 pixels",
        )
    return made[:frames]


BASELINES: Mapping[str, Engine] = {"crossfade": crossfade, "minterpolate": minterpolate}


class Spent(NamedTuple):
    """The cost of a clip: `seconds` of drawing, `peak` bytes of the process and its children."""

    seconds: float
    peak: int


def draw(name: str, first: str, last: str, frames: int, pattern: str) -> Spent:
    """Draw a baseline's clip between two picture files of one size into numbered png files.

    pattern: such as clip/%04d.png. All its files appear, or none. It can run in a process of its
    own, whose peak is then the clip's. Raises MediaError.
    """
    from vtg_cli.ground.atomic import numbered, replacing_sequence
    from vtg_cli.media.image import read_image
    from vtg_cli.media.sheet import save_png

    pictures = read_image(first), read_image(last)
    begin = time.perf_counter()
    clip = BASELINES[name](*pictures, frames)
    seconds = time.perf_counter() - begin
    older = [file.name for file in numbered(Path(pattern))]
    with replacing_sequence(pattern, ours=older) as place:
        for number, frame in enumerate(clip):
            save_png(str(place) % number, frame)
    return Spent(seconds, peak_memory())
