"""Cuts and repeated frames of clips made by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vtg_cli.media.clip import Timed
from vtg_cli.media.scenes import ALIKE, SAME, STILL, Span, change, spans, with_cuts

STEP = Fraction(1, 24)


def dot(at: int, ground: int = 40) -> NDArray[np.uint8]:
    picture = np.full((32, 64, 3), ground, np.uint8)
    picture[8:16, at : at + 8] = 220
    return picture


def timed(
    pictures: Sequence[NDArray[np.uint8]], times: Sequence[int] | None = None
) -> Iterator[Timed]:
    for i, picture in enumerate(pictures):
        yield Timed(picture, (times[i] if times else i) * STEP, STEP)


def cut_free(frames: Iterator[Timed]) -> Iterator[tuple[Timed, bool]]:
    return ((frame, False) for frame in frames)


def told(found: Iterator[Span]) -> list[tuple[int, bool, Fraction, Fraction]]:
    """(column of the first dot, whether it moves on, start, end in frames)"""
    return [
        (
            int(span.first[8].argmax()) // 3,
            span.last is not None,
            span.start / STEP,
            span.end / STEP,
        )
        for span in found
    ]


def test_cuts_are_found_anywhere_and_motion_is_none() -> None:
    """At the second frame and at the last one too, where the detector lacks neighbours."""
    grounds = [0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1]
    pictures = [dot(2 * i, 30 + 120 * g) for i, g in enumerate(grounds)]
    found = [cut for _, cut in with_cuts(timed(pictures))]
    assert [i for i, cut in enumerate(found) if cut] == [1, 6, 10]
    assert [frame.time for frame, _ in with_cuts(timed([dot(i) for i in range(5)]))] == [
        i * STEP for i in range(5)
    ]
    assert not any(cut for _, cut in with_cuts(timed([dot(4 * i) for i in range(12)])))


def test_repeated_frames_are_passed_over() -> None:
    pictures = [dot(x) for x in (0, 0, 4, 4, 8)]
    smooth = told(spans(cut_free(timed(pictures)), smooth=True, step=STEP))
    assert smooth == [(0, True, 0, 2), (4, True, 2, 4), (8, False, 4, 5)]
    kept = told(spans(cut_free(timed(pictures)), smooth=False, step=STEP))
    assert [span[2:] for span in kept] == [(i, i + 1) for i in range(5)]


def test_what_stays_long_stands_still_until_the_step_before() -> None:
    stays = int(STILL / STEP) + 3
    pictures = [dot(0)] * stays + [dot(8), dot(16)]
    found = told(spans(cut_free(timed(pictures)), smooth=True, step=STEP))
    assert found[0][:3] == (0, False, 0)
    moving = [span for span in found if span[1]]
    assert moving == [(0, True, stays - 1, stays), (8, True, stays, stays + 1)]
    assert sum(end - start for *_, start, end in found) == len(pictures)


def test_a_gap_in_time_is_treated_alike() -> None:
    found = told(spans(cut_free(timed([dot(0), dot(8)], [0, 48])), smooth=True, step=STEP))
    assert found == [(0, False, 0, 47), (0, True, 47, 48), (8, False, 48, 49)]


def test_a_cut_holds_the_frame_before_it() -> None:
    frames = [(frame, i == 1) for i, frame in enumerate(timed([dot(0), dot(8, 200)]))]
    first, rest = spans(iter(frames), smooth=True, step=STEP)
    assert (first.last, first.cut, first.end) == (None, True, STEP)
    assert rest.last is None


def test_change_is_that_of_the_worst_block() -> None:
    noisy = dot(8) + np.random.default_rng(0).integers(0, 2, (32, 64, 3)).astype(np.uint8)
    assert change(dot(8), noisy) <= SAME
    assert change(dot(8), dot(8)) == 0
    # one column of 8 goes from 220 to 40: (220 - 40) / 8
    assert abs(change(dot(8), dot(9)) - 22.5) <= 0.5


def test_a_coders_noise_is_a_repeat_only_where_things_move() -> None:
    def noisy(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return picture + np.uint8(ALIKE - 1)

    twos = [dot(0), noisy(dot(0)), dot(8), noisy(dot(8)), dot(16), noisy(dot(16)), dot(24)]
    smooth = told(spans(cut_free(timed(twos)), smooth=True, step=STEP))
    # nothing had moved when the first repeat came
    assert [(start, end) for *_, start, end in smooth] == [(0, 1), (1, 2), (2, 4), (4, 6), (6, 7)]
    slow = [dot(0, 40 + 3 * i) for i in range(5)]
    kept = told(spans(cut_free(timed(slow)), smooth=True, step=STEP))
    assert [(start, end) for *_, start, end in kept] == [(i, i + 1) for i in range(5)]
