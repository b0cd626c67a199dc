"""A training command from its settings to the file it leaves: model, clips, loop, trial, delta.

The folder of a run holds settings.json, log.jsonl, loss.png, samples/, checkpoints and, at the end,
reverse.safetensors and report.json. The same command goes on where it stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vtg_cli import __version__
from vtg_cli.backbones import base
from vtg_cli.backbones.base import Backbone, Spec
from vtg_cli.errors import Interrupted, UsageError
from vtg_cli.ground import documents, temporary
from vtg_cli.machine.device import choose_device, choose_dtype
from vtg_cli.media.sheet import save_png
from vtg_cli.training.log import CURVE, draw_curve
from vtg_cli.training.loop import OnNote, Plan, Run
from vtg_cli.training.objective import objective
from vtg_cli.training.recompute import checkpointing
from vtg_cli.training.reverse import ReverseMotion
from vtg_cli.training.settings import LASTING, Settings, frames_for, size_for
from vtg_cli.training.source import Source, Window, open_source
from vtg_cli.training.trial import Trial, Verdict
from vtg_cli.weights import delta, store

if TYPE_CHECKING:
    from accelerate import Accelerator

SETTINGS, REPORT, OUT, SAMPLES = "settings.json", "report.json", "reverse.safetensors", "samples"
PRECISION = {torch.float32: "no", torch.float16: "fp16", torch.bfloat16: "bf16"}
Progress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A command that has been decided, before any weight is loaded."""

    settings: Settings
    model: store.Source
    spec: Spec
    window: Window


def prepared(settings: Settings) -> Prepared:
    """Decide what is trained, on what. Raise UsageError, WeightsError."""
    model = store.resolve(settings.model)
    spec = base.spec_of(model.folder)
    window = Window(
        frames=frames_for(settings, spec),
        stride=settings.stride,
        size=size_for(settings, spec),
        how=settings.how,
    )
    return Prepared(settings=settings, model=model, spec=spec, window=window)


