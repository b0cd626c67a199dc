"""vtg batch: what is to be made, the engine that makes it, and one summary of how it went."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import typer

from vtg_cli.cli import batch_options as b
from vtg_cli.cli import create
from vtg_cli.cli import options as o
from vtg_cli.cli.bar import progress
from vtg_cli.cli.batch_table import tell_plan
from vtg_cli.cli.console import result, result_json, say
from vtg_cli.errors import BatchError, UsageError, VtgError, WeightsError

if TYPE_CHECKING:
    from vtg_cli.api import Options
    from vtg_cli.batch.dispatch import Crew
    from vtg_cli.batch.item import Item, Outcome
    from vtg_cli.batch.store import Store
    from vtg_cli.batch.worker import Settings

NOT_OF_ITEMS = {
    *("keyframes", "output", "format", "overwrite", "skip_existing", "sheet"),
    *("input_format", "input_size", "input_fps", "allow_damaged"),
}


def batch(
    ctx: typer.Context,
    sources: b.Sources,
    place: b.Place,
    template: b.Template = None,
    chain: b.Chain = False,
    recursive: b.Recursive = False,
    shard: b.Shard = None,
    resume: b.Resume = False,
    fail_fast: b.FailFast = False,
    retries: b.Retries = 2,
    retry_wait: b.RetryWait = 1.0,
    overwrite: b.Overwrite = False,
    engine: b.EngineName = "local",
    workers: b.Workers = None,
    ray_address: b.RayAddress = None,
    as_json: o.Json = False,
    dry_run: o.DryRun = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Make many clips: pairs of pictures from a folder, or what a manifest lists.

    vtg batch pictures/ -o clips/ --frames 16

    The other options hold for every clip, unless the manifest says something else.
    """


def command() -> Callable[..., None]:
    """`batch` with the options of `interpolate` that say how a clip is made."""
    own = inspect.signature(batch, eval_str=True).parameters
    shared = inspect.signature(create.interpolate, eval_str=True).parameters
    taken = {*own, *NOT_OF_ITEMS}
    parameters = [*own.values(), *(p for name, p in shared.items() if name not in taken)]
    # options without a default may not follow those with one
    parameters.sort(key=lambda p: p.default is not inspect.Parameter.empty)

    def made(ctx: typer.Context, **values: Any) -> None:
        _batch(ctx, {name: value for name, value in values.items() if name in own}, dict(values))

    made.__name__, made.__doc__ = "batch", batch.__doc__
    made.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    made.__annotations__ = {each.name: each.annotation for each in parameters}
    return made


def _batch(ctx: typer.Context, own: dict[str, Any], values: dict[str, Any]) -> None:
    from vtg_cli.batch import manifest
    from vtg_cli.batch.store import is_url, open_store
    from vtg_cli.batch.worker import Settings
    from vtg_cli.memory import report

    if own["ray_address"] is not None and own["engine"] != "ray":
        raise UsageError("--ray-address is for --engine ray", subject="--ray-address")
    options = _item_options({n: v for n, v in values.items() if n not in own})
    sources, place = own["sources"], own["place"]
    found = manifest.read(
        sources,
        cast("Options", options),
        template=own["template"],
        chain=own["chain"],
        recursive=own["recursive"],
        place=place,
    )
    items = found.items
    if not is_url(place):
        manifest.check_outputs(items, sources, place)
    given = [n for n in values if n not in own and create._is_given(ctx, n)]
    if given and items[0].sidecar is not None:
        flag = "--" + given[0].replace("_", "-")
        raise UsageError(f"{flag} is not for reports, which say everything", subject=flag)
    if not own["quiet"]:
        for rule in found.rules:
            say(rule)
    if own["shard"] is not None:
        items = manifest.shard(items, own["shard"])
    if not items:  # an array may have more tasks than there are items
        Tally(place, 0).tell(as_json=own["as_json"], quiet=own["quiet"])
        return
    settings = Settings(place, own["retries"], own["retry_wait"], own["overwrite"])
    if own["dry_run"]:
        tell_plan(items, settings, as_json=own["as_json"])
        return
    if own["engine"] == "local":  # the nodes of a cluster may have what is not here
        _check_models(items)
    store = open_store(place)  # made now, so that a place that cannot be fails at once
    tally, stdout = Tally(place, len(items)), sys.stdout
    rungs: set[str] = set()  # what was said of memory; most items share a model
    with _crew(items, settings, own, str(options["device"])) as (crew, places):
        for outcome in _outcomes(crew, places, items, store, settings, quiet=own["quiet"]):
            tally.add(outcome)
            if outcome.state == "failed":
                say(f"{outcome.name}: {outcome.error}", outcome.hint)
                if own["fail_fast"]:
                    break
            elif not own["as_json"]:
                result(tally.place_of(outcome), stdout=stdout)
            told = report(outcome.memory)
            if told and told not in rungs and not own["quiet"]:
                rungs.add(told)
                say(f"{outcome.name}: {told}")
    store.tidy()
    tally.tell(as_json=own["as_json"], quiet=own["quiet"])


