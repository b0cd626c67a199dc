"""The poll: blind, fair in its sides, counted by the key, and answered in a browser."""

from __future__ import annotations

import json
import re
from collections import Counter
from html import unescape
from itertools import combinations
from pathlib import Path

import pytest
from browser import dom, needs_chromium
from fakes import clip
from scipy import stats

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.pages import poll

SYSTEMS, CASES = ("one <a>", "two <b>", "zoo <c>"), [f"case {i}" for i in range(4)]


def made(seed: int = 0) -> dict[str, object]:
    return poll.key(poll.trials(SYSTEMS, CASES, seed), "Which <moves> better?", seed)


def test_every_two_systems_meet_on_every_case_on_random_sides() -> None:
    asked = poll.trials(SYSTEMS, [str(i) for i in range(200)], seed=1)
    met = Counter((trial.case, frozenset((trial.left, trial.right))) for trial in asked)
    assert len(asked) == len(met) == 600
    left = Counter(trial.left for trial in asked)
    for name in SYSTEMS:  # of 400 trials each; 1e-6 two-sided
        assert stats.binomtest(left[name], 400).pvalue > 1e-6
    assert [t.case for t in asked] != sorted(t.case for t in asked)
    assert poll.trials(SYSTEMS, CASES, 2) == poll.trials(SYSTEMS, CASES, 2)


def shown() -> str:
    clips = {(c, s): clip(3, i) for i, (c, s) in enumerate((c, s) for c in CASES for s in SYSTEMS)}
    return poll.page(made(), clips)


def test_the_page_names_no_system() -> None:
    page = shown()
    assert not any(name in page for name in SYSTEMS)
    assert not any(case in page for case in CASES)
    assert not any(name.split()[0] + " &lt;" in page for name in SYSTEMS)
    assert "Which &lt;moves&gt; better?" in page


def test_votes_are_counted_by_the_key() -> None:
    document = made()
    trials = poll.trials(SYSTEMS, CASES, 0)

    def choice(number: int) -> str:
        """zoo over two over one, always."""
        left, right = (SYSTEMS.index(s) for s in (trials[number].left, trials[number].right))
        return "left" if left > right else "right"

    votes = [{"trial": i, "choice": choice(i)} for i in range(len(trials))]
    file = {"schema": poll.VOTES, "poll": document["poll"], "votes": votes}
    found = poll.counted(document, [file, file])
    shares = {name: row["share"] for name, row in found["systems"].items()}
    assert shares == dict(zip(SYSTEMS, (0.0, 0.5, 1.0), strict=True))
    assert (found["people"], found["votes"], found["undecided"]) == (2, 24, 0)
    second = found["systems"][SYSTEMS[1]]
    expected = stats.binomtest(8, 16).proportion_ci(0.95, method="wilson")
    assert (second["won"], second["decided"]) == (8, 16)
    assert (second["low"], second["high"]) == pytest.approx((expected.low, expected.high))
    pairs = {(row["first"], row["second"]): row["won"] for row in found["pairs"]}
    assert pairs == dict.fromkeys(combinations(SYSTEMS, 2), 0)
    for vote in votes:
        vote["choice"] = "neither"
    none = poll.counted(document, [file])
    assert (none["undecided"], none["systems"][SYSTEMS[1]]["share"]) == (12, None)


def test_votes_that_are_none_are_refused() -> None:
    document = made()
    with pytest.raises(UsageError, match="another poll"):
        poll.counted(document, [{"poll": "x", "votes": []}])
    for vote in ({"trial": 99, "choice": "left"}, {"trial": 0, "choice": "both"}):
        with pytest.raises(ValueError, match="none"):
            poll.counted(document, [{"poll": document["poll"], "votes": [vote]}])


@needs_chromium
def test_a_person_answers_all_questions(tmp_path: Path) -> None:
    page = tmp_path / "poll.html"
    page.write_text(shown(), encoding="utf-8")
    seen = dom(
        page,
        """addEventListener("load", () => {
             document.querySelector("[data-choice=right]").click();
             document.querySelector("[data-choice=left]").click();
             dispatchEvent(new Event("x"));
             document.dispatchEvent(new KeyboardEvent("keydown", { key: "Backspace" }));
             for (let i = 0; i < 11; i++)
               document.dispatchEvent(new KeyboardEvent("keydown", { key: "2" }));
             document.getElementById("votes").textContent = document.getElementById("votes").value;
           });""",
    )
    (text,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", seen, re.S)
    answered = json.loads(unescape(text))
    assert answered["schema"] == poll.VOTES
    choices = [vote["choice"] for vote in answered["votes"]]
    assert choices == ["right", *["neither"] * 11]
    assert poll.counted(made(), [answered])["undecided"] == 11
    assert re.search(r'<div id="asking" class="hidden">', seen)
