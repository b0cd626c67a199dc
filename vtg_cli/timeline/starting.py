"""The timeline file that `vtg timeline init` writes: right as it is, other keys in comments."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

from vtg_cli import timing
from vtg_cli.errors import UsageError
from vtg_cli.printable import obeyed
from vtg_cli.shorthand import Keyframes
from vtg_cli.timeline.schema import CLIP, FPS, SEGMENT, Schema

CLIP_STARTS: Mapping[str, object] = {
    "output": "clip.mp4",
    "width": 1280,
    "height": 720,
    "fit": "crop",
    "background": "white",
    "alpha": True,
    "crf": 16,
    "device": "auto",
    "dtype": "auto",
    "memory": "auto",
}
SEGMENT_STARTS: Mapping[str, object] = {
    "prompt": "a lion",
    "negative_prompt": "blurry",
    "text_curve": "linear",
    "ease": "ease-in-out",
    "carry": True,
    "model": "tiny",
    "reverse": "delta.safetensors",
    "reverse_base": "svd-xt",
    "method": "trf",
    "steps": 25,
    "solver": "euler",
    "guidance": [1, 3],
    "schedule": "karras",
    "guidance_span": [0, 1],
    "fusion": "mean",
    "rotate": "all",
    "image_curve": "off",
    "lora": "off",
    "fast": True,
    "quality": True,
    "init": "flow",
    "init_until": 0.2,
    "strength": 0.6,
    "temperature": 1.0,
    "renoise": 1,
    "renoise_until": 0.6,
    "motion_fps": 7,
    "motion_bucket": 127,
    "noise_aug": 0.02,
    "reuse": 1,
    "seed": 0,
    "endpoints": "exact",
    "detail": "model",
    "on_bad": "warn",
    "candidates": 4,
    "compile": True,
    "decode_chunk": 8,
}
"""A value for each key, to be seen behind its #."""


def text(keyframes: Keyframes, folder: str) -> str:
    """The file, for a place in `folder`. UsageError for fewer than two keyframes."""
    if len(keyframes.names) < 2:
        raise UsageError(
            f"a timeline has two keyframes or more, {len(keyframes.names)} given",
            "vtg timeline init a.png b.png c.png -o timeline.toml",
            subject="keyframes",
        )
    return "\n".join(_lines(keyframes, folder)) + "\n"


def _lines(keyframes: Keyframes, folder: str) -> Iterator[str]:
    yield "# A timeline: vtg render FILE -o clip.mp4. Paths begin at this file's folder."
    yield ""
    yield f"fps = {FPS}"
    yield from _comments(CLIP, CLIP_STARTS)
    yield ""
    yield "[defaults]  # of all segments"
    yield from _comments(SEGMENT, SEGMENT_STARTS)
    at = list(_times(keyframes))
    for k, (name, time) in enumerate(zip(keyframes.names, at, strict=True), start=1):
        if k > 1:
            yield f"\n[[segment]]  # {k - 1} to {k}: what is different here, such as"
            yield '# ease = "ease-in-out"'
        yield f"\n[[keyframe]]  # {k}"
        yield f"picture = {_toml(_unicode(_seen(name, folder)))}"
        yield f"at = {time}"


def _times(keyframes: Keyframes) -> Iterator[str]:
    if keyframes.at is not None:
        for seconds in keyframes.at:
            exact = timing.exact(seconds)
            yield exact if "/" not in exact else _toml(f"{float(seconds):.9f}s")
    elif keyframes.frames is not None:
        for place in timing.Schedule(keyframes.frames, Fraction(FPS)).positions:
            yield _toml(f"{place}f")
    else:
        yield from map(str, range(len(keyframes.names)))


def _comments(keys: Mapping[str, Schema], values: Mapping[str, object]) -> Iterator[str]:
    for name, value in values.items():
        yield f"# {name + ' = ' + _toml(value):34}  # {keys[name]['description']}"


def _toml(value: object) -> str:
    """Return it as TOML. JSON's way to write texts, numbers, lists and truth is one of TOML's."""
    return "".join(map(_escaped, json.dumps(value, ensure_ascii=False)))


def _escaped(character: str) -> str:
    """Return what stands for a character in TOML's texts; they are read on terminals as well."""
    return f"\\U{ord(character):08x}" if obeyed(character) else character


def _unicode(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"a timeline cannot name {name}: its name is not UTF-8", "rename it", subject=name
        ) from None
    return name


def _seen(name: str, folder: str) -> str:
    """A file as seen from the folder of the timeline."""
    if Path(name).is_absolute():
        return name
    return Path(os.path.relpath(name, folder)).as_posix()
