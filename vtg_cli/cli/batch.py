"""vtg batch: what is to be made, the engine that makes it, and one summary of how it went."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import typer

from vtg_cli.cli import batch_options as b
from vtg_cli.cli import options as o
from vtg_cli.cli.bar import progress
from vtg_cli.cli.batch_table import tell_plan
from vtg_cli.cli.console import result, result_json, say
from vtg_cli.errors import BatchError, UsageError

if TYPE_CHECKING:
    from vtg_cli.batch.item import Outcome
    from vtg_cli.job.keywords import Options

NOT_OF_ITEMS = ("keyframes", "output", "format", "overwrite", "skip_existing")


OWN = (
    o.own("sources", b.Sources),
    o.own("place", b.Place),
    o.own("template", b.Template, None),
    o.own("chain", b.Chain, False),
    o.own("recursive", b.Recursive, False),
    o.own("shard", b.Shard, None),
    o.own("resume", b.Resume, False),
    o.own("fail_fast", b.FailFast, False),
    o.own("retries", b.Retries, 2),
    o.own("retry_wait", b.RetryWait, 1.0),
    o.own("overwrite", b.Overwrite, False),
    o.own("engine", b.EngineName, "local"),
    o.own("workers", b.Workers, None),
    o.own("ray_address", b.RayAddress, None),
    *o.SHOWN,
)


@o.taking(*OWN, *o.declared(without=NOT_OF_ITEMS))
def batch(ctx: typer.Context, **values: Any) -> None:
    """Make many clips: pairs of pictures from a folder, or what a manifest lists.

    vtg batch pictures/ -o clips/ --frames 16

    The other options hold for every clip, unless the manifest says something else.
    """
    mine = {each.name for each in OWN}
    _batch(ctx, {name: value for name, value in values.items() if name in mine}, values)


def _batch(ctx: typer.Context, own: dict[str, Any], values: dict[str, Any]) -> None:
    from vtg_cli.batch import manifest
    from vtg_cli.batch.crews import Engine, check_models, open_crew, outcomes
    from vtg_cli.batch.store import is_url, open_store
    from vtg_cli.batch.worker import Settings
    from vtg_cli.plan.memory import report

    if own["ray_address"] is not None and own["engine"] != "ray":
        raise UsageError("--ray-address is for --engine ray", subject="--ray-address")
    options = {n: v for n, v in values.items() if n not in own}
    options["prompts"] = tuple(options["prompts"] or ())
    sources, place = own["sources"], own["place"]
    source = manifest.read(
        sources,
        cast("Options", options),
        template=own["template"],
        chain=own["chain"],
        recursive=own["recursive"],
        place=place,
    )
    items = source.items
    options_given = [n for n in o.given(ctx) if n not in own]
    if not is_url(place):
        manifest.check_outputs(items, sources, place)
    if options_given and items[0].sidecar is not None:
        flag = o.flag_of(options_given[0])
        raise UsageError(f"{flag} is not for reports, which say everything", subject=flag)
    if not own["quiet"]:
        for rule in source.rules:
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
        check_models(items)
    store = open_store(place)  # made now, so that a place that cannot be fails at once
    tally, stdout = Tally(place, len(items)), sys.stdout
    rungs: set[str] = set()  # what was said of memory; most items share a model
    engine = Engine(own["engine"], own["workers"], own["ray_address"], str(options["device"]))
    with (
        open_crew(items, settings, engine) as (crew, places),
        progress(quiet=own["quiet"]) as show,
    ):
        for outcome in outcomes(crew, places, items, store, settings, show):
            tally.add(outcome)
            if outcome.state == "failed":
                say(f"{outcome.name}: {outcome.error}", outcome.hint)
                if own["fail_fast"]:
                    break
            elif not own["as_json"]:
                result(tally.place_of(outcome), stdout=stdout)
            message = report(outcome.memory)
            if message and message not in rungs and not own["quiet"]:
                rungs.add(message)
                say(f"{outcome.name}: {message}")
    store.tidy()
    tally.tell(as_json=own["as_json"], quiet=own["quiet"])


@dataclass
class Tally:
    """The progress of a batch."""

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
        """Print the summary, on stdout as JSON if asked. Raise BatchError if an item failed."""
        seconds = time.perf_counter() - self.begin
        counts = {state: self.count(state) for state in ("made", "skipped", "failed")}
        counts["left"] = self.items - len(self.outcomes)
        if as_json:
            head = {"schema": "vtg-batch", "version": 1, "place": self.place, **counts}
            listed = [outcome.to_json() for outcome in self.outcomes]
            result_json({**head, "seconds": round(seconds, 3), "items": listed}, indent=2)
        summary = ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "nothing to do"
        text = f"{self.items} items: {summary} in {seconds:.1f} s"
        if counts["made"]:
            text += f", {counts['made'] / seconds:.2f} made a second"
        if counts["failed"]:
            raise BatchError(text, "run the same command again to retry what is missing")
        if not quiet:
            say(text)
