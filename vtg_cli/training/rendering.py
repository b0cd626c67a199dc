"""Rendered clips as files, with a caption beside each: training data that needs no camera."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from vtg_cli.media.encoding import Encoding
from vtg_cli.media.video import open_sink
from vtg_cli.training.scenes import KINDS, render_clip

WORDS = {
    "motion": "textured shapes that move across a textured ground",
    "dissolve": "textured shapes that dissolve into others",
    "morph": "textured shapes that turn into others",
}
"""Captions by kind of clip."""


def kind_of(seed: int) -> str:
    """Return which of scenes.KINDS a seed's clip is: its first draw."""
    rng = np.random.default_rng(seed)
    return str(rng.choice(list(KINDS), p=list(KINDS.values())))


def render(
    folder: Path,
    count: int,
    *,
    frames: int,
    size: tuple[int, int],
    fps: Fraction,
    seed: int = 0,
    progress: Callable[[float, str], None] = lambda *_: None,
) -> list[Path]:
    """Render `count` clips of `size` (height, width) into a folder, NNNNN.mp4 and NNNNN.txt each;
    those that are there stay as they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for n in range(count):
        file = folder / f"{n:05}.mp4"
        files.append(file)
        if file.exists():
            continue
        progress(n / count, file.name)
        number = int(np.random.default_rng([seed, n]).integers(2**40))
        clip = render_clip(number, frames, size)
        file.with_suffix(".txt").write_text(WORDS[kind_of(number)] + "\n")
        height, width = size
        how = Encoding(crf=8)
        opened = open_sink(str(file), how, height=height, width=width, channels=3, fps=fps)
        with opened as sink:
            for frame in clip:
                sink.write(frame)
    return files
