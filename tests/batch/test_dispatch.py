"""Who gets which item, with workers that are a script: losses, busy items, dead workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from vtg_cli.batch.dispatch import Event, Lost, Ready, dispatch
from vtg_cli.batch.item import Item, Outcome
from vtg_cli.errors import VtgError
from vtg_cli.job.jobs import Interpolate

Reply = Callable[[int, str, bool], Event]


def items(names: str) -> list[Item]:
    return [Item(n, Interpolate(keyframes=("a", "b"), output=f"{n}.mp4")) for n in names]


def outcome(name: str, state: str = "made") -> Outcome:
    return Outcome(name, f"{name}.mp4", state)  # type: ignore[arg-type]


class Script:
    """A crew that answers at once, in the order it was asked."""

    def __init__(
        self, reply: Reply, unborn: Callable[[int], Event] = lambda place: Ready()
    ) -> None:
        self._reply, self._unborn = reply, unborn
        self._said: deque[tuple[int, Event]] = deque()
        self.started: list[int] = []
        self.given: list[tuple[int, str, bool]] = []

    def start(self, place: int) -> None:
        self.started.append(place)
        self._said.append((place, self._unborn(place)))

    def give(self, place: int, item: Item, *, wait: bool) -> None:
        self.given.append((place, item.name, wait))
        self._said.append((place, self._reply(place, item.name, wait)))

    def listen(self) -> tuple[int, Event]:
        return self._said.popleft()


def made(place: int, name: str, wait: bool) -> Event:
    return outcome(name)


def states(outcomes: Iterator[Outcome]) -> list[tuple[str, str]]:
    return [(each.name, each.state) for each in outcomes]


def test_every_item_once_and_the_next_to_who_is_free() -> None:
    crew = Script(made)
    assert states(dispatch(crew, items("uvwxy"), places=2, retries=0)) == [
        (name, "made") for name in "uvwxy"
    ]
    assert crew.given == [
        *((0, "u", False), (1, "v", False), (0, "w", False), (1, "x", False), (0, "y", False))
    ]


def test_items_are_taken_when_somebody_is_free_for_them() -> None:
    taken: list[str] = []

    def source() -> Iterator[Item]:
        for item in items("uvwxyz"):
            taken.append(item.name)
            yield item

    outcomes = dispatch(Script(made), source(), places=1, retries=0)
    assert (next(outcomes).name, taken) == ("u", ["u"])
    assert (next(outcomes).name, taken) == ("v", ["u", "v"])
    outcomes.close()  # what fail-fast does
    assert taken == ["u", "v"]


def test_a_lost_workers_item_is_given_out_again_and_waited_for() -> None:
    losses = iter([True])

    def reply(place: int, name: str, wait: bool) -> Event:
        return Lost("was killed") if name == "v" and next(losses, False) else outcome(name)

    crew = Script(reply)
    assert sorted(states(dispatch(crew, items("uvw"), places=2, retries=1))) == [
        (name, "made") for name in "uvw"
    ]
    assert [given[1:] for given in crew.given] == [
        *(("u", False), ("v", False), ("w", False), ("v", True))
    ]
    assert crew.started == [0, 1, 1]


def test_an_item_that_takes_its_workers_with_it_fails_alone() -> None:
    told: list[str] = []

    def reply(place: int, name: str, wait: bool) -> Event:
        return Lost("was killed (SIGKILL)") if name == "v" else outcome(name)

    outcomes = list(
        dispatch(
            Script(reply),
            items("uvw"),
            places=1,
            retries=2,
            on_loss=lambda item, error: told.append(f"{item.name}: {error.message}"),
        )
    )
    bad = next(each for each in outcomes if each.name == "v")
    assert (bad.state, bad.attempts, bad.exit_code) == ("failed", 3, 1)
    assert bad.error == "its worker was killed (SIGKILL), 3 times"
    assert told == [f"v: {bad.error}"]
    assert sorted(each.name for each in outcomes if each.state == "made") == ["u", "w"]


def test_an_item_another_batch_is_at_comes_last_and_is_waited_for() -> None:
    def reply(place: int, name: str, wait: bool) -> Event:
        return outcome(name, "busy" if name == "u" and not wait else "skipped")

    crew = Script(reply)
    assert states(dispatch(crew, items("uvw"), places=1, retries=0)) == [
        *(("v", "skipped"), ("w", "skipped"), ("u", "skipped"))
    ]
    assert crew.given[-1] == (0, "u", True)


def test_one_worker_of_a_full_cluster_is_enough() -> None:
    """The other is never Ready: its node is gone and no other has room."""

    class Half(Script):
        def start(self, place: int) -> None:
            if place == 0:
                super().start(place)

    assert len(list(dispatch(Half(made), items("uvw"), places=2, retries=0))) == 3


def test_workers_that_never_start_are_no_endless_loop() -> None:
    crew = Script(made, lambda place: Lost("ended with 1"))
    with pytest.raises(VtgError, match="the workers do not start: one ended with 1"):
        list(dispatch(crew, items("uvw"), places=2, retries=0))
    assert len(crew.started) == 2 + 5


def test_a_worker_that_dies_while_it_waits_is_replaced() -> None:
    lives = count()
    crew = Script(made, lambda place: Lost("ended") if next(lives) == 0 else Ready())
    assert len(list(dispatch(crew, items("uv"), places=1, retries=0))) == 2
    assert crew.started == [0, 0]
