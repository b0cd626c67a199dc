"""A timeline file to the job it describes. Every error names the file and the line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, cast

from vtg_cli.errors import MediaError, UsageError, naming
from vtg_cli.ground import documents
from vtg_cli.ground.option import Option
from vtg_cli.job import shorthand, times
from vtg_cli.job.checks import validated
from vtg_cli.job.jobs import Timeline
from vtg_cli.job.keywords import Options, job_of
from vtg_cli.job.timeline.lines import Path, lines_of
from vtg_cli.job.timeline.schema import CLIP, FPS, KEYS, Misfit, check
from vtg_cli.media.encoding import Encoding
from vtg_cli.weights.catalog import FLOW, LEARNED

LONGEST = 4_000_000  # bytes of a file that is read


def read(path: str, model: str = "auto") -> Timeline:
    """Read the job in a timeline file; its pictures and output are relative to the current folder.

    model: for segments that name none
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise documents.unreadable(path, error, "timeline") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            f"{path} is not UTF-8 text", "a timeline is a .toml, saved as UTF-8", subject=path
        ) from None
    if len(content) > LONGEST:
        raise UsageError(f"{path} is longer than {LONGEST // 10**6} MB", subject=path)
    job = job_in(text, path, model)
    for k, name in enumerate(job.keyframes):
        if not os.path.lexists(name):
            line = _line(lines_of(text), ("keyframe", k, "picture"))
            raise MediaError(f"{path}:{line}: there is no picture {name}", subject=name)
    return job


def job_in(text: str, path: str, model: str = "auto") -> Timeline:
    """Build the job of a timeline's text. path: of its file, for what is named relative to it."""
    document = documents.toml_document(text, path, Decimal)
    with _locating(path, text):
        check(document)
        return _Reading(document, os.path.dirname(path), model).job()


@contextmanager
def _locating(path: str, text: str) -> Iterator[None]:
    """Put file and line before the message of an error raised within the block."""
    try:
        yield
    except Misfit as error:
        error.message = f"{path}:{_line(lines_of(text), error.place)}: {error.message}"
        raise


def _number(option: Option, value: Any) -> Any:
    """Convert TOML's decimals in a value to the option's kind of number."""
    return option.kind(value) if option.kind in (int, float) else value


def _line(lines: Mapping[Path, int], path: Path) -> int:
    """Return the line of a path, or of what contains it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Reading:
    """A document that fits the schema, the folder its names begin in, and the model of segments
    that name none.
    """

    def __init__(self, document: Mapping[str, Any], folder: str, model: str) -> None:
        self.document, self.folder = document, folder
        self.keyframes: list[dict[str, Any]] = document["keyframe"]
        self.segments: list[dict[str, Any]] = document.get("segment") or [
            {} for _ in self.keyframes[1:]
        ]
        self.defaults: dict[str, Any] = {"model": model, **document.get("defaults", {})}

    def job(self) -> Timeline:
        document = self.document
        fps = self._time(("fps",), times.parse_fps, document.get("fps", FPS))
        frames = self._frames(fps)
        names = [self._seen(each["picture"]) for each in self.keyframes]
        shared = {name: document[name] for name in CLIP if name in document}
        output = shared.pop("output", None)
        crf = shared.pop("crf", None)
        encoding = Encoding(alpha=shared.pop("alpha", None), crf=crf if crf is None else int(crf))
        shared["fps"] = fps
        segments = []
        for i, pair in enumerate(pairwise(names)):
            options = {**self._options(i, shared), "frames": frames[i]}
            with self._placing(i):
                segment = job_of(pair, cast("Options", options))
                with naming(f"segment {i + 1}"):
                    segments.append(validated(segment))
        return validated(
            Timeline(
                segments=tuple(segments),
                output=None if output is None else self._seen(output),
                encoding=encoding,
            )
        )

    def _options(self, i: int, shared: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is said of segment i, as `job_of` takes it. What an engine has no use for is
        not passed on to it from what is said for all.
        """
        own = {name: value for name, value in self.segments[i].items() if name != "duration"}
        general = {**shared, **self.defaults}
        model = own.get("model", general["model"])
        if model in (FLOW, LEARNED):
            of_use = (None,) if model == FLOW else (None, "network")
            general = {n: value for n, value in general.items() if KEYS[n].opt.needs in of_use}
        return {KEYS[n].name: _number(KEYS[n], v) for n, v in {**general, **own}.items()}

    def _frames(self, fps: Fraction) -> tuple[int, ...]:
        """Return each segment's frames, from keyframes' times and segments' durations."""
        if len(self.segments) != len(self.keyframes) - 1:
            raise Misfit(
                ("segment", len(self.segments) - 1),
                f"{len(self.segments)} segment(s) between {len(self.keyframes)} keyframes",
                "give one for each two keyframes that follow each other, or none at all",
            )
        at = [self._at(0, fps) or Fraction(0)]
        for k in range(1, len(self.keyframes)):
            own, lasting = self._at(k, fps), self._duration(k - 1, fps)
            if own is None and lasting is None:
                raise Misfit(
                    ("keyframe", k),
                    f"keyframe {k + 1} has no time",
                    "give it one with at, or the segment before it a duration",
                )
            if own is not None and lasting is not None and own != at[-1] + lasting:
                raise Misfit(
                    ("segment", k - 1, "duration"),
                    f"segment {k} ends at {times.exact(at[-1] + lasting)} s, and keyframe {k + 1} "
                    f"is at {times.exact(own)} s",
                    "leave one of the two out",
                )
            at.append(at[-1] + lasting if own is None and lasting is not None else own or at[0])
            try:
                times.placed(at, fps)
            except UsageError as error:
                named = "at" in self.keyframes[k] or (k == 1 and "at" in self.keyframes[0])
                path: Path = ("keyframe", k, "at") if named else ("segment", k - 1, "duration")
                if at[0] != 0:
                    path = ("keyframe", 0, "at")
                raise Misfit(path, error.message, error.hint) from None
        return times.placed(at, fps)

    def _at(self, k: int, fps: Fraction) -> Fraction | None:
        return self._seconds(("keyframe", k, "at"), self.keyframes[k].get("at"), fps)

    def _duration(self, i: int, fps: Fraction) -> Fraction | None:
        path = ("segment", i, "duration")
        return self._seconds(path, self.segments[i].get("duration"), fps)

    def _seconds(self, path: Path, value: Any, fps: Fraction) -> Fraction | None:
        if value is None:
            return None
        time = self._time(path, shorthand.parse_time, value)
        return time / fps if isinstance(time, int) else time

    def _time(self, path: Path, parse: Any, value: Any) -> Any:
        """Return a number or text as `parse` reads it."""
        try:
            return parse(value if isinstance(value, str) else format(Decimal(value), "f"))
        except UsageError as error:
            raise Misfit(path, error.message, error.hint) from None

    @contextmanager
    def _placing(self, i: int) -> Iterator[None]:
        """Find the key that an error about segment i is about."""
        try:
            yield
        except UsageError as error:
            name = error.subject.removeprefix("--").replace("-", "_")
            if name in self.segments[i]:
                path: Path = ("segment", i, name)
            elif name in self.document.get("defaults", {}):
                path = ("defaults", name)
            elif name in self.document:
                path = (name,)
            else:
                path = ("segment", i) if "segment" in self.document else ("keyframe", i + 1)
            raise Misfit(path, error.message, error.hint) from None

    def _seen(self, name: str) -> str:
        """Return a file named relative to the timeline, relative to the current folder."""
        return name if name == "-" else os.path.join(self.folder, os.path.expanduser(name))
