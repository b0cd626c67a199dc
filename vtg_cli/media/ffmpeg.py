"""The ffmpeg that encodes, and the one place where its command lines begin.

What it reads is a file that somebody named, never what that file names: only containers that hold
their own pictures are opened, and no protocol but files and pipes.
"""

from __future__ import annotations

import os
import subprocess

from vtg_cli.errors import MediaError

CONTAINERS = ",".join(
    (
        *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "ogg", "asf", "dv"),
        *("nut", "mxf", "gif", "apng", "webp_anim", "yuv4mpegpipe", "ivf", "obu", "rm", "swf"),
        *("h264", "hevc", "vvc", "av1", "m4v", "h263", "vc1", "mjpeg", "wtv", "nsv", "gxf", "lxf"),
        *("wav", "mp3", "aac", "flac", "aiff", "ac3", "eac3", "dts", "caf", "w64", "amr"),
    )
)
"""Demuxers of files that hold what they show. Missing by intent: playlists and other lists of files
(concat, hls, dash, image2, ...), text drawn as pictures (tty), scripts and devices."""

_SAFE = ("-protocol_whitelist", "file,pipe")


def ffmpeg() -> str:
    """Return the path of the ffmpeg that imageio-ffmpeg brings (or IMAGEIO_FFMPEG_EXE names)."""
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        _check_descriptors()
        raise no_ffmpeg() from error


def _check_descriptors() -> None:
    """Raise OSError where a child cannot be started for want of pipes, which imageio-ffmpeg hides:
    it takes an ffmpeg that does not run for none.
    """
    ends: list[int] = []
    try:
        for _ in range(4):
            ends += os.pipe()
    finally:
        for end in ends:
            os.close(end)


def command(*arguments: str) -> list[str]:
    """Return the start of a command line that asks nothing and replaces its output."""
    return [ffmpeg(), "-hide_banner", "-nostdin", "-y", *arguments]


def reading(path: str, form: str | None = None) -> list[str]:
    """Return the arguments that make a file the next input, whatever its name looks like.

    form: of a file of our own that is no clip: "concat", a list of clips, or "ffmetadata"
    """
    allowed = CONTAINERS if form is None else f"{form},{CONTAINERS}"
    how = [] if form is None else ["-f", form]
    how += ["-safe", "0"] if form == "concat" else []
    return [*_SAFE, "-format_whitelist", allowed, *how, "-i", f"file:{path}"]


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run ffmpeg without input and return its output; a failure raises nothing."""
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
    )


def no_ffmpeg() -> MediaError:
    """Build the error for a machine without ffmpeg."""
    return MediaError(
        "ffmpeg is missing", "pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to one"
    )