def train(
    task: Prepared,
    *,
    progress: Progress,
    note: OnNote,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train to the end and return the report, of several processes the first one's; {} the others'.

    stop: asked before every step

    Raises Interrupted if `stop` says so; everything up to that step is kept.
    """
    settings, out = task.settings, Path(task.settings.out)
    accelerator = _accelerator(settings)
    leads = accelerator.is_main_process
    note = note if leads else lambda _: None
    began = time.monotonic()
    progress(0.0, "reading clips")
    source = open_source(settings.data, task.window, seed=settings.seed, note=note)
    if leads:
        _claim(out, settings, source)
    accelerator.wait_for_everyone()
    progress(0.0, "loading")
    m = base.load(task.model.folder, device=str(accelerator.device), dtype=_dtype(accelerator))
    trained = ReverseMotion(m, _begun(m, settings)).to(accelerator.device)
    module, losses = objective(settings, task.model.folder, m, trained, source)
    run = Run(
        *(module, _plan(settings), out, note),
        accelerator=accelerator,
        tensorboard=settings.tensorboard,
    )
    run.resume()
    trial = Trial(m, [source.held(i) for i in range(settings.tries)], settings.sample_steps)
    watch = _Watch(trial, trained, run, settings, progress)
    before = watch.before() if leads else None
    with ExitStack() as stack:
        if settings.checkpointing:
            stack.enter_context(checkpointing(m))
        stack.enter_context(trained.applied())
        on_step = (
            watch.on_step if watch else lambda step, _: progress(step / settings.steps, "training")
        )
        run.go(losses, on_step=on_step, stop=stop)
    if leads:
        draw_curve({settings.kind: out}, out / CURVE)
    if run.step < settings.steps:
        raise Interrupted(f"stopped at step {run.step} of {settings.steps}, which is kept")
    after = watch.verdict() if leads else None
    report = _report(task, source, run, (before, after), time.monotonic() - began)
    if leads:
        values = by_name(trained, run.mean)
        delta.save(values, out / OUT, report["delta"])
        temporary.write(out / REPORT, (json.dumps(report, indent=2) + "\n").encode())
    accelerator.wait_for_everyone()
    return report if leads else {}


def by_name(trained: ReverseMotion, mean: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return parameter name -> difference, of a run's averaged parameters."""
    inside = [value for name, value in mean.items() if "values." in name]
    return trained.by_name(inside)


class _Watch:
    """What is told while a run goes on: progress, and now and then a strip and the curve."""

    def __init__(
        self, trial: Trial, trained: ReverseMotion, run: Run, settings: Settings, progress: Progress
    ) -> None:
        self._trial, self._trained, self._run = trial, trained, run
        self._settings, self._progress = settings, progress
        self._folder = Path(settings.out)

    def before(self) -> Verdict | None:
        """Return the verdict without what is trained, as measured when the run began."""
        if not self._trial.clips:
            return None
        file = self._folder / "before.json"
        if file.is_file():
            return Verdict(**documents.json_file(file))
        self._progress(0.0, "measuring")
        untrained = {name: torch.zeros_like(v) for name, v in self._trained.by_name().items()}
        verdict = self._trial.verdict(self._trained, untrained)
        temporary.write(file, json.dumps(asdict(verdict)).encode())
        return verdict

    def verdict(self) -> Verdict | None:
        """Return the verdict of the averaged parameters; None without clips to try."""
        if not self._trial.clips:
            return None
        return self._trial.verdict(self._trained, by_name(self._trained, self._run.mean))

    def on_step(self, step: int, loss: float) -> None:
        """Tell of a step."""
        every = self._settings.sample_every
        self._progress(step / self._settings.steps, f"step {step}, loss {loss:.4g}")
        if every and step % every == 0 and self._trial.clips:
            values = by_name(self._trained, self._run.mean)
            (self._folder / SAMPLES).mkdir(exist_ok=True)
            save_png(self._folder / SAMPLES / f"{step:07}.png", self._trial.strip(values))
            draw_curve({self._settings.kind: self._folder}, self._folder / CURVE)


def _plan(settings: Settings) -> Plan:
    return Plan(
        steps=settings.steps,
        rate=settings.rate,
        warmup=settings.warmup,
        cooldown=0.0 if settings.schedule == "constant" else 1.0,
        fall="cosine" if settings.schedule == "cosine" else "linear",
        decay=settings.decay,
        parts=settings.batch,
        average=settings.ema,
        clip=settings.clip,
        keep=settings.save_every,
        kept=settings.keep,
        seed=settings.seed,
        optimizer="adamw",
    )


def _accelerator(settings: Settings) -> Accelerator:
    """Return accelerate's view of the device, the precision and the processes of this run."""
    from accelerate import Accelerator

    device = choose_device(settings.device)
    precision = PRECISION[choose_dtype(settings.dtype, device)]
    if precision == "fp16" and device.type != "cuda":
        raise UsageError(
            f"--dtype fp16 cannot be trained on {device.type}", "bf16 or fp32", subject="--dtype"
        )
    return Accelerator(mixed_precision=precision, cpu=device.type == "cpu")


def _dtype(accelerator: Accelerator) -> str:
    """Return the precision of the frozen weights: as autocast would compute with them."""
    precision = str(accelerator.mixed_precision)
    return "fp32" if precision == "no" else precision


def _begun(m: Backbone, settings: Settings) -> dict[str, Tensor] | None:
    """Return the weights to begin with: the network's own plus a delta, None without one."""
    if settings.begin is None:
        return None
    return {
        name: m.network.get_parameter(name).detach().float().cpu() + value
        for name, value in delta.load(Path(settings.begin)).items()
    }


def _claim(out: Path, settings: Settings, source: Source) -> None:
    """Make the folder this run's. Raise UsageError if it holds another's."""
    out.mkdir(parents=True, exist_ok=True)
    own = json.loads(json.dumps({**asdict(settings), "clips": source.identity()}))
    file = out / SETTINGS
    if file.is_file():
        with documents.reading(file, UsageError, "give another folder"):
            others = documents.json_file(file)
        different = [
            name
            for name in sorted(own.keys() | others.keys())
            if name not in LASTING and own.get(name) != others.get(name)
        ]
        if different:
            name = different[0]
            raise UsageError(
                f"{out} holds a run with {name} {others.get(name)}, not {own.get(name)}",
                "give the same settings to go on, or another folder to begin anew",
                subject=str(out),
            )
    temporary.write(file, (json.dumps(own, indent=2) + "\n").encode())


def _report(
    task: Prepared,
    source: Source,
    run: Run,
    verdicts: tuple[Verdict | None, Verdict | None],
    seconds: float,
) -> dict[str, Any]:
    settings, model = task.settings, task.model
    licence = model.entry.licence if model.entry is not None else "as the model it was trained on"
    about = {
        "trained_on": Path(model.name).name,
        "network": delta.network_hash(model.folder),
        "objective": settings.kind,
        "steps": run.step,
        "data": source.identity(),
        "licence": f"a derivative of {model.name}: {licence}",
        "settings": asdict(settings),
        "vtg": __version__,
    }
    names = ("before", "after")
    measured = {n: asdict(v) for n, v in zip(names, verdicts, strict=True) if v is not None}
    return {
        "output": str(Path(settings.out) / OUT),
        "held_out": measured,
        "overflowed": run.overflowed,
        "seconds": round(seconds, 1),
        "processes": run.world,
        "delta": about,
    }
