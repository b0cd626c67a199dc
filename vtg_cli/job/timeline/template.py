"""The timeline file that `vtg timeline init` writes: right as it is, other keys in comments."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from vtg_cli.errors import UsageError
from vtg_cli.ground.printable import obeyed
from vtg_cli.job import times
from vtg_cli.job.shorthand import Keyframes
from vtg_cli.job.timeline.schema import FPS, KEYS


def text(keyframes: Keyframes, folder: str) -> str:
    """Return the file's text, for a place in `folder`. Raise UsageError below two keyframes."""
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
    yield from _comments("clip")
    yield ""
    yield "[defaults]  # of all segments"
    yield from _comments("segment")
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
            exact = times.exact(seconds)
            yield exact if "/" not in exact else _toml(f"{float(seconds):.9f}s")
    elif keyframes.frames is not None:
        for place in times.Schedule(keyframes.frames, Fraction(FPS)).positions:
            yield _toml(f"{place}f")
    else:
        yield from map(str, range(len(keyframes.names)))


def _comments(scope: str) -> Iterator[str]:
    for key, option in KEYS.items():
        if option.opt.scope == scope and option.opt.example is not None:
            first, _, _ = option.opt.help.partition(". ")
            yield f"# {key + ' = ' + _toml(option.opt.example):34}  # {first.rstrip('.')}."


def _toml(value: object) -> str:
    """Format a value as TOML; JSON's texts, numbers, lists and truth values are valid in it."""
    return "".join(map(_escaped, json.dumps(value, ensure_ascii=False)))


def _escaped(character: str) -> str:
    """Return the escape of a character in TOML's texts; they are read on terminals as well."""
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
    """Return a file's path relative to the folder of the timeline."""
    if Path(name).is_absolute():
        return name
    return Path(os.path.relpath(name, folder)).as_posix()
