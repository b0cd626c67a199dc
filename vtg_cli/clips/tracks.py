"""The tracks of clips that go with a new picture: sound, subtitles, chapters, tags."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from vtg_cli.clips.bridging import Bridging, Found
from vtg_cli.clips.ends import Side
from vtg_cli.job.jobs import Retime
from vtg_cli.job.times import count
from vtg_cli.media import extras, sound
from vtg_cli.media.animation import animation
from vtg_cli.media.formats import Format
from vtg_cli.media.probe import Facts, sound_starts
from vtg_cli.media.sequence import is_sequence


def heard(
    job: Retime, facts: Facts | None, form: Format | None, factor: Fraction, fps: Fraction
) -> tuple[sound.Sound | None, list[str]]:
    """Return the new clip's sound, if any, and what of the old one's is changed or left out."""
    if facts is None or form is None or job.audio == "drop" or not facts.audio:
        return None, []
    if form.name not in sound.CODECS:
        return None, [f"{form.name} holds no sound: the clip's is left out"]
    starts = [sound_starts(facts.path, track) for track in range(len(facts.audio))]
    notes = [
        f"sound track {i + 1} of {facts.path} cannot be read and is left out"
        for i, at in enumerate(starts)
        if at is None
    ]
    notes += sound.mixed(facts, form.name, len(starts))
    start = facts.extent.start
    seconds = count(facts.extent.seconds, 1 / (fps * factor)) / fps
    if job.audio == "keep" and factor != 1:
        return sound.kept(facts, form.name, start=start, starts=starts, seconds=seconds), notes
    return sound.retimed(
        facts, form.name, start=start, starts=starts, factor=factor, seconds=seconds
    ), notes


def kept(
    facts: Facts | None, form: Format | None, factor: Fraction
) -> tuple[extras.Kept | None, list[str]]:
    """Return what else goes with the new clip, if anything, and what is left out."""
    if facts is None or form is None:
        return None, []
    extra, notes = _beside(facts, form.name, factor)
    return extra if form.name in extras.TAGGED else None, notes


def has_sound(side: Side) -> bool:
    """Return whether a clip of a bridge is a file with sound."""
    return bool(side.facts and side.facts.audio)


def joined(bridging: Bridging, counts: Found) -> sound.Sound | None:
    """Return both clips' sound, faded over the way; None if it is not wanted or there is none."""
    if bridging.job.audio == "drop":
        return None
    first, last = bridging.first, bridging.last
    out = into = None
    if first.facts and has_sound(first) and sound_starts(first.facts.path) is not None:
        times = first.times
        assert first.end is not None
        out = sound.Side(first.facts, times[0], times[-1] - times[first.end - 1])
    if last.facts and has_sound(last) and sound_starts(last.facts.path) is not None:
        times = last.times
        into = sound.Side(last.facts, times[last.begin], times[last.begin] - times[0])
    return sound.joined(
        out,
        into,
        bridging.form.name,
        leaves=counts.first / bridging.fps,
        arrives=(counts.first + counts.between) / bridging.fps,
        seconds=counts.total / bridging.fps,
    )


def left_out(clips: Iterable[Facts]) -> list[str]:
    """Return notes on what of the clips, beside picture and sound, a bridge leaves out."""
    return [note for facts in clips for note in _beside(facts, "a bridge", Fraction(1))[1]]


def _beside(facts: Facts, holder: str, factor: Fraction) -> tuple[extras.Kept | None, list[str]]:
    """Return a clip's extras as far as `holder` has room for them, and notes on the others."""
    if is_sequence(facts.path) or animation(facts.path):
        return None, []
    turned = f"{facts.path} is stored turned: the new clip is upright"
    extra, lost = extras.kept(extras.extras(facts.path), holder, facts.extent.start, factor)
    return extra, [*([turned] if facts.video.turned else []), *lost]
