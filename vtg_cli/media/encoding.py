"""The options of the output, and every refusal that needs no pixels.

No numpy and no ffmpeg here, so that a job can be checked before anything heavy is loaded. What a
suffix stands for is in `media/formats.py`; `media/video.py` writes it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.ground import temporary
from vtg_cli.ground.atomic import NUMBER, numbered
from vtg_cli.ground.literals import Stream
from vtg_cli.ground.option import OUTPUT, PICTURE, Opt
from vtg_cli.media.beside import foreign, ours, sidecar_path
from vtg_cli.media.formats import FILES, FORMATS, STREAMS, Format


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The options of the output."""

    format: Annotated[
        Stream | None, Opt("What is written to stdout with -o -.", OUTPUT, scope="run")
    ] = None
    crf: Annotated[
        int | None,
        Opt(
            "Quality of .mp4 and .webm: lower is better and larger. Default: 16 and 20.",
            OUTPUT,
            metavar="N",
            scope="clip",
            schema={"type": "integer", "minimum": 0, "maximum": 63},
            example=16,
        ),
    ] = None
    alpha: Annotated[
        bool | None,
        Opt(
            "Keep transparency, or lay it on the background. Default: keep it where the "
            "output can (all but .mp4 and y4m) and all keyframes have it.",
            PICTURE,
            scope="clip",
            example=True,
            flags=("--alpha/--no-alpha",),
        ),
    ] = None
    overwrite: Annotated[
        bool, Opt("Replace the output if it exists.", OUTPUT, scope="run", common=True)
    ] = False
    skip_existing: Annotated[
        bool, Opt("If the output exists, leave it and succeed.", OUTPUT, scope="run")
    ] = False
    sidecar: Annotated[
        bool,
        Opt(
            "Do not write the .json beside the clip, from which 'vtg run' can make it again.",
            OUTPUT,
            scope="run",
            flags=(" /--no-sidecar",),
        ),
    ] = True
    metadata: Annotated[
        bool,
        Opt(
            "Leave no trace of how the clip was made: no sidecar, and no tag in the clip.",
            OUTPUT,
            scope="run",
            flags=(" /--no-metadata",),
        ),
    ] = True
    paths: Annotated[
        bool,
        Opt(
            "Name files in the sidecar without their folders; 'vtg run' then looks for them "
            "beside it.",
            OUTPUT,
            scope="run",
            flags=(" /--no-paths",),
        ),
    ] = True


@dataclass(frozen=True, kw_only=True)
class Input:
    """A clip to be read.

    path: a file, or "-" for standard input, which the other fields then describe
    format: "y4m", "png" or "jpeg" pictures end to end, "rawvideo" (RGB) or "nut"; None: y4m
    size: width and height of rawvideo
    fps: frames a second of pictures and rawvideo, which state none; None: 25, as in ffmpeg
    fields: interlaced frames: "merge" makes one whole frame of two fields, "keep" leaves them
    allow_damaged: take what is there of a clip that is cut short or damaged
    """

    path: str
    format: str | None = None
    size: tuple[int, int] | None = None
    fps: Fraction | None = None
    fields: str = "merge"
    allow_damaged: bool = False


def format_of(output: str, encoding: Encoding) -> Format:
    """Return the format of `output`: by its suffix, or `encoding.format` for "-".

    Raises:
        UsageError: no or an unknown suffix or stream format, or a number pattern where none fits.
    """
    streams = " | ".join(STREAMS)
    if output == "-":
        if encoding.format is None:
            raise UsageError(
                "a stream on stdout needs --format", f"--format {streams}", subject=output
            )
        if encoding.format not in STREAMS:
            raise UsageError(
                f"unknown stream format '{encoding.format}'",
                _did_you_mean(encoding.format, list(STREAMS)) + f"--format {streams}",
                subject=encoding.format,
            )
        return STREAMS[encoding.format]
    if encoding.format is not None:
        raise UsageError(
            f"--format {encoding.format} is for streams, and the suffix decides for {output}",
            "leave --format out, or write to stdout with -o -",
            subject=output,
        )
    path = Path(output)
    if not path.name or output.endswith(("/", os.sep)) or os.path.isdir(path):
        raise UsageError(
            f"the output '{output}' is a folder, not a file name",
            "name a file in it, such as clip.mp4 or %04d.png",
            subject=output,
        )
    form = FILES.get(path.suffix.lower())
    if form is None:
        what = f"unknown suffix '{path.suffix}'" if path.suffix else "no suffix"
        raise UsageError(
            f"{what} in the output {output}",
            _did_you_mean(path.suffix.lower(), list(FILES)) + f"known: {' '.join(FILES)}",
            subject=output,
        )
    _check_pattern(path, form)
    return form


