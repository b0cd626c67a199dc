"""Notes for a person on a clip made of clips, one sentence each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fractions import Fraction

from vtg_cli.job.times import exact
from vtg_cli.media import sound
from vtg_cli.media.libav import named
from vtg_cli.media.probe import Facts
from vtg_cli.media.rates import beside
from vtg_cli.plan.setup import Setup

HDR = ("smpte2084", "arib-std-b67")


def rate_beside(
    wanted: Fraction | None, usual: Fraction, rates: Iterable[Fraction]
) -> tuple[Fraction, list[str]]:
    """Return the rate to write, and a note if it is read otherwise than it was asked for.

    wanted: by --fps
    usual: taken where nothing is asked
    rates: of the clips
    """
    if wanted is None:
        return usual, []
    fps = beside(wanted, rates)
    note = f"--fps {exact(wanted)} is read as {exact(fps)}, which is the clip's kind of rate"
    return fps, [note] if fps != wanted else []


def unmapped(clips: Iterable[Facts]) -> list[str]:
    """Return notes on clips whose tones the new one's 8-bit BT.709 does not hold."""
    return [
        f"{facts.path} is HDR, and the new clip is 8-bit BT.709: its tones are not mapped"
        for facts in clips
        if facts.video.transfer in HDR
    ]


def laid(path: str, alpha: bool, base: Setup) -> list[str]:
    """Return a note for a clip with alpha, where the new one, planned as `base`, has none."""
    ground = base.job.background
    note = f"transparent parts of {named(path)} are laid on {ground} (--background)"
    return [note] if alpha and base.shape[2] == 3 else []


def unheard(clips: Collection[Facts], form: str) -> list[str]:
    """Return notes on sound that a clip of this format, with one track, leaves out or mixes."""
    if form not in sound.CODECS:
        heard = any(facts.audio for facts in clips)
        return [f"{form} holds no sound: the clips' is left out"] if heard else []
    notes = []
    for facts in clips:
        if len(facts.audio) > 1:
            tracks = f"{len(facts.audio)} sound tracks of {facts.path}"
            notes.append(f"only the first of the {tracks} is kept")
        notes += sound.mixed(facts, form, 1)
    return notes
