"""The retries of a segment that is no in-between (quality/segment.py): --on-bad.

    warn      it is kept, and said
    retry     it is drawn again under the next seeds until a take is good; else the least bad stays
    fallback  flow draws it too, and the less bad of both stays
    fail      QualityError, before any of its frames is handed out

Takes are compared by their verdict's badness; a good one beats all bad ones, the earlier of equals
the later. A plan decides the variants beforehand, so the same job makes the same clip again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vtg_cli.errors import QualityError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.plan.takes import Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vtg_cli.media.anchor import AnchorReport
    from vtg_cli.quality.segment import Label, Verdict

WORDS: dict[Label, str] = {
    "slideshow": "is a slideshow of its keyframes",
    "frozen": "stands still for part of the way",
    "flicker": "flickers",
    "hard-cut": "has a hard cut",
    "cross-fade": "is a plain cross-fade",
}


@dataclass(frozen=True)
class Take:
    """One drawing of a segment: frames uint8 [F, H, W, C] that hold their keyframes."""

    frames: NDArray[np.uint8] = field(repr=False)
    anchors: AnchorReport
    verdict: Verdict


@dataclass(frozen=True)
class Outcome:
    """The outcome of a segment: every variant that was drawn, its verdict, and which was kept."""

    variants: tuple[Variant, ...]
    verdicts: tuple[Verdict, ...]
    kept: int

    @property
    def verdict(self) -> Verdict:
        return self.verdicts[self.kept]


def settled(
    draw: Callable[[Variant], Take], possible: Sequence[Variant], job: Interpolate, where: str
) -> tuple[Take, Outcome]:
    """Draw takes and return the one that is kept of a segment. where: its name in messages. Raise
    QualityError under fail.

    The frames of two takes are in memory at a time, the best so far and the one being drawn.
    """
    best, kept = draw(possible[0]), 0
    verdicts = [best.verdict]
    for number, variant in enumerate(possible[1:], start=1):
        if not best.verdict.labels:
            break
        take = draw(variant)
        verdicts.append(take.verdict)
        if _rank(take.verdict) < _rank(best.verdict):
            best, kept = take, number
        del take
    if best.verdict.labels and job.on_bad == "fail":
        raise QualityError(
            f"{where} {_words(best.verdict)}",
            "vtg inspect tells what its keyframes have in common; --on-bad retry or fallback "
            "draws it again",
            subject=where,
        )
    return best, Outcome(tuple(possible[: len(verdicts)]), tuple(verdicts), kept)


def _rank(verdict: Verdict) -> tuple[bool, float]:
    return bool(verdict.labels), verdict.badness


def _words(verdict: Verdict) -> str:
    return " and ".join(WORDS[label] for label in verdict.labels)


def place(number: int, segments: int) -> str:
    """Return what a segment is called in messages."""
    return f"segment {number} of {segments}" if segments > 1 else "the clip"


def summary(outcomes: Sequence[Outcome], segments: int, on_bad: str) -> str:
    """Say in one line what was found and done; "" if all was well at once."""
    sentences = []
    for number, outcome in enumerate(outcomes, start=1):
        where, tried = place(number, segments), len(outcome.verdicts)
        if outcome.verdict.labels:
            best = f", the best of {tried} takes" if tried > 1 else ""
            sentences.append(f"{where} {_words(outcome.verdict)}{best}")
        elif outcome.kept:
            kept = outcome.variants[outcome.kept]
            other = f"by {kept.by}" if on_bad == "fallback" else f"with seed {kept.seed}"
            sentences.append(
                f"{where} is drawn {other}: the first take {_words(outcome.verdicts[0])}"
            )
    bad = [outcome for outcome in outcomes if outcome.verdict.labels]
    if not bad:
        return "; ".join(sentences)
    if on_bad == "warn":
        return f"{'; '.join(sentences)} (--on-bad retry, fallback or fail acts on it)"
    if all(len(outcome.verdicts) == 1 for outcome in bad):
        by = bad[0].variants[0].by
        return f"{'; '.join(sentences)} ({by} drew it and uses no randomness: no other take)"
    return "; ".join(sentences)


def plain(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON values for the sidecar; takes only if there were several."""
    from dataclasses import asdict

    judged = asdict(outcome.verdict)
    measures = judged.pop("measures") or {}
    rounded = {k: None if v is None else round(v, 3) for k, v in measures.items()}
    takes = [
        {**asdict(variant), "labels": list(verdict.labels), "badness": round(verdict.badness, 3)}
        for variant, verdict in zip(outcome.variants, outcome.verdicts, strict=True)
    ]
    several = {"takes": takes, "kept": outcome.kept} if len(takes) > 1 else {}
    return {
        "labels": list(outcome.verdict.labels),
        "notes": list(outcome.verdict.notes),
        "badness": round(outcome.verdict.badness, 3),
        "measures": rounded,
        **several,
    }
