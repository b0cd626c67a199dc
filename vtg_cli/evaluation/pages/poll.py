"""A blind poll: which of two clips is better? Sides and order are drawn, the page holds no names.

The page gives votes by the number of a trial; the key, a file of its own that stays with whoever
asks, says which system was on which side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.intervals import wilson
from vtg_cli.evaluation.pages import parts
from vtg_cli.evaluation.pages.parts import text
from vtg_cli.evaluation.pages.report import CONTROLS
from vtg_cli.evaluation.shots import Frames

WIDTH, LONGEST = 320, 32  # pixels of a frame, and frames, that a page holds
KEY, VOTES = "vtg-poll-key", "vtg-poll-votes"
CHOICES = ("left", "right", "neither")


@dataclass(frozen=True)
class Trial:
    """A question: two systems' clips of a case."""

    case: str
    left: str
    right: str


def trials(systems: Sequence[str], cases: Sequence[str], seed: int) -> list[Trial]:
    """Return every two systems on every case, in a random order, on random sides."""
    rng = np.random.default_rng(seed)
    every = [(case, *two) for case in cases for two in combinations(systems, 2)]
    drawn = []
    for i in rng.permutation(len(every)):
        case, *two = every[i]
        left, right = two[::-1] if rng.integers(2) else two
        drawn.append(Trial(case, left, right))
    return drawn


def key(asked: Sequence[Trial], question: str, seed: int) -> dict[str, Any]:
    """Return the key of a poll as JSON."""
    content = [asdict(trial) for trial in asked]
    name = hashlib.sha256(json.dumps([content, question]).encode()).hexdigest()[:16]
    return {
        "schema": KEY,
        "version": 1,
        "poll": name,
        "question": question,
        "seed": seed,
        "trials": content,
    }


def page(document: Mapping[str, Any], clips: Mapping[tuple[str, str], Frames]) -> str:
    """Return the page of a key. clips: by case and system, those of a case of one size."""
    numbers = {pair: number for number, pair in enumerate(clips)}
    shown = [
        [numbers[each["case"], each["left"]], numbers[each["case"], each["right"]]]
        for each in document["trials"]
    ]
    strips = "".join(
        parts.strip(clip, WIDTH, "", LONGEST, f"clip{number}")
        for number, clip in enumerate(clips.values())
    )
    body = f"""<h1>{text(document["question"])}</h1>
<div id="asking">{CONTROLS}
<p id="progress"></p>
<div class="pair"><figure><canvas id="left"></canvas></figure>
<figure><canvas id="right"></canvas></figure></div>
<p class="vote"><button data-choice="left">Left</button>
<button data-choice="neither">No difference</button>
<button data-choice="right">Right</button></p>
<p class="notes">Keys: 1 left, 2 no difference, 3 right. Back: Backspace.</p></div>
<div id="done" class="hidden"><h2>Thank you</h2>
<p><a id="save" download="votes.json">Save votes.json</a> and send it to whoever asked you.</p>
<textarea id="votes" rows="12" cols="80" readonly></textarea></div>
<div class="hidden">{strips}</div>
{parts.data({"schema": VOTES, "version": 1, "poll": document["poll"], "trials": shown})}"""
    return parts.document(document["question"], body, ("player.js", "poll.js"))


def counted(document: Mapping[str, Any], votes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count votes: of every system, how often it won of the trials that had a winner.

    votes: files of votes as JSON

    Raises UsageError for votes of another poll; ValueError, KeyError, TypeError for no votes.
    """
    asked = [Trial(**each) for each in document["trials"]]
    systems = sorted({name for trial in asked for name in (trial.left, trial.right)})
    won: dict[tuple[str, str], int] = {}  # winner, loser
    undecided = total = 0
    for each in votes:
        if each["poll"] != document["poll"]:
            raise UsageError("these votes are of another poll", "give the key that lay beside it")
        for vote in each["votes"]:
            if vote["choice"] not in CHOICES or not 0 <= int(vote["trial"]) < len(asked):
                raise ValueError("a vote in it is none")
            trial, total = asked[int(vote["trial"])], total + 1
            if vote["choice"] == "neither":
                undecided += 1
                continue
            two = (trial.left, trial.right)
            pair = two if vote["choice"] == "left" else two[::-1]
            won[pair] = won.get(pair, 0) + 1
    rows = {}
    for name in systems:
        wins = sum(n for (winner, _), n in won.items() if winner == name)
        losses = sum(n for (_, loser), n in won.items() if loser == name)
        rows[name] = _share(wins, wins + losses)
    pairs = []
    for a, b in combinations(systems, 2):
        wins, losses = won.get((a, b), 0), won.get((b, a), 0)
        pairs.append({"first": a, "second": b, **_share(wins, wins + losses)})
    return {
        "question": document["question"],
        "people": len(votes),
        "votes": total,
        "undecided": undecided,
        "interval": "Wilson, 95 %",
        "systems": rows,
        "pairs": pairs,
    }


def _share(wins: int, decided: int) -> dict[str, Any]:
    low, high = wilson(wins, decided)
    share = wins / decided if decided else None
    return {"won": wins, "decided": decided, "share": share, "low": low, "high": high}
