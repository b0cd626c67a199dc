"""Extras of a clip, which it holds beside picture and sound, and their way into a clip made of it.

Subtitles and chapters move with the picture; languages, titles and dates stay as they are. What the
output cannot hold is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vtg_cli.media.ffmpeg import reading
from vtg_cli.media.libav import opened

TEXT = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "subviewer", "microdvd"}
"""Subtitle codecs made of words; the others are pictures."""

SUBTITLES = {
    "mp4": ("mov_text", {"mov_text"}),
    "mov": ("mov_text", {"mov_text"}),
    "mkv": ("subrip", {"subrip", "srt", "ass", "ssa", "webvtt", "text"}),
    "webm": ("webvtt", {"webvtt"}),
}
"""Formats that hold subtitles: the codec that words become there, and the codecs that are
copied."""

PICTURES = {"hdmv_pgs_subtitle": True, "dvd_subtitle": False, "dvb_subtitle": False}
"""Subtitle codecs made of pictures that Matroska holds, and whether their times can be moved."""

TAGGED = {"mp4", "mov", "mkv", "webm", "nut"}
"""Formats that hold tags and, but for nut, chapters."""

_OF_FILES = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "timecode"}
_OF_TRACKS = {"language", "title", "comment"}
_OURS = "made with vtg"


@dataclass(frozen=True)
class Track:
    """A stream: its codec by ffmpeg's name, its language and title, its roles (default, ...)."""

    codec: str
    tags: Mapping[str, str]
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """A part of the clip, in seconds on the file's clock."""

    start: Fraction
    end: Fraction
    title: str


@dataclass(frozen=True)
class Extras:
    """The contents of a file beside its first picture.

    sounds, subtitles: in the file's order
    others: what has no place in a clip made of this one
    """

    path: str
    picture: Track
    sounds: tuple[Track, ...]
    subtitles: tuple[Track, ...]
    chapters: tuple[Chapter, ...]
    tags: Mapping[str, str]
    others: tuple[str, ...]

    @property
    def comment(self) -> str:
        """The file's comment without what an earlier run of vtg left in it."""
        return self.tags.get("comment", "").partition(_OURS)[0].rstrip("; ")

    @property
    def tagged(self) -> list[str]:
        """Names of the tags of the file, its picture and its sound."""
        names = [name for name in self.tags if name != "comment" or self.comment]
        tracks = (self.picture, *self.sounds)
        tags = [name for track in tracks for name, value in track.tags.items() if value != "und"]
        return [*dict.fromkeys([*names, *tags])]


@dataclass(frozen=True)
class Kept:
    """The extras of a file that go with the new clip's frames.

    subtitles: the numbers of those that do, with the codec they get
    start: second of the source that is the new clip's zero
    factor: length of the new clip over the source's
    """

    extras: Extras
    subtitles: tuple[tuple[int, str], ...]
    start: Fraction
    factor: Fraction

    def comment(self, ours: str | None) -> str | None:
        """Return the file's comment with ours behind it; one of an earlier run is dropped."""
        return "; ".join(filter(None, (self.extras.comment, ours))) or None

    def arguments(self, sounds: Sequence[int], place: Path) -> tuple[list[str], list[str]]:
        """Return ffmpeg's arguments: further inputs, and options of the output.

        sounds: which of the source's tracks the new clip has; they are of input 1, if any
        place: gets a file with tags and chapters
        """
        place.write_text("\n".join(self._told()), encoding="utf-8")
        first = 2 if sounds else 1
        source = reading(self.extras.path) if self.subtitles else []
        tags = first + bool(self.subtitles)
        how = ["-map_metadata", str(tags), "-map_chapters", str(tags)]
        late, longer = f"({float(self.start):.12g})/TB", f"*{float(self.factor):.12g}"
        moved = f"setts=pts=(PTS-{late}){longer}:dts=(DTS-{late}){longer}:duration=DURATION{longer}"
        for new, (number, codec) in enumerate(self.subtitles):
            how += ["-map", f"{first}:s:{number}", f"-c:s:{new}", codec, f"-bsf:s:{new}", moved]
        tracks = [
            *(("v", 0, self.extras.picture),),
            *(("a", new, self.extras.sounds[number]) for new, number in enumerate(sounds)),
            *(
                ("s", new, self.extras.subtitles[number])
                for new, (number, _) in enumerate(self.subtitles)
            ),
        ]
        for kind, new, track in tracks:
            how += [f"-disposition:{kind}:{new}", "+".join(track.roles) or "0"]
            for name, value in track.tags.items():
                how += [f"-metadata:s:{kind}:{new}", f"{name}={value}"]
        return ["-copyts", *source, *reading(str(place), "ffmetadata")], how

    def _told(self) -> Iterator[str]:
        yield ";FFMETADATA1"
        for name, value in self.extras.tags.items():
            yield f"{_escaped(name)}={_escaped(value)}"
        for chapter in self.extras.chapters:
            start, end = (
                round(max(Fraction(0), second - self.start) * self.factor * 1_000_000)
                for second in (chapter.start, chapter.end)
            )
            yield "[CHAPTER]\nTIMEBASE=1/1000000"
            yield f"START={start}\nEND={max(start, end)}\ntitle={_escaped(chapter.title)}"


