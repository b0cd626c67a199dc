"""A batch carried out: the engine's workers are opened, and the items' outcomes come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from vtg_cli.batch.dispatch import Crew, dispatch
from vtg_cli.batch.item import Item, Outcome
from vtg_cli.batch.store import Store
from vtg_cli.batch.worker import Settings
from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.weights.catalog import FLOW

Show = Callable[[float, str], None]
"""show(share done, what is being done)"""


@dataclass(frozen=True)
class Engine:
    """What makes the items.

    name: "local" or "ray"
    workers: at the same time; None: as many as the engine finds fit
    ray_address: of the cluster
    device: as the user asked
    """

    name: str = "local"
    workers: int | None = None
    ray_address: str | None = None
    device: str = "auto"


def check_models(items: Sequence[Item]) -> None:
    """Refuse at once, with the first item of each model, what others would fail of as well: a model
    that is not here, an option it has no use for.

    Pictures are every item's own business.
    """
    from vtg_cli.plan.segments import planned

    for item in {item.job.model: item for item in reversed(items)}.values():
        try:
            planned(replace(item.job, output=None))
        except (UsageError, WeightsError) as error:
            error.message = f"{item.name}: {error.message}"
            raise
        except VtgError:
            continue


@contextmanager
def open_crew(
    items: Sequence[Item], settings: Settings, engine: Engine
) -> Iterator[tuple[Crew, int]]:
    """Yield the engine's workers, and how many."""
    models = [item.job.model for item in items]
    if engine.name == "ray":
        from vtg_cli.batch.ray import RayCrew

        gpus = engine.device in ("auto", "cuda") and any(model != FLOW for model in models)
        with RayCrew(
            settings, address=engine.ray_address, gpus=gpus, workers=engine.workers
        ) as crew:
            yield crew, min(crew.places, len(items))
        return
    from vtg_cli.batch.local import LocalCrew, devices

    places = devices(models, engine.device, engine.workers)[: len(items)]
    with LocalCrew(settings, places) as local:
        yield local, len(places)


def outcomes(
    crew: Crew,
    places: int,
    items: Sequence[Item],
    store: Store,
    settings: Settings,
    show: Show | None = None,
) -> Iterator[Outcome]:
    """Yield the items' outcomes as they come, and show how far it is."""

    def on_loss(item: Item, error: VtgError) -> None:
        store.record("failed", item.output, name=item.name, error=error.message, exit_code=1)

    retries, total = settings.retries, len(items)
    found = dispatch(crew, items, places=places, retries=retries, on_loss=on_loss)
    for done, outcome in enumerate(found, start=1):
        if show is not None:
            show(done / total, f"{done} of {total}")
        yield outcome
