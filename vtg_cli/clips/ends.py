"""The two clips of a bridge: which of their frames are used, and those frames one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice

from vtg_cli.errors import UsageError
from vtg_cli.job.jobs import Bridge
from vtg_cli.job.times import exact
from vtg_cli.media.clip import Clip, Timed, is_transparent, open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.media.probe import Facts, Packets
from vtg_cli.media.scenes import visible
from vtg_cli.media.sequence import facts_of, packets_of
from vtg_cli.plan.pictures import Frame

BLANK = 3.0  # of 255: what no more varies than this, in any colour, shows nothing
LOOKED_AT = 48  # frames at a join that may turn out blank


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two clips: frames begin to end are used, counted from 0; end None: to the last.

    facts, found: of a file
    live: standard input, open at its first frame
    alpha: its frames have transparency
    notes: what the user should know of it, one sentence each; more may come while it is read
    """

    clip: Input
    size: tuple[int, int]
    rate: Fraction
    begin: int
    end: int | None
    facts: Facts | None = None
    found: Packets | None = None
    live: Clip | None = None
    trimmed: int = 0
    alpha: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def times(self) -> list[Fraction]:
        """Second of each frame of a file that can be shown, by its own clock."""
        assert self.found is not None and self.facts is not None
        shown = sorted(packet.pts for packet in self.found.packets if packet.shown)
        times = [time * self.found.tick for time in shown]
        return [time for time in times if time >= self.facts.extent.start]

    def frames(self, rate: Fraction, begin: int, end: int | None) -> Iterator[Frame]:
        """Yield frames begin to end at `rate` a second: each time the one that stands then."""
        if self.live is not None:
            frames = all_but_last(islice(self.live.frames(), begin, None), self.trimmed)
            yield from (frame.pixels for frame in at_rate(from_zero(frames), rate))
            self.note(self.live.damage)
            return
        until = None if end is None else end - begin
        if until == 0:
            return
        after = self.times[begin] - 1 / self.rate / 2 if begin else None
        with open_clip(self.clip, self.facts, after=after, until=until, alpha=self.alpha) as clip:
            yield from (frame.pixels for frame in at_rate(clip.frames(), rate))
            self.note(clip.damage)

    def note(self, sentence: str) -> None:
        """Keep a sentence, once."""
        if sentence and sentence not in self.notes:
            self.notes.append(sentence)


@contextmanager
def opened(clip: Input) -> Iterator[Side]:
    """Open a clip, all of it; standard input stays open within."""
    if clip.path == "-":
        with open_clip(clip, alpha=True) as live:
            yield Side(
                clip=clip,
                size=live.size,
                rate=live.rate,
                begin=0,
                end=None,
                live=live,
                alpha=live.alpha,
                notes=live.notes,
            )
        return
    facts, stored = facts_of(clip), packets_of(clip)
    alpha = is_transparent(clip, facts)
    with open_clip(clip, facts, until=1, alpha=alpha) as opened:
        side = Side(
            clip=clip,
            size=opened.size,
            rate=opened.rate,
            begin=0,
            end=None,
            facts=facts,
            found=stored,
            alpha=alpha,
            notes=opened.notes,
        )
    yield replace(side, end=len(side.times))


def leaving(job: Bridge, side: Side, notes: list[str]) -> Side:
    """Return the first clip to its last usable frame. notes: gets what is left out."""
    if side.end is None:
        _no_time(job.from_, "--from")
        return replace(side, trimmed=job.trim)
    end = side.end if job.from_ is None else _at(side, job.from_, "--from") + 1
    end -= job.trim
    if end < 1:
        raise nothing(job.first.path)
    if job.from_ is None:
        looked = [*side.frames(side.rate, max(0, end - LOOKED_AT), end)]
        blank = _blank(reversed(looked))
        notes += [_left_out("last", blank, job.first.path)] if blank else []
        end -= blank
    return replace(side, end=end)


def arriving(job: Bridge, side: Side, notes: list[str]) -> Side:
    """Return the last clip from its first usable frame. notes: gets what is left out."""
    if side.end is None:
        _no_time(job.to, "--to")
        return replace(side, begin=job.trim)
    begin = (0 if job.to is None else _at(side, job.to, "--to")) + job.trim
    if begin >= side.end:
        raise nothing(job.last.path)
    if job.to is None:
        until = min(side.end, begin + LOOKED_AT)
        blank = _blank(side.frames(side.rate, begin, until))
        notes += [_left_out("first", blank, job.last.path)] if blank else []
        begin += blank
    return replace(side, begin=begin)


def _no_time(second: Fraction | None, flag: str) -> None:
    if second is not None:
        raise UsageError(
            f"{flag} needs a file: standard input cannot be looked through first",
            "use --trim",
            subject=flag,
        )


def _at(side: Side, second: Fraction, flag: str) -> int:
    """Return the number of the frame that stands at that second of a clip."""
    times = side.times
    assert side.found is not None
    where = [i for i, time in enumerate(times) if time - times[0] <= second + side.found.tick]
    if second - (times[-1] - times[0]) > 1 / side.rate:
        raise UsageError(
            f"{flag} {exact(second)} lies beyond {side.clip.path}, which has its last frame at "
            f"{float(times[-1] - times[0]):.3f}",
            "name an earlier time",
            subject=flag,
        )
    return where[-1]


def _blank(frames: Iterator[Frame]) -> int:
    """Count the frames that show nothing before one shows something; 0 if none does."""
    for count, frame in enumerate(islice(frames, LOOKED_AT)):
        if float(max(visible(frame).std(axis=(0, 1)))) > BLANK:
            return count
    return 0


def _left_out(which: str, count: int, path: str) -> str:
    one = f"frame of {path} is" if count == 1 else f"{count} frames of {path} are"
    return f"the {which} {one} blank and left out (--from and --to choose others)"


def nothing(path: str) -> UsageError:
    """Return the error for a clip of which no frame is used."""
    return UsageError(f"nothing is left of {path}", "trim less of it", subject="--trim")


def at_rate(frames: Iterator[Timed], rate: Fraction) -> Iterator[Timed]:
    """Yield one frame every 1 / rate seconds, the one that stands then; in constant memory.

    Frames that come at this rate already are all there, once.
    """
    step, k, shown = 1 / rate, 0, None
    for frame in frames:
        while shown is not None and k * step < frame.time:
            yield replace(shown, time=k * step, lasts=step)
            k += 1
        shown = frame
    while shown is not None and (k + Fraction(1, 2)) * step < shown.time + shown.lasts:
        yield replace(shown, time=k * step, lasts=step)
        k += 1


def all_but_last(frames: Iterator[Timed], count: int) -> Iterator[Timed]:
    """Yield the frames without the last `count` of them, which is how many are held."""
    held: deque[Timed] = deque()
    for frame in frames:
        held.append(frame)
        if len(held) > count:
            yield held.popleft()


def from_zero(frames: Iterator[Timed]) -> Iterator[Timed]:
    """Yield the frames with the first one's time 0."""
    start: Fraction | None = None
    for frame in frames:
        start = frame.time if start is None else start
        yield replace(frame, time=frame.time - start)
