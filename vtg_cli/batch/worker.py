"""The worker: the way of one item through a process of a batch, whichever engine gave it.

    claim    nobody else makes this output meanwhile
    compare  what stands there with what the journal says: skip, take over, make, or refuse
    make     plan, draw, write; again after a pause where the failure may pass
    record   in the journal, before the claim is given up

The key of an item is the hash of all that decides its frames: the job, the pictures, the weights
and the version of vtg.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vtg_cli import __version__
from vtg_cli.batch.item import Item, Outcome, failed
from vtg_cli.batch.store import Store, is_url
from vtg_cli.errors import MemoryLadderError, UsageError, VtgError, explained
from vtg_cli.job.checks import validated
from vtg_cli.job.document import to_json
from vtg_cli.job.jobs import Interpolate
from vtg_cli.machine.hardware import peak_memory
from vtg_cli.machine.rungs import NAMED
from vtg_cli.media import encoding
from vtg_cli.media.image import sha256_of
from vtg_cli.plan import needs
from vtg_cli.plan.plan import Plan, claimed
from vtg_cli.plan.segments import planned
from vtg_cli.plan.setup import Setup, chosen, precision
from vtg_cli.render import draw, segments
from vtg_cli.render import report as reports
from vtg_cli.weights.catalog import FLOW
from vtg_cli.weights.store import identity

if TYPE_CHECKING:
    from vtg_cli.backbones.base import Backbone

PASSING = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY),
    *(errno.EAGAIN, errno.EINTR, errno.ENOMEM, errno.EMFILE, errno.ENFILE),
    *(errno.ECONNRESET, errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH),
)
"""Error numbers of what a disk, a network or a crowded machine may stop doing by itself."""
LONGEST_PAUSE = 60.0  # seconds


@dataclass(frozen=True)
class Settings:
    """The settings of all workers of a batch.

    place: folder or URL the clips go to
    retries: attempts after the first
    pause: seconds before the second attempt, doubled for each further one
    overwrite: replace files that are not the batch's own
    """

    place: str
    retries: int = 2
    pause: float = 1.0
    overwrite: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class KeptModel:
    """A loader like segments.loaded that keeps the last model: items mostly share it."""

    def __init__(self) -> None:
        self._of: Hashable = None
        self._model: Backbone | None = None

    def __call__(self, setup: Setup) -> Backbone:
        wanted = segments.key_of(setup)
        if self._model is None or self._of != wanted:
            self._model = None  # before the next one needs its room
            self._model, self._of = segments.loaded(setup), wanted
        return self._model


class Worker:
    """A maker of items, one after another."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        device: str = "auto",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._settings = settings
        self._device = device
        self._sleep = sleep
        self._model = KeptModel()
        self._known: dict[tuple[object, ...], Mapping[str, Any]] = {}

    def make(self, item: Item, *, wait: bool = False) -> Outcome:
        """Make an item and return its outcome; only being told to end comes out as an exception.

        wait: for another process that is at the same output; else the outcome is "busy"
        """
        begin, attempt = time.perf_counter(), 0
        try:
            with self._store.claim(item.output, wait=wait) as ours:
                if not ours:
                    return Outcome(item.name, item.output, "busy")
                while True:
                    attempt += 1
                    try:
                        state, rungs = self._attempt(item)
                        spent = round(time.perf_counter() - begin, 3)
                        return Outcome(item.name, item.output, state, spent, attempt, memory=rungs)
                    except Exception as error:
                        last = attempt > self._settings.retries or not may_pass(error)
                        self._note(item, explained(error), attempt, last)
                        if last:
                            raise
                    self._sleep(min(self._settings.pause * 2 ** (attempt - 1), LONGEST_PAUSE))
        except Exception as error:
            seconds = time.perf_counter() - begin
            return failed(item, explained(error), seconds=seconds, attempts=max(attempt, 1))

    def look(self, item: Item) -> tuple[Plan, Literal["make", "skip", "adopt"]]:
        """Return what would be done, without doing it. Raise what would fail the item then."""
        job = self._placed(item.job)
        plan = planned(replace(job, output=None))
        if item.sidecar is not None:
            reports.compare(reports.read(Path(item.sidecar)), plan)
        (height, width, _), fps = plan.shape, plan.schedule.fps
        encoding.check(item.output, job.encoding, height, width, fps)
        key = key_of(job, [still.sha256 for still in plan.stills], self._drawn_by(job))
        if not is_url(self._settings.place):  # whose disk nobody can ask
            place = Path(self._settings.place) / item.output
            plan = replace(plan, job=replace(plan.job, output=str(place)))
        return plan, judge(self._store, item.output, key, self._settings.overwrite)[0]

    def _note(self, item: Item, error: VtgError, attempt: int, last: bool) -> None:
        """Write to the journal, as far as it can be written: the disk may be full."""
        with suppress(VtgError, OSError):
            self._store.record(
                "failed" if last else "retry",
                item.output,
                name=item.name,
                attempt=attempt,
                error=error.message,
                exit_code=error.exit_code,
            )

    def _attempt(self, item: Item) -> tuple[Literal["made", "skipped"], Sequence[str]]:
        job = self._placed(item.job)
        inputs = [sha256_of(name) for name in job.keyframes]
        key = key_of(job, inputs, self._drawn_by(job))
        verdict, standing = judge(self._store, item.output, key, self._settings.overwrite)
        if verdict == "adopt":
            self._store.record(
                "done", item.output, name=item.name, key=key, sha256=standing, adopted=True
            )
        if verdict != "make":
            return "skipped", ()
        with self._store.writing(item.output) as place:
            past = self._store.history(item.output)
            again = standing is not None or past.done is not None or past.start is not None
            again = again or self._settings.overwrite
            choices = replace(job.encoding, overwrite=again, skip_existing=False)
            claimed(place, choices, job.keyframes)
            plan = planned(replace(job, output=place, encoding=choices))
            notes = [*plan.notes]
            if item.sidecar is not None:
                notes += reports.compare(reports.read(Path(item.sidecar)), plan)
            needs.checked(plan)
            self._store.record("start", item.output, name=item.name, key=key, replaces=standing)
            report = draw.render(plan, load=self._model).save()
        self._store.record(
            "done",
            item.output,
            name=item.name,
            key=key_of(job, [still.sha256 for still in plan.stills], self._drawn_by(job)),
            sha256=self._store.fingerprint(item.output),
            frames=report["clip"]["frames"],
            seconds=report["seconds"],
            model=plan.model.name,
            peak=peak_memory(),
            notes=[*notes, *report["notes"][len(plan.notes) :]],
        )
        return "made", report.get("memory", ())

    def _placed(self, job: Interpolate) -> Interpolate:
        """Return the job on this worker's device, where it leaves that open; flow has none."""
        free = job.device == "auto" and job.model != FLOW
        return replace(job, device=self._device) if free else job

    def _drawn_by(self, job: Interpolate) -> Mapping[str, Any]:
        """Return the model and weights of a job, worked out once for jobs that share them."""
        reverse = (job.reverse, job.reverse_base, job.sampling.method)
        key = (job.model, job.device, job.dtype, *reverse)
        if key not in self._known:
            model = chosen(validated(job))
            self._known[key] = {
                "model": model.name,
                "weights": {role: identity(place) for role, place in model.folders.items()},
                "dtype": precision(job.dtype, model),
            }
        return self._known[key]