def check(
    output: str,
    encoding: Encoding,
    height: int | None = None,
    width: int | None = None,
    fps: Fraction | None = None,
) -> Format:
    """Refuse an output that cannot be written as asked; size and rate are checked where known.

    Raises:
        UsageError: unknown format, crf the format lacks or out of its range, alpha it cannot hold,
            a size or a rate beyond it, or choices that contradict each other.
    """
    form = format_of(output, encoding)
    if encoding.overwrite and encoding.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other", subject=output)
    if encoding.alpha and form.alpha is None:
        having = " ".join(each.suffix or each.name for each in FORMATS if each.alpha)
        raise UsageError(
            f"{form.name} cannot keep alpha", f"these can: {having}", subject=form.name
        )
    if encoding.crf is not None and form.crf is None:
        having = " and ".join(f".{each.name}" for each in FORMATS if each.crf)
        raise UsageError(f"{form.name} has no --crf", f"only {having} have one", subject="--crf")
    crf = form.crf
    if crf and encoding.crf is not None and not crf.lowest <= encoding.crf <= crf.highest:
        raise UsageError(
            f"--crf {encoding.crf} is outside {form.name}'s range of {crf.lowest} to {crf.highest}",
            f"the default is {crf.default}; lower is better and larger",
            subject="--crf",
        )
    fewest, most = form.sides
    if any(side is not None and not fewest <= side <= most for side in (height, width)):
        raise UsageError(
            f"{form.name} cannot hold {width}x{height}: a side has {fewest} to {most} pixels",
            "choose another --width/--height or another format",
            subject=output,
        )
    if fps is not None and form.fastest is not None and fps > form.fastest:
        raise UsageError(
            f"{form.name} cannot play {float(fps):g} frames a second; its limit is {form.fastest}",
            f"--fps {form.fastest} or less, or another format",
            subject=output,
        )
    return form


def notes(
    form: Format, height: int, width: int, fps: Fraction, *, alpha: bool = False
) -> tuple[str, ...]:
    """Return what the user should know about the file beforehand, one sentence each."""
    sentences = []
    if form.odd is not None and (height % 2 or width % 2):
        sentences.append(
            f"{width}x{height} is an odd size: {form.name} is written with full colour resolution "
            "(4:4:4), which some players cannot show; an even size avoids that"
        )
    if form.name == "gif":
        sentences.append("gif holds 256 colours" + _uneven_delays(fps))
        if alpha:
            sentences.append(
                "gif has no half-transparent pixels: those of half and more are opaque; "
                ".webp and .apng keep them"
            )
    return tuple(sentences)


def claim(output: str, encoding: Encoding, inputs: Collection[str] = ()) -> bool:
    """Return whether to go ahead and write `output`; False if it exists and is to be kept.

    Looks at the folder too, so that a job fails before it starts, not at its end, and removes what
    a killed run left half-made there. inputs: files that the output must not replace.

    Raises:
        UsageError: the output or its report exists and may be neither replaced nor skipped, or is
            one of the inputs.
        MediaError: its folder cannot be written.
    """
    if output == "-":
        return True
    path = Path(output)
    folder = next(each for each in path.absolute().parents if os.path.lexists(each))
    temporary.sweep(folder)
    sequence = NUMBER.search(path.name) is not None
    taken = numbered(path) if sequence else [path] if os.path.lexists(path) else []
    report = sidecar_path(output) if encoding.sidecar and encoding.metadata else None
    for name in inputs:
        for place in (*taken, *([report] if report else [])):
            if same_file(place, name):
                what = f"{place} is one of the inputs"
                message = f"{what} and a name of {output}" if sequence else what
                raise UsageError(message, "give the output another name", subject=output)
    if taken and encoding.skip_existing and not encoding.overwrite:
        return False
    strange = foreign(output) if report is not None else None
    replaceable = report is not None and strange is None and os.path.lexists(report)
    if not encoding.overwrite and (taken or replaceable):
        skip = ", --skip-existing leaves it" if taken else ""
        there = taken[0] if taken else report
        raise UsageError(f"{there} exists", f"--overwrite replaces it{skip}", subject=str(there))
    if strange is not None:
        raise UsageError(
            f"{strange} exists and is not a report of {output}",
            "move it away, or choose another name; --no-sidecar writes no report",
            subject=str(strange),
        )
    others = [file for file in taken if sequence and file.name not in ours(output)]
    if others:
        raise UsageError(
            f"{others[0]} exists, and no report says that it was made as {output}",
            "choose another name or an empty folder; --overwrite replaces what a report names",
            subject=str(others[0]),
        )
    if not folder.is_dir():
        raise MediaError(f"cannot write {output}: {folder} is not a folder", subject=output)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MediaError(f"cannot write {output}: no permission in {folder}", subject=output)
    return True


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Return whether both exist and are one file, also by links or another spelling of the name."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _check_pattern(path: Path, form: Format) -> None:
    fields = len(NUMBER.findall(path.name))
    if form.name != "png":
        if fields:
            raise UsageError(
                f"the number pattern in {path} is for .png only; {form.name} is one file",
                f"such as {NUMBER.sub('', path.name)}",
                subject=str(path),
            )
        return
    if NUMBER.search(str(path.parent)):
        raise UsageError(
            f"the number pattern of {path} must be in the file's name, not in its folder's",
            subject=str(path),
        )
    if fields != 1 or "%" in NUMBER.sub("", path.name):
        raise UsageError(
            f"a .png output is a numbered sequence, but {path.name} needs one number field",
            f"such as {path.parent / (path.stem.replace('%', '') + '_%04d.png')}; an animated one "
            "is .apng",
            subject=str(path),
        )


def _uneven_delays(fps: Fraction) -> str:
    delay = 100 / fps
    if delay.denominator == 1:
        return ""
    low = int(delay)
    return (
        f" and delays in 1/100 s: at {float(fps):.4g} frames a second they alternate between "
        f"{low} and {low + 1}, right on average"
    )


def _did_you_mean(word: str, names: list[str]) -> str:
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}? " if close else ""
