"""The hand-out of items to workers: the same for processes of this machine and for actors of a
cluster.

A worker has one item at a time and gets the next when it has told what became of it. One that dies
is replaced and its item given out again, `retries` times at most. Items that another batch is at
are kept for the end, and waited for then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from vtg_cli.batch.item import Item, Outcome, failed
from vtg_cli.errors import VtgError

STILLBORN = 3
"""Workers in a row that may die before they ever took an item."""


@dataclass(frozen=True)
class Ready:
    """An event: a worker waits for its first item."""


@dataclass(frozen=True)
class Lost:
    """An event: a worker is no more. reason: how it ended, as part of a sentence."""

    reason: str


Event = Ready | Lost | Outcome


class Crew(Protocol):
    """Workers by number, 0 and up; `start` is called for each once, and again after it was Lost."""

    def start(self, place: int) -> None:
        """Start a worker; `listen` says when it is Ready."""

    def give(self, place: int, item: Item, *, wait: bool) -> None:
        """Give one item to a worker that has none; wait: see Worker.make."""

    def listen(self) -> tuple[int, Event]:
        """Sleep until a worker has something to say; Lost is the last word of one."""


class Queue:
    """Items not given out yet; those to be tried again come last."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._fresh = iter(items)
        self._again: deque[Item] = deque()

    def take(self) -> tuple[Item, bool] | None:
        """Take the next item, and whether it is one to be patient with; None if none is left."""
        item = next(self._fresh, None)
        if item is not None:
            return item, False
        return (self._again.popleft(), True) if self._again else None

    def put_back(self, item: Item) -> None:
        """Put an item back at the end."""
        self._again.append(item)


def dispatch(
    crew: Crew,
    items: Iterable[Item],
    *,
    places: int,
    retries: int,
    on_loss: Callable[[Item, VtgError], None] | None = None,
) -> Iterator[Outcome]:
    """Yield the outcome of every item, as they come; never "busy".

    on_loss: called with an item given up because it took its workers with it

    Raises VtgError if workers do not come up at all.
    """
    queue = Queue(items)
    at_work: dict[int, Item] = {}
    idle: list[int] = []
    deaths: Counter[str] = Counter()
    stillborn = 0
    for place in range(places):
        crew.start(place)
    while True:
        while idle and (taken := queue.take()) is not None:
            item, patient = taken
            place = idle.pop(0)
            at_work[place] = item
            crew.give(place, item, wait=patient)
        if idle and not at_work:
            return
        place, event = crew.listen()
        if isinstance(event, Ready):
            idle.append(place)
        elif isinstance(event, Outcome):
            item = at_work.pop(place)
            idle.append(place)
            stillborn = 0
            if event.state == "busy":
                queue.put_back(item)
            else:
                yield event
        elif place not in at_work:
            stillborn += 1
            if stillborn >= STILLBORN * places:
                raise VtgError(f"the workers do not start: one {event.reason}")
            idle = [each for each in idle if each != place]
            crew.start(place)
        else:
            item = at_work.pop(place)
            deaths[item.output] += 1
            crew.start(place)
            if deaths[item.output] <= retries:
                queue.put_back(item)
                continue
            times = f", {deaths[item.output]} times" if deaths[item.output] > 1 else ""
            error = VtgError(f"its worker {event.reason}{times}")
            if on_loss is not None:
                on_loss(item, error)
            yield failed(item, error, attempts=deaths[item.output])