def judge(
    store: Store, output: str, key: str, overwrite: bool
) -> tuple[Literal["make", "skip", "adopt"], str | None]:
    """Decide what to do about an output; return that and the fingerprint of what stands there now.

    adopt: a killed worker wrote clip and report, but did not record it

    Raises UsageError if a file stands there that no batch made, or that was changed since.
    """
    standing = store.fingerprint(output)
    if standing is None:
        return "make", None
    past = store.history(output)
    if past.done is not None and standing == past.done["sha256"]:
        return ("skip" if past.done["key"] == key else "make"), standing
    if past.start is not None and standing != past.start["replaces"]:
        adopted = past.start["key"] == key and store.whole(output)
        return ("adopt" if adopted else "make"), standing
    if overwrite:
        return "make", standing
    what = "was changed since it was made" if past.done else "exists and is not this batch's"
    raise UsageError(f"{output} {what}", "--overwrite replaces it", subject=output)


def key_of(job: Interpolate, inputs: Sequence[str], drawn_by: Mapping[str, Any]) -> str:
    """Hash all that decides a clip's frames and its file; not where it goes or is computed."""
    document = to_json(job)
    for name in ("keyframes", "output", "device", "decode_chunk"):
        del document[name]
    if job.memory == "auto" or NAMED[job.memory].same_frames:
        del document["memory"]
    for name in ("overwrite", "skip_existing", "paths"):
        del document["encoding"][name]
    whole = {"job": document, "inputs": [*inputs], "vtg": __version__, **drawn_by}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def may_pass(error: BaseException | None) -> bool:
    """Return whether trying again may help: memory, disks and networks, not options."""
    reasons = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EIO)]
    reasons.append("was killed by signal")
    while error is not None:
        memory = isinstance(error, MemoryError) or (
            isinstance(error, MemoryLadderError) and error.__cause__ is not None
        )  # without a cause it is a refusal beforehand
        if memory or (isinstance(error, OSError) and error.errno in PASSING):
            return True
        if isinstance(error, VtgError):  # ffmpeg says it in words, at times in its first ones
            message = f"{error.message} {error.hint}"
            if any(reason in message for reason in reasons):
                return True
        error = error.__cause__ or error.__context__
    return False