def _item_options(values: dict[str, Any]) -> dict[str, Any]:
    """The command line's values by the names of api.Options."""
    options = dict(values)
    for name in ("sidecar", "metadata", "paths"):
        options[name] = not options.pop(f"no_{name}")
    options["prompts"] = tuple(options.pop("prompt") or ())
    return options


def _check_models(items: Sequence[Item]) -> None:
    """Refuses at once, with the first item of each model, what others would fail of as well: a
    model that is not here, an option it has no use for. Pictures are every item's own business.
    """
    from vtg_cli.plan import plan

    for item in {item.job.model: item for item in reversed(items)}.values():
        try:
            plan(replace(item.job, output=None))
        except (UsageError, WeightsError) as error:
            error.message = f"{item.name}: {error.message}"
            raise
        except VtgError:
            continue


@contextmanager
def _crew(
    items: Sequence[Item], settings: Settings, own: dict[str, Any], device: str
) -> Iterator[tuple[Crew, int]]:
    """The engine's workers, and how many."""
    from vtg_cli.choice import FLOW

    models = [item.job.model for item in items]
    if own["engine"] == "ray":
        from vtg_cli.batch.ray import RayCrew

        gpus = device in ("auto", "cuda") and any(model != FLOW for model in models)
        with RayCrew(
            settings, address=own["ray_address"], gpus=gpus, workers=own["workers"]
        ) as crew:
            yield crew, min(crew.places, len(items))
        return
    from vtg_cli.batch.local import LocalCrew, devices

    places = devices(models, device, own["workers"])[: len(items)]
    with LocalCrew(settings, places) as local:
        yield local, len(places)


def _outcomes(
    crew: Crew,
    places: int,
    items: Sequence[Item],
    store: Store,
    settings: Settings,
    *,
    quiet: bool,
) -> Iterator[Outcome]:
    """What becomes of the items, as it comes, with a bar that says how far it is."""
    from vtg_cli.batch.dispatch import dispatch

    def on_loss(item: Item, error: VtgError) -> None:
        store.record("failed", item.output, name=item.name, error=error.message, exit_code=1)

    retries, total = settings.retries, len(items)
    with progress(quiet=quiet) as show:
        outcomes = dispatch(crew, items, places=places, retries=retries, on_loss=on_loss)
        for done, outcome in enumerate(outcomes, start=1):
            if show is not None:
                show(done / total, f"{done} of {total}")
            yield outcome


@dataclass
class Tally:
    """How a batch goes."""

    place: str
    items: int
    outcomes: list[Outcome] = field(default_factory=list)
    begin: float = field(default_factory=time.perf_counter)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def place_of(self, outcome: Outcome) -> str:
        return f"{self.place.rstrip('/')}/{outcome.output}"

    def count(self, state: str) -> int:
        return sum(outcome.state == state for outcome in self.outcomes)

    def tell(self, *, as_json: bool, quiet: bool) -> None:
        """The summary, on stdout as JSON if asked. BatchError where an item failed."""
        seconds = time.perf_counter() - self.begin
        counts = {state: self.count(state) for state in ("made", "skipped", "failed")}
        counts["left"] = self.items - len(self.outcomes)
        if as_json:
            head = {"schema": "vtg-batch", "version": 1, "place": self.place, **counts}
            listed = [outcome.to_json() for outcome in self.outcomes]
            result_json({**head, "seconds": round(seconds, 3), "items": listed}, indent=2)
        said = ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "nothing to do"
        text = f"{self.items} items: {said} in {seconds:.1f} s"
        if counts["made"]:
            text += f", {counts['made'] / seconds:.2f} made a second"
        if counts["failed"]:
            raise BatchError(text, "the same command tries again what is not there")
        if not quiet:
            say(text)
