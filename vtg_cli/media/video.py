"""Frames out to files and streams, and in again, through the ffmpeg that imageio-ffmpeg ships.

One child process takes raw frames on its standard input; `media/formats.py` has the arguments.
It runs in a session of its own, so that Ctrl-C reaches only us and we end it, and its messages go
to a temporary file, so that it never blocks on them.
"""

from __future__ import annotations

import re
import select
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vtg_cli.errors import Interrupted, MediaError
from vtg_cli.media.destination import destination
from vtg_cli.media.encoding import Encoding, check, notes
from vtg_cli.media.ffmpeg import command, no_ffmpeg
from vtg_cli.media.formats import arguments

if TYPE_CHECKING:
    from vtg_cli.media.extras import Kept
    from vtg_cli.media.sound import Sound

STDOUT = 1
"""File descriptor that ffmpeg inherits and writes a stream to, wherever Python's own has been
led."""
_PART = re.compile(r"^(\[[^\[\]]* @ 0x[0-9a-f]+\] )+")
_FOLLOWS = re.compile(
    "Nothing was written into|Conversion failed|Could not open encoder before EOF|"
    "Error sending frames|Error while opening encoder|Task finished with error|"
    "Terminating thread|Error reinitializing|Failed to configure"
)


class Sink:
    """An open output that takes frames one by one; made by `open_sink`.

    notes: what the user should know about the file, one sentence each
    written: frames taken so far
    closed_by_reader: the reader of a stream went away; further frames are dropped
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        messages: IO[bytes],
        shape: tuple[int, int, int],
        output: str,
        notes: tuple[str, ...],
    ) -> None:
        self.notes = notes
        self.written = 0
        self.closed_by_reader = False
        self._process = process
        self._messages = messages
        self._shape = shape
        self._output = output
        self._where = "stdout" if output == "-" else output

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Take one frame, uint8 [H,W,C] of the size the sink was opened for.

        Raises:
            ValueError: another shape or dtype.
            MediaError: the encoder failed.
        """
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(
                f"expected uint8 {list(self._shape)}, got {frame.dtype} {list(frame.shape)}"
            )
        if self.closed_by_reader:
            return
        assert self._process.stdin is not None
        rest = np.ascontiguousarray(frame).data.cast("B")
        try:
            while rest:
                rest = rest[self._process.stdin.write(rest) :]
        except BrokenPipeError:
            self._stopped()
        else:
            self.written += 1

    def wanted(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        """Yield frames to write; stops asking for more once the reader of a stream has gone."""
        each = iter(frames)
        while not self.closed_by_reader:
            if self.abandoned():
                self.closed_by_reader = True
                return
            try:
                yield next(each)
            except StopIteration:
                return
            except Interrupted:
                if not self.abandoned():
                    raise

    def abandoned(self) -> bool:
        """Return whether the reader of a stream has gone.

        It is a `Cancel` for what draws: `wanted` tells an end for that reason from others.
        """
        return self.closed_by_reader or (self._output == "-" and _abandoned(STDOUT))

    def close(self) -> None:
        """Let the encoder finish. Raise MediaError if it fails or no frame came."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait() != 0 and not self.closed_by_reader:
            self._stopped()
        if self.written == 0 and not self.closed_by_reader:
            raise MediaError(f"no frame came for {self._where}", subject=self._output)

    def _stopped(self) -> None:
        """Handle the encoder's early end: no failure if its reader went away, else raise."""
        self._process.wait()
        messages = _words(self._messages)
        if self._output == "-" and any("Broken pipe" in line for line in messages):
            self.closed_by_reader = True
            return
        status = self._process.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
        reason = cause(messages) or f"ffmpeg {how}"
        raise MediaError(
            f"cannot write {self._where}: {reason}",
            f"ffmpeg began with: {messages[0]}" if len(messages) > 1 else "",
            subject=self._output,
        )


@contextmanager
def open_sink(
    output: str,
    encoding: Encoding,
    *,
    height: int,
    width: int,
    channels: int,
    fps: Fraction,
    comment: str | None = None,
    sound: Sound | None = None,
    kept: Kept | None = None,
) -> Iterator[Sink]:
    """Open a `Sink` for `output`: a file by suffix, a .png pattern (from 0) or "-" for stdout.

    A file appears under its name only on a clean exit, and replaces what is there by then only if
    `encoding.overwrite` says so: ask `claim` first. Same frames, same bytes, for one ffmpeg on one
    machine.

    Args:
        channels: 3 for RGB, 4 for RGBA with straight alpha.
        comment: kept in the container, where it has a place for one.
        sound: goes with the frames; the format must hold some.
        kept: subtitles, chapters and tags of the clip they were made of.

    Raises:
        UsageError: the format cannot hold this; see `encoding.check`.
        MediaError: ffmpeg or the file system refuses; says why.
    """
    if channels not in (3, 4):
        raise ValueError(f"expected 3 or 4 channels, got {channels}")
    form = check(output, replace(encoding, alpha=channels == 4), height, width, fps)
    with (
        destination(output, form, encoding) as place,
        tempfile.TemporaryDirectory() as folder,
    ):
        how = [
            *_beside(sound, kept, Path(folder)),
            *arguments(form, height=height, width=width, alpha=channels == 4, crf=encoding.crf),
            *("-fflags", "+bitexact", "-flags:v", "+bitexact"),
            *(() if comment is None else ("-metadata", f"comment={comment}")),
            place.name,
        ]
        with feeding(how, output, shape=(height, width, channels), fps=fps) as sink:
            sink.notes = notes(form, height, width, fps, alpha=channels == 4)
            yield sink
        place.written = sink.written


def _beside(sound: Sound | None, kept: Kept | None, folder: Path) -> list[str]:
    """Return ffmpeg's arguments for what goes with the frames: inputs, then output options."""
    sources, mapped = sound.arguments if sound else ([], [])
    if kept is not None:
        numbers = [track.number for track in sound.tracks] if sound else []
        more, options = kept.arguments(numbers, folder / "kept.txt")
        sources, mapped = [*sources, *more], [*mapped, *options]
    return [*sources, "-map", "0:v:0", *mapped] if sources else []


@contextmanager
def feeding(
    how: Sequence[str], output: str, *, shape: tuple[int, int, int], fps: Fraction
) -> Iterator[Sink]:
    """Open a `Sink` for frames uint8 `shape` [H, W, 3 or 4] that ffmpeg takes as its first input.

    how: the rest of its arguments
    output: what it writes, by the name the user knows; "-": stdout
    """
    height, width, channels = shape
    line = [
        *command("-loglevel", "error", "-f", "rawvideo"),
        *("-pixel_format", "rgb24" if channels == 3 else "rgba"),
        *("-video_size", f"{width}x{height}"),
        *("-framerate", f"{fps.numerator}/{fps.denominator}", "-i", "pipe:0"),
        *how,
    ]
    with tempfile.TemporaryFile() as messages:
        process = _start(line, messages, None if output == "-" else subprocess.DEVNULL)
        try:
            sink = Sink(process, messages, shape, output, ())
            yield sink
            sink.close()
        finally:
            _end(process)


def _start(command: list[str], messages: IO[bytes], stdout: int | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=messages,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise no_ffmpeg() from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process if it still runs, and reap it."""
    if process.poll() is None:
        process.kill()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    process.wait()


def _abandoned(pipe: int) -> bool:
    """Return whether nobody reads a pipe any more; Windows cannot say."""
    if not hasattr(select, "poll"):
        return False
    watch = select.poll()
    watch.register(pipe, 0)  # errors and hang-ups are told without being asked for
    return bool(watch.poll(0))


def _words(messages: IO[bytes]) -> list[str]:
    messages.seek(0)
    return spoken(messages.read())


def spoken(messages: bytes) -> list[str]:
    """Split ffmpeg's messages one by one, without the names of its parts before them."""
    lines = (_PART.sub("", line).strip() for line in messages.decode(errors="replace").splitlines())
    return [line for line in lines if line]


def cause(messages: Sequence[str]) -> str:
    """Return the message that says why ffmpeg failed; those after it only say what came of that."""
    causes = [message for message in messages if not _FOLLOWS.match(message)]
    return (causes or [*messages] or [""])[-1]