def extras(path: str) -> Extras:
    """Read what a clip holds beside its first picture. Raise MediaError if it cannot be read."""
    with opened(path) as (container, picture):
        sounds, subtitles, others = [], [], []
        chapters = [
            Chapter(
                Fraction(each["start"] * (each["time_base"] or 1)),
                Fraction(each["end"] * (each["time_base"] or 1)),
                each["metadata"].get("title", ""),
            )
            for each in container.chapters()
        ]
        for stream in container.streams:
            if stream.type == "audio":
                sounds.append(_track(stream))
            elif stream.type == "subtitle":
                subtitles.append(_track(stream))
            elif stream.type == "video" and stream.index != picture.index:
                covers = stream.disposition & 0x400
                others.append("a cover picture" if covers else "a second picture track")
            elif stream.type == "attachment":
                others.append("an attached file")
            elif stream.type == "data" and not _is_told_otherwise(stream, len(chapters)):
                others.append("a data track")
        tags = {name.lower(): value for name, value in container.metadata.items()}
        if clock := _timecode(container):
            others.append(f"the timecode {clock}")
        return Extras(
            path=path,
            picture=_track(picture),
            sounds=tuple(sounds),
            subtitles=tuple(subtitles),
            chapters=tuple(chapters),
            tags={name: value for name, value in tags.items() if name not in _OF_FILES},
            others=tuple(others),
        )


def kept(held: Extras, form: str, start: Fraction, factor: Fraction) -> tuple[Kept, list[str]]:
    """Return which extras a clip of this format keeps, and a sentence for each that it loses."""
    notes = [f"{what} of {held.path} is left out" for what in dict.fromkeys(held.others)]
    subtitles = []
    for number, track in enumerate(held.subtitles):
        codec = _subtitle(track.codec, form, factor)
        if codec:
            subtitles.append((number, codec))
        else:
            named = ", ".join(filter(None, (track.tags.get("language"), track.codec)))
            what = "they cannot be moved" if form == "mkv" else f"{form} does not hold them"
            notes.append(f"subtitles {number + 1} ({named}) of {held.path} are left out: {what}")
    if form not in TAGGED - {"nut"} and held.chapters:
        notes.append(f"the chapters of {held.path} are left out: {form} does not hold them")
        held = replace(held, chapters=())
    if form not in TAGGED and held.tagged:
        names = ", ".join(held.tagged)
        notes.append(f"the tags of {held.path} ({names}) are left out: {form} does not hold them")
    return Kept(held, tuple(subtitles), start, factor), notes


def missing(kept: Kept, path: str) -> list[str]:
    """Return a note if the file did not take up every tag and language; else an empty list."""
    taken = extras(path)
    lost = [name for name in kept.extras.tags if name not in taken.tags]
    languages = [track.tags.get("language", "und") for track in (*taken.sounds, *taken.subtitles)]
    for number, _ in kept.subtitles:
        language = kept.extras.subtitles[number].tags.get("language", "und")
        lost += [f"language {language}"] if language not in languages else []
    return [f"{Path(path).name} has no place for {', '.join(lost)}"] if lost else []


def _subtitle(codec: str, form: str, factor: Fraction) -> str:
    """Return ffmpeg's name of what subtitles become in a format; "" if they cannot be kept."""
    words, copied = SUBTITLES.get(form, ("", set[str]()))
    if codec in copied:
        return "copy"
    if codec in TEXT:
        return words
    movable = PICTURES.get(codec, False)
    return "copy" if form == "mkv" and codec in PICTURES and (movable or factor == 1) else ""


def _track(stream: Any) -> Track:
    tags = {name.lower(): value for name, value in stream.metadata.items()}
    context = stream.codec_context
    codec = "" if context is None else context.codec.canonical_name
    roles = tuple(str(flag.name) for flag in type(stream.disposition) if flag & stream.disposition)
    return Track(codec, {name: tags[name] for name in tags if name in _OF_TRACKS}, roles)


def _is_told_otherwise(stream: Any, chapters: int) -> bool:
    """Return whether a data track is QuickTime's way to hold a timecode or the chapters' names."""
    words = "mp4" in stream.container.format.name and stream.frames == chapters > 0
    return words or "timecode" in stream.metadata


def _timecode(container: Any) -> str:
    """Return the time of day, or of the reel, at which the clip says it begins, or ""."""
    for held in (container, *container.streams):
        for name, value in held.metadata.items():
            if name.lower() == "timecode":
                return str(value)
    return ""


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)
