"""Workers that are actors of a Ray cluster, one for every GPU; the only module that imports ray.

An actor keeps its model loaded. One that is lost with its node is replaced where there is room,
and its item is given out again; the locks in the batch's folder see to it that nothing is made
twice. Every node needs vtg, the pictures and the models at the same paths as here, and the clips go
to a folder all nodes share, or to a URL.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from types import TracebackType
from typing import Any

from vtg_cli.batch.dispatch import Event, Lost, Ready
from vtg_cli.batch.item import Item, Outcome
from vtg_cli.batch.store import open_store
from vtg_cli.batch.worker import Settings, Worker
from vtg_cli.errors import UsageError, VtgError

PATIENCE = 120.0
"""Seconds without any worker before the cluster counts as full or gone."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
"""Environment under which nothing is reported to anyone, and nothing is said that is not ours,
unless the user set it."""
LOCAL_STORE = 80 * 1024 * 1024  # bytes; nothing but item descriptions passes through it


class Actor:
    """A Worker on a node, which takes items as plain JSON."""

    def __init__(self, settings: Mapping[str, Any], folder: str) -> None:
        os.chdir(folder)  # relative model folders mean what they mean to the driver
        parsed = Settings(**settings)
        self._worker = Worker(open_store(parsed.place), parsed)

    def ready(self) -> None:
        """Return when the actor is up."""

    def make(self, item: Mapping[str, Any], wait: bool) -> dict[str, Any]:
        """Make an item; see Worker.make."""
        return self._worker.make(Item.from_json(item), wait=wait).to_json()


class RayCrew:
    """A Crew of actors; workers: how many, None: one for every GPU, or node where there is none."""

    def __init__(
        self, settings: Settings, *, address: str | None, gpus: bool, workers: int | None
    ) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError:
            raise UsageError(
                "--engine ray needs ray, which is not installed",
                "pip install 'vtg-cli[ray]', here and on every node",
                subject="--engine",
            ) from None
        self._ray = ray
        self._settings = settings
        self._address = address or os.environ.get("RAY_ADDRESS") or "local"
        self._wants_gpus = gpus
        self._workers = workers
        self._actors: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}  # object reference -> worker
        self._starting: set[int] = set()
        self._gpus = 0
        self._stdout = redirect_stdout(sys.stderr)

    def __enter__(self) -> RayCrew:
        self._stdout.__enter__()  # ray prints what it has to say about nodes
        is_local = self._address == "local"
        own = {"object_store_memory": LOCAL_STORE, "include_dashboard": False} if is_local else {}
        if is_local and self._workers:
            own["num_cpus"] = self._workers
        try:
            self._ray.init(
                address=self._address,
                log_to_driver=False,
                logging_level="ERROR",
                **own,
            )
        except Exception as error:  # ray raises of many kinds for one that cannot be reached
            self._stdout.__exit__(None, None, None)
            reason = str(error).strip().splitlines()[0]
            raise VtgError(
                f"cannot reach ray at {self._address}: {reason}",
                "ray status says whether it runs; see --ray-address",
                subject="--ray-address",
            ) from error
        if self._wants_gpus:
            self._gpus = int(self._ray.cluster_resources().get("GPU", 0))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._ray.shutdown()
        self._stdout.__exit__(kind, error, trace)

    @property
    def places(self) -> int:
        """Number of workers there are to be."""
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        return self._workers or self._gpus or len(nodes)

    def start(self, place: int) -> None:
        if place in self._actors:
            self._ray.kill(self._actors[place])  # it may live on, cut off from here
        actor = self._ray.remote(Actor).options(
            num_cpus=1,
            num_gpus=1 if self._gpus else 0,
            max_restarts=0,
            scheduling_strategy="SPREAD",
        )
        self._actors[place] = actor.remote(self._settings.to_json(), os.getcwd())
        self._starting.add(place)
        self._pending[self._actors[place].ready.remote()] = place

    def give(self, place: int, item: Item, *, wait: bool) -> None:
        self._pending[self._actors[place].make.remote(item.to_json(), wait)] = place

    def listen(self) -> tuple[int, Event]:
        deadline = time.monotonic() + PATIENCE
        while True:
            ready, _ = self._ray.wait([*self._pending], num_returns=1, timeout=5.0)
            if ready:
                return self._event(ready[0])
            if set(self._pending.values()) - self._starting:
                deadline = time.monotonic() + PATIENCE  # somebody is at work
            elif time.monotonic() > deadline:
                raise VtgError(
                    f"no node of the ray cluster had room for a worker in {PATIENCE:.0f} s",
                    "ray status shows what is free; a worker takes a CPU, and a GPU if there are",
                    subject="--engine",
                )

    def _event(self, reference: Any) -> tuple[int, Event]:
        place = self._pending.pop(reference)
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._starting.discard(place)
            return place, Lost(f"was lost ({type(error).__name__})")
        if answer is None:
            self._starting.discard(place)
            return place, Ready()
        return place, Outcome(**answer)
